#include "queen/http/door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "queen/http/admission.h"

namespace waggle::queen::http {
namespace {

constexpr std::string_view kUnix = "unix:";
// Looking who has left costs a system call per connection; a flood of refused ones pays for it no more often.
constexpr auto kSweepEvery = 50ms;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

absl::StatusOr<Address> UnixAddress(const std::string& path) {
  Address address;
  auto* local = reinterpret_cast<sockaddr_un*>(&address.storage);
  if (path.empty() || path.size() >= sizeof local->sun_path) {
    return absl::InvalidArgumentError(absl::StrCat("the socket path ", Quoted(path), " has ", path.size(),
                                                   " bytes; Linux allows 1 to ", sizeof local->sun_path - 1));
  }
  local->sun_family = AF_UNIX;
  path.copy(local->sun_path, sizeof local->sun_path - 1);
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return address;
}

absl::StatusOr<Address> TcpAddress(const Door::Config& config) {
  const auto fault = absl::InvalidArgumentError(
      absl::StrCat("the port for ", config.name, " cannot be at ", Quoted(config.listen),
                   "\nnext: write an address and a port, such as 0.0.0.0:7874 or [::]:7874"));
  const std::size_t colon = config.listen.rfind(':');
  if (colon == std::string::npos) return fault;
  std::string host = config.listen.substr(0, colon);
  const std::string port = config.listen.substr(colon + 1);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  unsigned number = 0;
  if (host.empty() || (host.find(':') != std::string::npos) != bracketed || port.empty() || port.size() > 5 ||
      port.find_first_not_of("0123456789") != std::string::npos || !absl::SimpleAtoi(port, &number) ||
      number > 65535) {
    return fault;
  }
  addrinfo hints{};
  hints.ai_family = bracketed ? AF_INET6 : AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0 || found == nullptr) return fault;
  Address address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.size = found->ai_addrlen;
  ::freeaddrinfo(found);
  return address;
}

struct Peer {
  std::string host, text;  // "127.0.0.1" and "127.0.0.1:50123"; the same for all of a Unix socket
};

// An IPv4 client of an IPv6 socket as what it is; without a scope.
Peer PeerOf(const Address& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.family() == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address.storage);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return {text, absl::StrCat(text, ":", ntohs(v4.sin_port))};
  }
  if (address.family() != AF_INET6) return {"a local process", ""};
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address.storage);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    ::inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, sizeof text);
    return {text, absl::StrCat(text, ":", ntohs(v6.sin6_port))};
  }
  ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  return {text, absl::StrCat("[", text, "]:", ntohs(v6.sin6_port))};
}

absl::StatusOr<UniqueFd> BoundSocket(Address& address, const std::string& text) {
  UniqueFd socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return ErrnoStatus("open a socket for", text);
  if (address.family() == AF_UNIX) {
    const char* path = reinterpret_cast<sockaddr_un*>(&address.storage)->sun_path;
    struct stat info;
    if (::lstat(path, &info) == 0 && S_ISSOCK(info.st_mode)) ::unlink(path);
    const mode_t mask = ::umask(0177);  // its permissions are what authenticates people
    const int bound = ::bind(socket.get(), address.get(), address.size);
    const int error = errno;
    ::umask(mask);
    errno = error;
    if (bound != 0) return ErrnoStatus("listen on", text);
    return socket;
  }
  // Accepted sockets inherit these.
  const int on = 1, off = 0;
  const auto unanswered = static_cast<unsigned>(std::chrono::milliseconds(limits::kKeepaliveTimeout).count());
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  (void)::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  (void)::setsockopt(socket.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered, sizeof unanswered);
  if (address.family() == AF_INET6)
    (void)::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (::bind(socket.get(), address.get(), address.size) != 0) return ErrnoStatus("listen on", text);
  return socket;
}

// What the kernel calls an open socket; nothing: `fd` is no open socket. Another call's answer differs when
// the descriptor was closed in between, even if its number was given out again.
std::optional<ino_t> SocketAt(int fd) {
  struct stat info;
  if (::fstat(fd, &info) != 0 || !S_ISSOCK(info.st_mode)) return std::nullopt;
  return info.st_ino;
}

}  // namespace

struct Door::Impl {
  explicit Impl(Config config)
      : config(std::move(config)),
        tally(this->config.name),
        admission(this->config.in_all, this->config.per_address) {}

  void Run();
  bool Accept();
  bool Admit(const UniqueFd& socket, const Peer& peer);
  void Sweep() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  bool Stopped(Duration wait) const;

  const Config config;
  UniqueFd socket, stop;
  std::string bound, path;
  std::uint16_t port = 0;
  Enter enter;
  std::thread thread;
  Tally tally;

  struct Entry {
    ino_t socket = 0;
    std::string peer;
    Admission::Place place;
  };
  absl::Mutex mutex;
  Admission admission;
  // By descriptor. One whose number comes again has left; the others are looked after when places are scarce.
  absl::flat_hash_map<int, Entry> entries ABSL_GUARDED_BY(mutex);
  Time next_sweep ABSL_GUARDED_BY(mutex){};
};

