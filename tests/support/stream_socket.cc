#include "tests/support/stream_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/un.h>
#include <unistd.h>

// After the headers of the C library: both define TCP states.
#include <linux/sockios.h>

#include <cstdio>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace waggle::test {
namespace {

constexpr int kBacklog = 1024;  // connections; more than any test opens at once
// Of each direction of a socket; left to itself TCP takes tens of MiB before a sender feels anything.
constexpr int kKernelBuffer = 128 * 1024;

absl::Status Malformed(std::string_view text, const char* why) {
  return absl::InvalidArgumentError(absl::StrCat("socket address ", std::string(text), ": ", why,
                                                 "; write unix:/path or tcp:127.0.0.1:PORT"));
}

absl::StatusOr<UniqueFd> MakeSocket(bool tcp, int flags) {
  UniqueFd fd(::socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  if (!fd.valid()) return ErrnoStatus("make socket", tcp ? "tcp" : "unix");
  if (tcp) {  // before listen and connect: they agree on the window; who is accepted inherits
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &kKernelBuffer, sizeof kKernelBuffer);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kKernelBuffer, sizeof kKernelBuffer);
  }
  return fd;
}

bool IsTcp(const UniqueFd& socket) {
  int domain = 0;
  socklen_t size = sizeof domain;
  return ::getsockopt(socket.get(), SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_INET;
}

}  // namespace

absl::StatusOr<SocketAddress> SocketAddress::Parse(std::string_view text) {
  SocketAddress address;
  address.text_ = text;
  if (text.starts_with("unix:")) {
    address.path_ = text.substr(5);
    if (address.path_.empty()) return Malformed(text, "the path is empty");
    if (address.path_.size() >= sizeof(sockaddr_un::sun_path)) {
      return Malformed(text, "the path has more than 107 bytes");
    }
    return address;
  }
  const std::size_t colon = text.rfind(':');
  if (!text.starts_with("tcp:") || colon < 4) return Malformed(text, "neither unix nor tcp with a port");
  const std::string host(text.substr(4, colon - 4)), port(text.substr(colon + 1));
  in_addr ip{};
  if (::inet_pton(AF_INET, host.c_str(), &ip) != 1) return Malformed(text, "no IPv4 address");
  std::uint32_t number = 0;
  if (!absl::SimpleAtoi(port, &number) || number > 65'535) return Malformed(text, "no port");
  address.ip_ = ntohl(ip.s_addr);
  address.port_ = static_cast<std::uint16_t>(number);
  return address;
}

SocketAddress SocketAddress::WithPort(std::uint16_t port) const {
  SocketAddress other = *this;
  if (!is_tcp()) return other;
  other.port_ = port;
  other.text_ = absl::StrCat(text_.substr(0, text_.rfind(':')), ":", port);
  return other;
}

socklen_t SocketAddress::Fill(sockaddr_storage* out) const {
  *out = {};
  if (is_tcp()) {
    auto* in = reinterpret_cast<sockaddr_in*>(out);
    in->sin_family = AF_INET;
    in->sin_port = htons(port_);
    in->sin_addr.s_addr = htonl(ip_);
    return sizeof *in;
  }
  auto* un = reinterpret_cast<sockaddr_un*>(out);
  un->sun_family = AF_UNIX;
  path_.copy(un->sun_path, sizeof un->sun_path - 1);
  return sizeof *un;
}

absl::StatusOr<UniqueFd> BindTo(const SocketAddress& address) {
  ASSIGN_OR_RETURN(UniqueFd fd, MakeSocket(address.is_tcp(), SOCK_NONBLOCK));
  sockaddr_storage where;
  const socklen_t size = address.Fill(&where);
  if (address.is_tcp()) {
    const int yes = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
  } else {
    ::unlink(address.path().c_str());
  }
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&where), size) != 0) {
    return ErrnoStatus("bind to", address.text());
  }
  return fd;
}

absl::StatusOr<UniqueFd> ListenAt(const SocketAddress& address) {
  ASSIGN_OR_RETURN(UniqueFd fd, BindTo(address));
  if (::listen(fd.get(), kBacklog) != 0) return ErrnoStatus("listen at", address.text());
  return fd;
}

std::uint16_t PortOf(const UniqueFd& socket) {
  sockaddr_in in{};
  socklen_t size = sizeof in;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&in), &size) != 0) return 0;
  return in.sin_family == AF_INET ? ntohs(in.sin_port) : std::uint16_t{0};
}

absl::StatusOr<UniqueFd> ConnectTo(const SocketAddress& address) {
  ASSIGN_OR_RETURN(UniqueFd fd, MakeSocket(address.is_tcp(), 0));
  sockaddr_storage where;
  const socklen_t size = address.Fill(&where);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&where), size) != 0) {
    return ErrnoStatus("connect to", address.text());
  }
  return fd;
}

absl::StatusOr<Connecting> StartConnect(const SocketAddress& address) {
  using State = Connecting::State;
  ASSIGN_OR_RETURN(UniqueFd fd, MakeSocket(address.is_tcp(), SOCK_NONBLOCK));
  sockaddr_storage where;
  const socklen_t size = address.Fill(&where);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&where), size) == 0) {
    return Connecting{std::move(fd), State::kDone};
  }
  if (errno == EINPROGRESS) return Connecting{std::move(fd), State::kPending};
  if (errno == EAGAIN) return Connecting{{}, State::kFull};
  return ErrnoStatus("connect to", address.text());
}

void SetNoDelay(const UniqueFd& socket) {
  const int yes = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

void Abort(UniqueFd socket) {
  const linger now{1, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

bool AllDelivered(const UniqueFd& socket) {
  if (!IsTcp(socket)) return true;
  int unsent = 0;
  pollfd gone{socket.get(), 0, 0};
  return ::ioctl(socket.get(), SIOCOUTQ, &unsent) != 0 || unsent == 0 || ::poll(&gone, 1, 0) > 0;
}

}  // namespace waggle::test
