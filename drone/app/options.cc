#include "drone/app/options.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/fd.h"
#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/config/address.h"
#include "common/config/key.h"
#include "drone/app/keys.h"
#include "drone/attempt/start_frame.h"

namespace waggle::drone {
namespace {

constexpr int kCoresPerSlot = 2;
constexpr std::uint64_t kMemoryPerSlot = 4 * limits::kGiB;

std::uint32_t Slots(const config::Settings& settings) {
  if (settings.Get("slots") != "auto") return static_cast<std::uint32_t>(settings.GetWhole("slots"));
  const std::uint64_t memory = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                               static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return AutoSlots(::sysconf(_SC_NPROCESSORS_ONLN), memory);
}

// A host's name may be one that no drone may have.
absl::Status CheckHostName(const std::string& host) {
  for (const config::Key& key : kProgram.keys) {
    if (key.name != "name") continue;
    if (const auto fault = config::Check(key, host)) {
      return absl::InvalidArgumentError(absl::StrCat("the host name ", Quoted(host), " ", fault->what, "\n",
                                                     fault->hint, "\nnext: give a --name"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::uint32_t AutoSlots(long cores, std::uint64_t memory_bytes) {
  const std::uint64_t by_cores = static_cast<std::uint64_t>(std::max(cores, 0L)) / kCoresPerSlot;
  const std::uint64_t slots = std::min<std::uint64_t>(by_cores, memory_bytes / kMemoryPerSlot);
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(slots, 1, limits::kMaxCapacity));
}

std::vector<std::string> PluginDirectories(const config::Settings& settings, const std::string& data) {
  std::vector<std::string> directories = {data + "/plugins"};
  for (const auto part : absl::StrSplit(settings.Get("plugins.dirs"), ':', absl::SkipEmpty())) {
    directories.push_back(std::filesystem::absolute(std::string(part)).lexically_normal());
  }
  const std::string beside = ExecutableDirectory();
  directories.push_back(beside + "/plugins");
  directories.push_back(beside + "/../share/waggle/plugins");
  for (std::string& directory : directories) {
    std::error_code error;  // one that is missing stays as it was written
    const std::filesystem::path real = std::filesystem::canonical(directory, error);
    if (!error) directory = real;
  }
  return directories;
}

plugins::Catalog FindPlugins(const std::vector<std::string>& directories,
                             const std::map<std::string, std::string>& env) {
  const auto path = env.find("PATH");
  return plugins::Catalog::Scan(directories, path == env.end() ? attempt::kJobPath : path->second);
}

absl::StatusOr<Options> Resolve(const config::Settings& settings, std::string_view version) {
  Options options;
  options.version = std::string(version);
  if (settings.Has("queen")) options.target = "unix:" + config::QueenSocket(settings.Get("queen"));
  options.data = std::filesystem::absolute(settings.Get("data")).lexically_normal();
  while (options.data.size() > 1 && options.data.back() == '/') options.data.pop_back();
  char host[256] = {};
  if (::gethostname(host, sizeof host - 1) != 0) return ErrnoStatus("read", "the host name");
  options.host = host;
  options.name = settings.Get("name");
  if (options.name.empty() && !options.target.empty()) {
    if (absl::Status status = CheckHostName(options.host); !status.ok()) return status;
    options.name = options.host;
  }
  options.info.capacity = Slots(settings);
  options.info.speed = settings.GetReal("speed");
  options.info.labels = {{"os", attempt::OsName()}, {"arch", attempt::ArchName()}, {"host", options.host}};
  for (auto& [name, value] : settings.GetEntries("labels")) options.info.labels[name] = value;
  options.env = settings.GetEntries("env");
  options.start_hook = settings.Get("hooks.start");
  options.exit_hook = settings.Get("hooks.exit");
  options.health = settings.Get("health.url");
  if (settings.Get("spool.budget") != "auto") {
    options.spool_budget = static_cast<std::uint64_t>(settings.GetWhole("spool.budget")) * limits::kMiB;
  }
  options.plugin_directories = PluginDirectories(settings, options.data);
  options.plugin_limit = settings.GetDuration("plugins.limit");
  attempt::IsolationRules& isolation = options.isolation;
  isolation.fallback = *ParseIsolation(settings.Get("isolation.default"));
  isolation.allow = *attempt::ParseModes(settings.Get("isolation.allow"));
  isolation.read_only = *attempt::ParsePaths(settings.Get("isolation.read_only"));
  isolation.writable = *attempt::ParsePaths(settings.Get("isolation.writable"));
  std::tie(isolation.first_user, isolation.last_user) = *attempt::ParseUsers(settings.Get("isolation.users"));
  return options;
}

}  // namespace waggle::drone
