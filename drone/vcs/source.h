#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace waggle::vcs {

inline constexpr std::size_t kAddressBytes = 4096;  // a longer repository address is refused

// Where a repository lives. Holds no credential: an address that carries a password is refused, because
// addresses are shown, stored and visible in the process list.
struct Source {
  enum class Kind { kPath, kHttp, kSsh, kGit };
  Kind kind = Kind::kPath;
  std::string address;   // what libgit2 is given and what people are shown
  std::string username;  // from user@ in the address; may be empty

  // Directory name of this source's mirror: a readable part and 128 bits of SHA-256 of the address.
  std::string MirrorName() const;
};

// Accepts an absolute path, file:///path, http://, https://, ssh://, git:// and user@host:path; nothing else,
// in any case (ext::, -options, other helpers). InvalidArgument says what is wrong and what is accepted.
absl::StatusOr<Source> ParseSource(std::string_view text);

// `text` with control bytes replaced and cut to one short line: what a remote says is shown to people.
std::string Printable(std::string_view text);

}  // namespace waggle::vcs
