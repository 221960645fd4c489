#include "drone/app/plugins_verb.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/base/vocabulary.h"
#include "drone/app/options.h"

namespace waggle::drone {
namespace {

using Json = nlohmann::json;
using plugins::Catalog;

std::vector<std::string> PhasesOf(const plugins::Manifest& manifest) {
  std::vector<std::string> out;
  for (Phase phase : kPhases) {
    if (manifest.phases[static_cast<int>(phase)]) out.emplace_back(Name(phase));
  }
  return out;
}

std::string Text(const Catalog& catalog) {
  if (catalog.entries().empty()) return "no plugin is installed\n";
  std::size_t name = 0, version = 0;
  for (const Catalog::Entry& entry : catalog.entries()) {
    name = std::max(name, entry.name.size());
    version = std::max(version, entry.manifest.version.size());
  }
  auto padded = [](const std::string& text, std::size_t width) {
    return text + std::string(width - text.size() + 2, ' ');
  };
  std::string text;
  for (const Catalog::Entry& entry : catalog.entries()) {
    absl::StrAppend(&text, padded(entry.name, name), padded(entry.manifest.version, version));
    if (entry.trouble.empty()) {
      absl::StrAppend(&text, entry.manifest.description, " (", absl::StrJoin(PhasesOf(entry.manifest), ", "),
                      ")\n");
    } else {
      absl::StrAppend(&text, "not offered: ", absl::StrReplaceAll(entry.trouble, {{"\n", "\n    "}}), "\n");
    }
  }
  return text;
}

Json ToJson(const Catalog& catalog) {
  Json out = Json::array();
  for (const Catalog::Entry& entry : catalog.entries()) {
    out.push_back({{"name", entry.name},
                   {"version", entry.manifest.version},
                   {"description", entry.manifest.description},
                   {"phases", PhasesOf(entry.manifest)},
                   {"directory", entry.directory},
                   {"offered", entry.trouble.empty()},
                   {"trouble", entry.trouble}});
  }
  return out;
}

}  // namespace

config::Verb PluginsVerb() {
  auto json = std::make_shared<bool>(false);
  return {"plugins",
          "What plugins this host offers to jobs, or why not",
          {"data", "plugins.dirs"},
          [json](CLI::App& app) { app.add_flag("--json", *json, "The same as JSON"); },
          [json](const config::Settings& settings) {
            const std::string data = std::filesystem::absolute(settings.Get("data")).lexically_normal();
            const Catalog catalog =
                FindPlugins(PluginDirectories(settings, data), settings.GetEntries("env"));
            const std::string out =
                *json ? ToJson(catalog).dump(2, ' ', false, Json::error_handler_t::replace) + "\n"
                      : Text(catalog);
            std::fputs(out.c_str(), stdout);
            return exit_code::kOk;
          }};
}

}  // namespace waggle::drone
