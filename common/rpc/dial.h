#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/fd.h"

namespace waggle::rpc {

// Waits until the socket can be read or written; DeadlineExceeded at `until`. `what` is what is waited for,
// "the server's answer".
absl::Status AwaitReadable(int fd, Time until, std::string_view what);
absl::Status AwaitWritable(int fd, Time until, std::string_view what);

// A TCP connection that does not block, to whichever address of `host` answers first in the resolver's order.
// `host` is a name or an address without brackets. Unavailable: cannot resolve, refused, unreachable;
// DeadlineExceeded.
absl::StatusOr<UniqueFd> Dial(const std::string& host, const std::string& port, Time until);

}  // namespace waggle::rpc
