#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace waggle::vcs {

inline constexpr std::size_t kCredentialBytes = 64 * 1024;  // all of standard input; keys are a few KiB

// What opens a repository. Lives in this process's memory only: never in argv, a file, a message or the
// environment.
struct Credentials {
  std::string username, password;
  std::string ssh_key;  // PEM or OpenSSH text
};

// Reads descriptor `fd` to its end: lines `username X`, `password Y`, and `sshkey N` followed by N bytes, in
// any order. InvalidArgument names the line by number, never by content.
absl::StatusOr<Credentials> ReadCredentials(int fd);

}  // namespace waggle::vcs
