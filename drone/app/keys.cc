#include "drone/app/keys.h"

#include <sys/un.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/config/address.h"
#include "common/config/logging.h"
#include "common/rpc/http_get.h"
#include "drone/attempt/isolation.h"

namespace waggle::drone {
namespace {

using config::Fault;
using namespace std::chrono_literals;

std::optional<Fault> CheckAddress(std::string_view text) {
  if (auto fault = config::CheckQueen(text)) return fault;
  const std::size_t size = config::QueenSocket(text).size();
  if (size < sizeof(sockaddr_un::sun_path)) return std::nullopt;
  return Fault{absl::StrCat("gives a socket path of ", size, " bytes; at most ",
                            sizeof(sockaddr_un::sun_path) - 1, " fit"),
               "use a shorter path, such as a symbolic link"};
}

std::optional<Fault> CheckName(std::string_view name) {
  const bool clean = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
  });
  if (clean && name.size() <= limits::kNameBytes) return std::nullopt;
  return Fault{"is no name for a drone",
               absl::StrCat("use 1 to ", limits::kNameBytes, " of the characters A-Z a-z 0-9 . _ -")};
}

std::optional<Fault> CheckLabel(std::string_view name, std::string_view value) {
  const bool clean = name.find_first_of(" \t\n,=") == std::string_view::npos;
  if (clean && !name.empty() && name.size() <= limits::kNameBytes && value.size() <= limits::kLabelBytes)
    return std::nullopt;
  return Fault{"is no label",
               absl::StrCat("a label's name has 1 to ", limits::kNameBytes,
                            " bytes without space, comma or `=`, its value at most ", limits::kLabelBytes)};
}

std::optional<Fault> CheckVariable(std::string_view name, std::string_view) {
  const bool clean = std::all_of(name.begin(), name.end(),
                                 [](unsigned char c) { return absl::ascii_isalnum(c) || c == '_'; });
  if (clean && !name.empty() && !absl::ascii_isdigit(static_cast<unsigned char>(name[0])))
    return std::nullopt;
  return Fault{"is no variable", "its name has letters, digits and _, and starts with no digit"};
}

std::optional<Fault> CheckHealth(std::string_view place) {
  if (place.starts_with('/') || rpc::CheckHttpUrl(std::string(place)).ok()) return std::nullopt;
  return Fault{"is no place of a document", "write http://HOST:PORT/PATH or an absolute path"};
}

std::optional<Fault> CheckModes(std::string_view text) {
  if (attempt::ParseModes(text)) return std::nullopt;
  return Fault{"names no kinds of isolation",
               "write none, user, bubblewrap, or several with commas between them"};
}

std::optional<Fault> CheckPaths(std::string_view text) {
  if (attempt::ParsePaths(text)) return std::nullopt;
  return Fault{"is no list of paths", "write absolute paths without `..`, with commas between them"};
}

std::optional<Fault> CheckUsers(std::string_view text) {
  if (attempt::ParseUsers(text)) return std::nullopt;
  return Fault{"is no range of user numbers", "write FIRST-LAST, above 1000, such as 70000-70511"};
}

constexpr std::string_view kIsolations[] = {"auto", "none", "user", "bubblewrap"};

constexpr std::size_t kDetectedLabels = 6;          // os, arch, host and the kinds of isolation
constexpr std::int64_t kSpoolBudgetMost = 1 << 24;  // MiB
constexpr std::size_t kVariables = 256;             // of one drone, for every job

