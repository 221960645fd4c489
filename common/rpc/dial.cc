#include "common/rpc/dial.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/await.h"
#include "common/base/status_macros.h"

namespace waggle::rpc {
namespace {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// What getaddrinfo said; shared with its thread, which nothing can interrupt and which may outlive the wait.
struct Resolution {
  absl::Mutex mutex;
  bool done ABSL_GUARDED_BY(mutex) = false;
  int error ABSL_GUARDED_BY(mutex) = 0;
  std::vector<Address> addresses ABSL_GUARDED_BY(mutex);
};

absl::Status Poll(int fd, short events, Time until, std::string_view what) {
  for (;;) {
    const Duration left = until - BootClock::now();
    const auto millis = std::chrono::ceil<std::chrono::milliseconds>(std::max(left, Duration::zero()));
    pollfd entry{fd, events, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(std::min<std::int64_t>(millis.count(), 60'000)));
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) return ErrnoStatus("wait for", what);
    if (BootClock::now() >= until)
      return absl::DeadlineExceededError(absl::StrCat("timed out waiting for ", std::string(what)));
  }
}

int Resolve(const std::string& host, const std::string& port, int flags, std::vector<Address>* out) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (error != 0) return error;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    Address& address = out->emplace_back();
    address.size = each->ai_addrlen;
    std::memcpy(&address.storage, each->ai_addr, each->ai_addrlen);
  }
  ::freeaddrinfo(found);
  return 0;
}

absl::StatusOr<std::vector<Address>> ResolveUntil(const std::string& host, const std::string& port,
                                                  Time until) {
  std::vector<Address> numeric;
  if (Resolve(host, port, AI_NUMERICHOST, &numeric) == 0) return numeric;
  auto resolution = std::make_shared<Resolution>();
  try {
    std::thread([resolution, host, port] {
      std::vector<Address> addresses;
      const int error = Resolve(host, port, 0, &addresses);
      absl::MutexLock lock(&resolution->mutex);
      resolution->error = error;
      resolution->addresses = std::move(addresses);
      resolution->done = true;
    }).detach();
  } catch (const std::system_error& e) {
    return absl::ResourceExhaustedError(absl::StrCat("cannot resolve ", host, ": ", e.what()));
  }
  absl::MutexLock lock(&resolution->mutex);
  AwaitUntil(resolution->mutex, absl::Condition(&resolution->done), until);
  if (!resolution->done)
    return absl::DeadlineExceededError(absl::StrCat("timed out resolving the name ", host));
  if (resolution->error != 0)
    return absl::UnavailableError(absl::StrCat("cannot resolve ", host, ": ",
                                               ::gai_strerror(resolution->error),
                                               ": check the name, or write the server's address"));
  return resolution->addresses;
}

absl::StatusOr<UniqueFd> Connect(const Address& address, const std::string& where, Time until) {
  UniqueFd socket(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return ErrnoStatus("open a socket for", where);
  const int on = 1;
  (void)::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  int error = ::connect(socket.get(), address.get(), address.size) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    RETURN_IF_ERROR(AwaitWritable(socket.get(), until, absl::StrCat("a connection to ", where)));
    socklen_t size = sizeof error;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  }
  if (error == 0) return socket;
  if (error == ECONNREFUSED)
    return absl::UnavailableError(
        absl::StrCat(where, " refused the connection: check that the server runs and that this is its port"));
  return absl::UnavailableError(absl::StrCat("cannot reach ", where, ": ", ::strerror(error)));
}

}  // namespace

absl::Status AwaitReadable(int fd, Time until, std::string_view what) {
  return Poll(fd, POLLIN, until, what);
}

absl::Status AwaitWritable(int fd, Time until, std::string_view what) {
  return Poll(fd, POLLOUT, until, what);
}

absl::StatusOr<UniqueFd> Dial(const std::string& host, const std::string& port, Time until) {
  ASSIGN_OR_RETURN(const std::vector<Address> addresses, ResolveUntil(host, port, until));
  const std::string where = absl::StrCat(host, " port ", port);
  absl::Status last = absl::UnavailableError(absl::StrCat("cannot resolve ", host, ": it has no address"));
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    // What is left is shared among the addresses that are left: a dead first one leaves time for the others.
    const Time now = BootClock::now();
    const Time share = now + (until - now) / static_cast<int>(addresses.size() - i);
    absl::StatusOr<UniqueFd> socket = Connect(addresses[i], where, share);
    if (socket.ok()) return socket;
    last = socket.status();
  }
  return last;
}

}  // namespace waggle::rpc
