#include "drone/plugins/catalog.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/limits.h"
#include "common/base/plugin_name.h"
#include "common/base/text.h"
#include "common/process/spawn.h"

namespace waggle::plugins {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFolders = 1024;  // looked at in one directory

// Why it cannot be used; fills the manifest.
std::string Trouble(std::string_view path, Catalog::Entry* entry) {
  const std::string file = absl::StrCat(entry->directory, "/", std::string(kManifestName));
  absl::StatusOr<std::string> text = ReadFile(file, limits::kPipelineBytes);
  if (!text.ok()) return std::string(text.status().message());
  absl::StatusOr<Manifest> manifest = ReadManifest(*text, file);
  if (!manifest.ok()) return std::string(manifest.status().message());
  entry->manifest = *std::move(manifest);
  if (entry->manifest.name != entry->name) {
    return absl::StrCat("its folder is named ", Quoted(entry->name), ", its plugin.yaml says ",
                        Quoted(entry->manifest.name), ": make them one");
  }
  if (::access(entry->program().c_str(), X_OK) != 0) {
    return absl::StrCat("its program ", entry->program(), " is missing or cannot be executed");
  }
  for (const std::string& need : entry->manifest.needs) {
    if (process::FindProgram(need, path)) continue;
    return absl::StrCat("it needs ", Quoted(need), ", which is not in the PATH of jobs: install it");
  }
  return "";
}

}  // namespace

Catalog Catalog::Scan(const std::vector<std::string>& directories, std::string_view path) {
  Catalog catalog;
  auto known = [&](const std::string& name) {
    return std::any_of(catalog.entries_.begin(), catalog.entries_.end(),
                       [&](const Entry& entry) { return entry.name == name; });
  };
  for (const std::string& directory : directories) {
    std::error_code error;
    std::vector<std::string> names;
    for (fs::directory_iterator it(directory, error), end; !error && it != end && names.size() < kFolders;
         it.increment(error)) {
      std::error_code none;
      if (fs::exists(it->path() / kManifestName, none)) names.push_back(it->path().filename().string());
    }
    for (const std::string& name : names) {
      if (known(name)) continue;
      Entry entry{.name = name, .directory = absl::StrCat(directory, "/", name)};
      entry.trouble = Trouble(path, &entry);
      catalog.entries_.push_back(std::move(entry));
    }
  }
  std::sort(catalog.entries_.begin(), catalog.entries_.end(),
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
  std::size_t offered = 0;
  for (Entry& entry : catalog.entries_) {
    if (entry.trouble.empty() && ++offered > limits::kLabels) {
      entry.trouble = absl::StrCat("a drone offers at most ", limits::kLabels, " plugins");
    }
  }
  return catalog;
}

absl::StatusOr<const Catalog::Entry*> Catalog::Find(std::string_view asked) const {
  const PluginName wanted = SplitPlugin(asked);
  const std::string name(wanted.name);
  for (const Entry& entry : entries_) {
    if (entry.name != wanted.name) continue;
    if (!entry.trouble.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat("the plugin ", name, " cannot be used on this drone: ", entry.trouble));
    }
    if (!VersionMeets(entry.manifest.version, wanted.version)) {
      return absl::FailedPreconditionError(absl::StrCat("this drone has version ", entry.manifest.version,
                                                        " of the plugin ", name, "; the job wants ",
                                                        std::string(wanted.version)));
    }
    return &entry;
  }
  return absl::NotFoundError(
      absl::StrCat("this drone has no plugin ", Quoted(name), "; `drone plugins` lists what it has"));
}

std::map<std::string, std::string> Catalog::Offered() const {
  std::map<std::string, std::string> out;
  for (const Entry& entry : entries_) {
    if (entry.trouble.empty()) out[entry.name] = entry.manifest.version;
  }
  return out;
}

}  // namespace waggle::plugins
