#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/fd.h"

namespace waggle::rpc {

// A Unix socket as gRPC names it. One whose path is too long for Linux is reached through its directory,
// which stays open as long as this lives.
class UnixSocket {
 public:
  // `path` is absolute. NotFound, PermissionDenied, …: its directory cannot be opened. InvalidArgument: even
  // the file's own name is too long.
  static absl::StatusOr<UnixSocket> At(const std::string& path);

  // "unix:…", to listen on or to connect to.
  std::string Target() const;
  // Whether somebody listens there. NotFound: there is no socket, or nobody listens any more;
  // PermissionDenied: this user may not use it. Asked before gRPC, which says neither.
  absl::Status Knock() const;

 private:
  std::string path_;  // that fits
  UniqueFd directory_;
};

}  // namespace waggle::rpc
