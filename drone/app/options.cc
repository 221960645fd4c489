#include "drone/app/options.h"

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/fd.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "drone/attempt/start_frame.h"

namespace waggle::drone {
namespace {

constexpr char kSocketFile[] = "queen.sock";
constexpr int kCoresPerSlot = 2;
constexpr std::uint64_t kMemoryPerSlot = 4 * limits::kGiB;
constexpr double kMaxSpeed = 1e6;

absl::Status Bad(std::string_view flag, std::string_view value, std::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat(std::string(flag), " \"", std::string(value), "\": ", std::string(why)));
}

std::string Absolute(std::string_view path) {
  return std::filesystem::absolute(std::string(path)).lexically_normal();
}

bool IsDirectory(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool Exists(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0;
}

absl::Status CheckName(const std::string& name) {
  const bool clean = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
  });
  if (name.empty() || name.size() > limits::kNameBytes || !clean) {
    return Bad("--name", name,
               absl::StrCat("use 1 to ", limits::kNameBytes, " of the characters A-Z a-z 0-9 . _ -"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::pair<std::string, std::string>> Split(std::string_view flag, const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos) return Bad(flag, text, "write it as NAME=VALUE");
  return std::make_pair(text.substr(0, equals), text.substr(equals + 1));
}

absl::Status AddLabels(const ServeFlags& flags, Info* info) {
  for (const std::string& text : flags.labels) {
    ASSIGN_OR_RETURN(auto label, Split("--label", text));
    if (label.first.size() > limits::kNameBytes || label.second.size() > limits::kLabelBytes) {
      return Bad("--label", text,
                 absl::StrCat("a label's name may have ", limits::kNameBytes, " bytes, its value ",
                              limits::kLabelBytes));
    }
    info->labels[label.first] = label.second;
  }
  if (info->labels.size() > limits::kLabels) {
    return absl::InvalidArgumentError(absl::StrCat("--label: ", info->labels.size(),
                                                   " labels with the detected os, ",
                                                   "arch and host; at most ", limits::kLabels));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::map<std::string, std::string>> ParseEnv(const std::vector<std::string>& texts) {
  std::map<std::string, std::string> env;
  for (const std::string& text : texts) {
    ASSIGN_OR_RETURN(auto entry, Split("--env", text));
    const bool clean = std::all_of(entry.first.begin(), entry.first.end(),
                                   [](unsigned char c) { return absl::ascii_isalnum(c) || c == '_'; });
    if (!clean || absl::ascii_isdigit(entry.first.front())) {
      return Bad("--env", text, "a variable's name has letters, digits and _, and starts with no digit");
    }
    env[entry.first] = entry.second;
  }
  return env;
}

}  // namespace

std::uint32_t AutoSlots(long cores, std::uint64_t memory_bytes) {
  const std::uint64_t by_cores = static_cast<std::uint64_t>(std::max(cores, 0L)) / kCoresPerSlot;
  const std::uint64_t slots = std::min<std::uint64_t>(by_cores, memory_bytes / kMemoryPerSlot);
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(slots, 1, limits::kMaxCapacity));
}

absl::StatusOr<std::string> ResolveQueen(std::string_view address) {
  std::string path(address);
  const bool explicit_socket = absl::StartsWith(path, "unix:");
  if (explicit_socket) path = path.substr(5);
  if (path.empty())
    return Bad("--queen", address, "give the queen's socket, or the directory that holds queen.sock");
  const bool network =
      !explicit_socket && !Exists(path) &&
      (absl::StrContains(path, "://") || (!absl::StrContains(path, '/') && !absl::EndsWith(path, ".sock")));
  if (network) {
    return Bad(
        "--queen", address,
        "remote queens come with certificates; this version speaks only to the queen's Unix socket on this "
        "host. Give its path, for example unix:/var/lib/queen/queen.sock");
  }
  path = Absolute(path);
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  if (IsDirectory(path) || (!explicit_socket && !Exists(path) && !absl::EndsWith(path, ".sock"))) {
    path += std::string("/") + kSocketFile;
  }
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return Bad(
        "--queen", address,
        absl::StrCat("the socket's path has ", path.size(), " bytes; at most ",
                     sizeof(sockaddr_un::sun_path) - 1, " fit. Use a shorter path, such as a symbolic link"));
  }
  return "unix:" + path;
}

absl::StatusOr<Options> Resolve(const ServeFlags& flags, std::string_view version) {
  Options options;
  options.version = std::string(version);
  ASSIGN_OR_RETURN(options.target, ResolveQueen(flags.queen));
  if (flags.data.empty())
    return Bad("--data", flags.data, "give the directory where this drone keeps its attempts");
  options.data = Absolute(flags.data);
  while (options.data.size() > 1 && options.data.back() == '/') options.data.pop_back();
  char host[256] = {};
  if (::gethostname(host, sizeof host - 1) != 0) return ErrnoStatus("read", "the host name");
  options.host = host;
  options.name = flags.name.empty() ? options.host : flags.name;
  RETURN_IF_ERROR(CheckName(options.name));
  if (flags.slots && (*flags.slots < 1 || *flags.slots > static_cast<int>(limits::kMaxCapacity))) {
    return Bad("--slots", absl::StrCat(*flags.slots), absl::StrCat("use 1 to ", limits::kMaxCapacity));
  }
  const std::uint64_t memory = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                               static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  options.info.capacity = flags.slots ? static_cast<std::uint32_t>(*flags.slots)
                                      : AutoSlots(::sysconf(_SC_NPROCESSORS_ONLN), memory);
  if (!(flags.speed >= 0 && flags.speed <= kMaxSpeed)) {
    return Bad("--speed", absl::StrCat(flags.speed), "use a number from 0 to 1000000; 1 is an ordinary host");
  }
  options.info.speed = flags.speed;
  options.info.labels = {{"os", attempt::OsName()}, {"arch", attempt::ArchName()}, {"host", options.host}};
  RETURN_IF_ERROR(AddLabels(flags, &options.info));
  ASSIGN_OR_RETURN(options.env, ParseEnv(flags.env));
  return options;
}

}  // namespace waggle::drone
