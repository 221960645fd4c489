#include "common/rpc/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace waggle::rpc {
namespace {

constexpr std::size_t kLongest = sizeof(sockaddr_un::sun_path) - 1;

}  // namespace

absl::StatusOr<UnixSocket> UnixSocket::At(const std::string& path) {
  UnixSocket socket;
  socket.path_ = path;
  if (path.size() <= kLongest) return socket;
  const std::size_t slash = path.rfind('/');
  ASSIGN_OR_RETURN(socket.directory_, Open(path.substr(0, slash), O_PATH | O_DIRECTORY));
  socket.path_ = absl::StrCat("/proc/self/fd/", socket.directory_.get(), path.substr(slash));
  if (socket.path_.size() > kLongest) {
    return absl::InvalidArgumentError(absl::StrCat("the file name of ", path, " is too long for a socket"));
  }
  return socket;
}

// gRPC reads a target as a URI and decodes it.
std::string UnixSocket::Target() const {
  std::string target = "unix:";
  for (const char c : path_) {
    const bool plain = absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                       std::string_view("/-._~").find(c) != std::string_view::npos;
    if (plain) {
      target.push_back(c);
    } else {
      absl::StrAppend(&target, "%", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    }
  }
  return target;
}

absl::Status UnixSocket::Knock() const {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path_.data(), path_.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus("make", "a socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 || errno == EAGAIN) {
    return absl::OkStatus();  // EAGAIN: its backlog is full, so somebody is there
  }
  if (errno == EACCES || errno == EPERM) return absl::PermissionDeniedError(std::strerror(errno));
  return absl::NotFoundError(errno == ECONNREFUSED ? "nobody listens there" : std::strerror(errno));
}

}  // namespace waggle::rpc
