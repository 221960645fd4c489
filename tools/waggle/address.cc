#include "tools/waggle/address.h"

#include <yaml-cpp/yaml.h>

#include <array>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"

namespace waggle::cli {
namespace {

constexpr char kDefaultSocket[] = "/run/queen/queen.sock";
constexpr char kSocketName[] = "queen.sock";
constexpr std::size_t kConfigBytes = 64 * limits::kKiB;
// Keys of the client's file; what this version does not use yet is still a known word.
constexpr std::array<std::string_view, 5> kKeys = {"queen", "color", "progress", "pager", "aliases"};

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

AddressSources SourcesFromEnvironment(std::string flag) {
  AddressSources sources{std::move(flag), Environment("WAGGLE_QUEEN"), ""};
  std::string base = Environment("XDG_CONFIG_HOME");
  if (base.empty()) {
    std::string home = Environment("HOME");
    if (!home.empty()) base = home + "/.config";
  }
  if (!base.empty()) sources.config_file = base + "/waggle/config.yaml";
  return sources;
}

absl::StatusOr<std::string> SocketPath(std::string_view text) {
  bool scheme = text.starts_with("unix:");
  std::string_view path = text;
  if (scheme) path.remove_prefix(5);
  if (path.starts_with("//")) path.remove_prefix(2);
  if (path.empty()) return absl::InvalidArgumentError("the address of the queen is empty");

  std::error_code ignored;
  bool exists = std::filesystem::exists(std::filesystem::path(path), ignored);
  bool looks_like_path =
      path.find('/') != std::string_view::npos && path.find("://") == std::string_view::npos;
  if (!scheme && !looks_like_path && !exists) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot use the queen address ", std::string(text),
                     "\nremote queens come with certificates; this version speaks only to the Unix socket"
                     "\nnext: give the path of the socket or of the queen's data directory"));
  }
  std::filesystem::path absolute = std::filesystem::absolute(std::filesystem::path(path), ignored);
  if (std::filesystem::is_directory(absolute, ignored)) absolute /= kSocketName;
  return absolute.lexically_normal().string();
}

absl::StatusOr<std::string> QueenFromConfig(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path, kConfigBytes);
  if (absl::IsNotFound(text.status())) return std::string();
  if (!text.ok()) return text.status();
  try {
    YAML::Node root = YAML::Load(*text);
    if (root.IsNull()) return std::string();
    if (!root.IsMap()) return absl::InvalidArgumentError(absl::StrCat(path, ": expected `key: value` lines"));
    std::string queen;
    for (const auto& entry : root) {
      std::string key = entry.first.as<std::string>();
      bool known = false;
      for (std::string_view word : kKeys) known = known || word == key;
      if (!known) {
        return absl::InvalidArgumentError(absl::StrCat(path, ":", entry.first.Mark().line + 1,
                                                       ": unknown key `", key,
                                                       "`\nknown: queen, color, progress, pager, aliases"));
      }
      if (key == "queen") queen = entry.second.as<std::string>();
    }
    return queen;
  } catch (const YAML::Exception& e) {
    return absl::InvalidArgumentError(absl::StrCat(path, ":", e.mark.line + 1, ": ", e.msg));
  }
}

absl::StatusOr<Address> ResolveAddress(const AddressSources& sources) {
  std::string text = sources.flag;
  std::string origin = "--queen";
  if (text.empty()) {
    text = sources.environment;
    origin = "WAGGLE_QUEEN";
  }
  if (text.empty() && !sources.config_file.empty()) {
    ASSIGN_OR_RETURN(text, QueenFromConfig(sources.config_file));
    origin = sources.config_file;
  }
  if (text.empty()) return Address{kDefaultSocket, "the built-in default"};
  ASSIGN_OR_RETURN(std::string socket, SocketPath(text));
  return Address{std::move(socket), std::move(origin)};
}

}  // namespace waggle::cli
