#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/fd.h"

// Stream sockets for the tools that stand between processes: Unix and TCP alike, descriptors of their caller.
namespace waggle::test {

// Where a stream socket is: "unix:/path" (107 bytes of path at most) or "tcp:127.0.0.1:7874" (an IPv4
// address; port 0 lets the kernel choose one when listening).
class SocketAddress {
 public:
  static absl::StatusOr<SocketAddress> Parse(std::string_view text);

  const std::string& text() const { return text_; }
  const std::string& path() const { return path_; }  // "": it is TCP
  bool is_tcp() const { return path_.empty(); }
  SocketAddress WithPort(std::uint16_t port) const;
  // As bind(2) and connect(2) want it; the size in bytes.
  socklen_t Fill(sockaddr_storage* out) const;

 private:
  std::string text_, path_;
  std::uint32_t ip_ = 0;  // host byte order
  std::uint16_t port_ = 0;
};

// A non-blocking socket bound to the address, not listening: who connects is refused. A Unix socket takes the
// place of whatever is at its path; any number of TCP sockets may be bound to one port.
absl::StatusOr<UniqueFd> BindTo(const SocketAddress& address);
absl::StatusOr<UniqueFd> ListenAt(const SocketAddress& address);
std::uint16_t PortOf(const UniqueFd& socket);  // 0: none

// A blocking socket that is connected. Errors as connect(2) gives them.
absl::StatusOr<UniqueFd> ConnectTo(const SocketAddress& address);

struct Connecting {
  enum class State : std::uint8_t { kDone, kPending, kFull };  // kFull: the backlog has no place, try again
  UniqueFd fd;                                                 // non-blocking; none if kFull
  State state = State::kDone;
};
absl::StatusOr<Connecting> StartConnect(const SocketAddress& address);

void SetNoDelay(const UniqueFd& socket);  // nothing for a Unix socket

// Closes at once: TCP with a reset, which drops what the kernel has not sent yet.
void Abort(UniqueFd socket);
// The other end's kernel has all that was written (TCP), or will never have it. Always so for Unix.
bool AllDelivered(const UniqueFd& socket);

}  // namespace waggle::test
