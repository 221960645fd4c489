#pragma once

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "common/base/fd.h"

namespace waggle::attempt {

// What a shim hears its daemon on. The daemon keeps its own descriptor for the next attempt in this directory
// (spares.h); a connection made to it between two shims waits, so ForgetCallers() comes before the next.
struct Listener {
  UniqueFd fd;
  ino_t inode = 0;  // of DIRECTORY/shim.sock
};

// Binds and listens on DIRECTORY/shim.sock, whatever the length of the path.
absl::StatusOr<Listener> ListenForDaemon(const std::string& directory);
void ForgetCallers(const Listener& listener);

// Connects to it, non-blocking, and asks the kernel to name the sender of what is read (SCM_CREDENTIALS): the
// listener's own credentials (SO_PEERCRED) would be those of the daemon that bound the socket, not of the
// shim. NotFound: no socket. Unavailable: nobody listens any more. ResourceExhausted: its queue is full, try
// again.
absl::StatusOr<UniqueFd> ConnectToShim(const std::string& directory);

}  // namespace waggle::attempt