const config::Key kKeys[] = {
    {.name = "queen",
     .rule = config::Text{CheckAddress},
     .placeholder = "ADDRESS",
     .help = "The queen's socket, unix:/path/queen.sock, or the directory that holds it",
     .unset = "the queen it is enrolled with"},
    {.name = "data",
     .rule = config::Path{},
     .placeholder = "DIR",
     .help = "Directory of this drone; made if missing, one daemon each"},
    {.name = "name",
     .rule = config::Text{CheckName},
     .placeholder = "NAME",
     .help = "Shown name, unique in the hive",
     .unset = "the one it is enrolled with, or the host's"},
    {.name = "slots",
     .rule = config::Whole{1, limits::kMaxCapacity, "auto"},
     .fallback = "auto",
     .placeholder = "N",
     .help = "Jobs at a time; auto: one per two cores and 4 GiB of memory"},
    {.name = "speed",
     .rule = config::Real{0, 1'000'000},
     .fallback = "1",
     .placeholder = "X",
     .help = "Relative to other drones; higher is chosen first"},
    {.name = "labels",
     .rule = config::Entries{CheckLabel, limits::kLabels - kDetectedLabels},
     .placeholder = "NAME=VALUE",
     .help = "What jobs may ask for",
     .unset = "the detected os, arch, host and isolation.MODE",
     .flags = "--label"},
    {.name = "env",
     .rule = config::Entries{CheckVariable, kVariables},
     .placeholder = "NAME=VALUE",
     .help = "Variables in the environment of every job",
     .unset = "none"},
    {.name = "hooks.start",
     .rule = config::Text{},
     .placeholder = "COMMAND",
     .help = "What sh runs before the drone connects, for at most 30 s; it cannot stop the drone",
     .unset = "none"},
    {.name = "hooks.exit",
     .rule = config::Text{},
     .placeholder = "COMMAND",
     .help = "What sh runs when the drone has ended its work, for at most 30 s",
     .unset = "none"},
    {.name = "health.url",
     .rule = config::Text{CheckHealth},
     .placeholder = "URL",
     .help = "http:// URL or path of a document; `down` in it drains the drone, errors never do",
     .unset = "none"},
    {.name = "spool.budget",
     .rule = config::Whole{1, kSpoolBudgetMost, "auto"},
     .fallback = "auto",
     .placeholder = "MIB",
     .help = "MiB of output it keeps for the queen; auto: 4096 or 10 % of the free disk"},
    {.name = "plugins.dirs",
     .rule = config::Path{.several = true},
     .placeholder = "DIRS",
     .help = "Directories of plugins, before those that came with the drone and after DATA/plugins",
     .unset = "none"},
    {.name = "plugins.limit",
     .rule = config::Duration{1s, 1h},
     .fallback = "10s",
     .placeholder = "TIME",
     .help = "How long a plugin may take to say what it wants in one phase"},
    {.name = "isolation.default",
     .rule = config::Choice{kIsolations},
     .fallback = "auto",
     .placeholder = "MODE",
     .help = "What keeps a job that asks for none apart; auto: the strongest that works here"},
    {.name = "isolation.allow",
     .rule = config::Text{CheckModes},
     .fallback = "none,user,bubblewrap",
     .placeholder = "MODES",
     .help = "What jobs may ask for; others are never offered to this drone"},
    {.name = "isolation.read_only",
     .rule = config::Text{CheckPaths},
     .placeholder = "PATHS",
     .help = "What jobs in bubblewrap see of the host besides the system",
     .unset = "none"},
    {.name = "isolation.writable",
     .rule = config::Text{CheckPaths},
     .placeholder = "PATHS",
     .help = "The same, to be written to: a cache for all jobs",
     .unset = "none"},
    {.name = "isolation.users",
     .rule = config::Text{CheckUsers},
     .fallback = "70000-70511",
     .placeholder = "FIRST-LAST",
     .help = "Users for jobs, one each, when the drone is root; nobody else may use them"},
    {.name = "log.level",
     .rule = config::Choice{config::kLogLevels},
     .fallback = "info",
     .placeholder = "LEVEL",
     .help = "Least severity of what the drone logs to standard error"},
    {.name = "log.format",
     .rule = config::Choice{config::kLogFormats},
     .fallback = "auto",
     .placeholder = "FORMAT",
     .help = "Form of the log: lines of text or of JSON; auto: text"},
};

}  // namespace

const config::Program kProgram{"drone", "WAGGLE_DRONE_", /*daemon=*/true, "needs a restart", kKeys};

}  // namespace waggle::drone