void Door::Impl::Sweep() {
  for (auto entry = entries.begin(); entry != entries.end();) {
    const auto current = entry++;
    if (SocketAt(current->first) != current->second.socket) entries.erase(current);
  }
}

// False: there is no place for it.
bool Door::Impl::Admit(const UniqueFd& socket, const Peer& peer) {
  absl::MutexLock lock(&mutex);
  entries.erase(socket.get());
  Admission::Ticket ticket = admission.Take(peer.host);
  if (ticket.place == nullptr) {
    const Time now = BootClock::now();
    if (now >= next_sweep) {
      next_sweep = now + kSweepEvery;
      Sweep();
      ticket = admission.Take(peer.host);
    }
  }
  if (ticket.place == nullptr) {
    const bool address = ticket.full == Admission::Full::kAddress;
    tally.Count(address ? Refused::kAddressFull : Refused::kServerFull, peer.host,
                absl::StrCat("it has ", address ? config.per_address : config.in_all));
    return false;
  }
  entries[socket.get()] = {SocketAt(socket.get()).value_or(0), peer.text, std::move(ticket.place)};
  return true;
}

// False: errno says why.
bool Door::Impl::Accept() {
  Address address;
  UniqueFd connected(::accept4(socket.get(), address.get(), &address.size, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!connected.valid()) return false;
  if (Admit(connected, PeerOf(address))) enter(std::move(connected));
  return true;
}

// Whether the door is to be closed; waits so long for it.
bool Door::Impl::Stopped(Duration wait) const {
  pollfd entry{stop.get(), POLLIN, 0};
  return ::poll(&entry, 1, static_cast<int>(absl::ToInt64Milliseconds(absl::FromChrono(wait)))) > 0;
}

// The loop of the thread: ends when the door is closed.
void Door::Impl::Run() {
  for (;;) {
    pollfd waits[] = {{socket.get(), POLLIN, 0}, {stop.get(), POLLIN, 0}};
    if (::poll(waits, 2, -1) < 0) continue;  // a signal
    if (waits[1].revents != 0) return;
    if (Accept() || errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) continue;
    // Out of descriptors or memory: another try at once fails too, and the connection waits in the kernel.
    tally.Count(Refused::kNoDescriptors, bound,
                absl::StrCat(std::string(::strerror(errno)), ": raise the limit of open files"));
    if (Stopped(config.pause)) return;
  }
}

absl::StatusOr<std::unique_ptr<Door>> Door::Bind(Config config) {
  auto impl = std::make_unique<Impl>(std::move(config));
  const std::string& listen = impl->config.listen;
  Address address;
  if (listen.substr(0, kUnix.size()) == kUnix) {
    impl->path = listen.substr(kUnix.size());
    ASSIGN_OR_RETURN(address, UnixAddress(impl->path));
  } else {
    ASSIGN_OR_RETURN(address, TcpAddress(impl->config));
  }
  ASSIGN_OR_RETURN(impl->socket, BoundSocket(address, listen));
  impl->bound = listen;
  if (impl->path.empty()) {
    Address bound;
    if (::getsockname(impl->socket.get(), bound.get(), &bound.size) != 0)
      return ErrnoStatus("listen on", listen);
    impl->bound = PeerOf(bound).text;
    impl->port = ntohs(bound.family() == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(bound.storage).sin6_port
                                                  : reinterpret_cast<sockaddr_in&>(bound.storage).sin_port);
  }
  impl->stop.Reset(::eventfd(0, EFD_CLOEXEC));
  if (!impl->stop.valid()) return ErrnoStatus("make an event for", listen);
  return std::unique_ptr<Door>(new Door(std::move(impl)));
}

absl::Status Door::Open(Enter enter) {
  if (::listen(impl_->socket.get(), SOMAXCONN) != 0) return ErrnoStatus("listen on", impl_->bound);
  impl_->enter = std::move(enter);
  impl_->thread = std::thread([impl = impl_.get()] { impl->Run(); });
  return absl::OkStatus();
}

Door::Door(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Door::~Door() {
  Close();
}

void Door::Close() {
  (void)::eventfd_write(impl_->stop.get(), 1);
  if (impl_->thread.joinable()) impl_->thread.join();
  if (impl_->socket.valid() && !impl_->path.empty()) ::unlink(impl_->path.c_str());
  impl_->socket.Reset();
}

const std::string& Door::bound() const {
  return impl_->bound;
}

std::uint16_t Door::port() const {
  return impl_->port;
}

bool Door::Cut(std::string_view peer) {
  absl::MutexLock lock(&impl_->mutex);
  for (const auto& [fd, entry] : impl_->entries) {
    if (entry.peer != peer || SocketAt(fd) != entry.socket) continue;
    // Should its owner close it in this very moment, another connection may be ended: that peer comes again.
    ::shutdown(fd, SHUT_RDWR);
    return true;
  }
  return false;
}

std::size_t Door::connections() {
  absl::MutexLock lock(&impl_->mutex);
  impl_->Sweep();
  return impl_->entries.size();
}

std::uint64_t Door::refused(Refused kind) const {
  return impl_->tally.count(kind);
}

}  // namespace waggle::queen::http
