#include "common/config/address.h"

#include <filesystem>

namespace waggle::config {
namespace {

constexpr std::string_view kSocketName = "queen.sock";

// The path an address names, and whether it says that it is one of a socket.
struct Written {
  std::string_view path;
  bool socket = false;
};

Written Read(std::string_view text) {
  const bool scheme = text.starts_with("unix:");
  if (scheme) text.remove_prefix(5);
  if (scheme && text.starts_with("//")) text.remove_prefix(2);
  return {text, scheme};
}

bool Exists(std::string_view path) {
  std::error_code ignored;
  return std::filesystem::exists(std::filesystem::path(path), ignored);
}

}  // namespace

std::string QueenSocket(std::string_view text) {
  const Written written = Read(text);
  std::error_code ignored;
  std::filesystem::path path =
      std::filesystem::absolute(std::filesystem::path(written.path), ignored).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  const bool named = written.socket || Exists(written.path) || path.extension() == ".sock";
  if (!named || std::filesystem::is_directory(path, ignored)) path /= kSocketName;
  return path.string();
}

std::optional<Fault> CheckQueen(std::string_view text) {
  const Written written = Read(text);
  const std::string_view path = written.path;
  if (path.empty())
    return Fault{"names no socket", "write the path of the queen's socket or of her data directory"};
  const bool looks_like_path = path.find("://") == std::string_view::npos &&
                               (path.find('/') != std::string_view::npos || path.ends_with(".sock"));
  if (written.socket || looks_like_path || Exists(path)) return std::nullopt;
  return Fault{"is no queen on this host",
               "remote queens come with certificates; this version speaks only to the queen's Unix socket: "
               "write its path, such as /run/queen/queen.sock"};
}

}  // namespace waggle::config
