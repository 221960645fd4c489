#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/base/fd.h"

namespace waggle::attempt {

// Binds and listens on DIRECTORY/shim.sock, whatever the length of the path.
absl::StatusOr<UniqueFd> ListenForDaemon(const std::string& directory);

// Connects to it, non-blocking, and asks the kernel to name the sender of what is read (SCM_CREDENTIALS): the
// listener's own credentials (SO_PEERCRED) would be those of the daemon that bound the socket, not of the
// shim. NotFound: no socket. Unavailable: nobody listens any more. ResourceExhausted: its queue is full, try
// again.
absl::StatusOr<UniqueFd> ConnectToShim(const std::string& directory);

}  // namespace waggle::attempt
