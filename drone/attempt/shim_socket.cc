#include "drone/attempt/shim_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "drone/shim/protocol.h"

namespace waggle::attempt {
namespace {

constexpr int kBacklog = 8;

// The address of the socket in `directory`; a path over 107 bytes goes through the directory's descriptor,
// which must stay open as long as the address is used.
absl::StatusOr<sockaddr_un> Address(const std::string& directory, UniqueFd* keep) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string path = absl::StrCat(directory, "/", std::string(shim::kSocketName));
  if (path.size() >= sizeof address.sun_path) {
    ASSIGN_OR_RETURN(*keep, Open(directory, O_PATH | O_DIRECTORY));
    path = absl::StrCat("/proc/self/fd/", keep->get(), "/", std::string(shim::kSocketName));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

}  // namespace

absl::StatusOr<Listener> ListenForDaemon(const std::string& directory) {
  UniqueFd keep;
  ASSIGN_OR_RETURN(const sockaddr_un address, Address(directory, &keep));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus("make a socket in", directory);
  // The daemon's alone: who may connect may cancel.
  if (::fchmod(fd.get(), 0600) != 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), kBacklog) != 0) {
    return ErrnoStatus("listen in", directory);
  }
  struct stat info;
  if (::lstat(absl::StrCat(directory, "/", std::string(shim::kSocketName)).c_str(), &info) != 0) {
    return ErrnoStatus("look at the socket in", directory);
  }
  return Listener{std::move(fd), info.st_ino};
}

void ForgetCallers(const Listener& listener) {
  for (int i = 0; i <= kBacklog; ++i) {
    UniqueFd caller(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!caller.valid()) return;
  }
}

absl::StatusOr<UniqueFd> ConnectToShim(const std::string& directory) {
  UniqueFd keep;
  ASSIGN_OR_RETURN(const sockaddr_un address, Address(directory, &keep));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus("make a socket for", directory);
  const int on = 1;
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
    return ErrnoStatus("ask for credentials in", directory);
  }
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  if (errno == ECONNREFUSED) return absl::UnavailableError(absl::StrCat("nobody listens in ", directory));
  if (errno == EAGAIN)
    return absl::ResourceExhaustedError(absl::StrCat("the shim in ", directory, " is busy"));
  return ErrnoStatus("connect to the shim in", directory);
}

}  // namespace waggle::attempt
