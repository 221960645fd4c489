#include "tests/support/chaos_proxy.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/status_macros.h"
#include "tests/support/stream_socket.h"

namespace waggle::test {
namespace {

constexpr std::size_t kMostLinks = 4096;  // connections: far above any test, far below the descriptors
constexpr Duration kRetry = std::chrono::milliseconds(5);  // the target's backlog is full, or no descriptor
constexpr int kEvents = 256;

// What epoll tells with an event: the number of the link, and which socket.
enum class Kind : std::uint64_t { kWake, kListener, kClient, kTarget };
std::uint64_t Tag(Kind kind, std::uint64_t number) {
  return number << 2 | static_cast<std::uint64_t>(kind);
}

struct Listener {
  SocketAddress address;
  UniqueFd reserve;  // TCP: bound, so that nobody else gets the port while the door is shut
  UniqueFd fd;       // none: it refuses
};

}  // namespace

class ChaosProxy::Loop {
 public:
  Loop(SocketAddress target, std::uint64_t seed)
      : target_(std::move(target)), world_{.random = sim::Random(seed, "chaos proxy")} {}
  ~Loop();

  absl::Status Start(const std::vector<std::string>& listen);
  void Perform(const ChaosStep& step);
  void CutAll();
  ChaosCounts counts() const;
  std::uint16_t port() const { return port_; }

 private:
  void Run();
  void SetFaults(const Faults& faults) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CutLinks() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Wake();
  absl::Status Open(std::size_t listener) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Accept(Listener& listener) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool ConnectOn(std::uint64_t number, ChaosLink& link) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Take(const epoll_event& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Steps every link; when to do so again if nothing happens.
  Time StepAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Watch(const UniqueFd& fd, std::uint64_t tag);

  const SocketAddress target_;
  UniqueFd epoll_, wake_;
  std::uint16_t port_ = 0;

  mutable absl::Mutex mutex_;
  ChaosLink::World world_ ABSL_GUARDED_BY(mutex_);
  std::vector<Listener> listeners_ ABSL_GUARDED_BY(mutex_);
  std::map<std::uint64_t, ChaosLink> links_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t last_link_ ABSL_GUARDED_BY(mutex_) = 0;
  bool retry_ ABSL_GUARDED_BY(mutex_) = false;  // somebody waits for what no event tells
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

ChaosProxy::Loop::~Loop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    for (const Listener& listener : listeners_) ::unlink(listener.address.path().c_str());
    if (thread_.joinable()) Wake();
  }
  if (thread_.joinable()) thread_.join();
  absl::MutexLock lock(&mutex_);
  for (auto& [number, link] : links_) link.Cut();
}

absl::Status ChaosProxy::Loop::Start(const std::vector<std::string>& listen) {
  epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  wake_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll_.valid() || !wake_.valid()) return ErrnoStatus("make epoll and eventfd", "of a chaos proxy");
  Watch(wake_, Tag(Kind::kWake, 0));
  absl::MutexLock lock(&mutex_);
  for (const std::string& text : listen) {
    ASSIGN_OR_RETURN(SocketAddress address, SocketAddress::Parse(text));
    UniqueFd reserve;
    if (address.is_tcp()) {
      ASSIGN_OR_RETURN(reserve, BindTo(address));
      address = address.WithPort(PortOf(reserve));
      if (port_ == 0) port_ = PortOf(reserve);
    }
    listeners_.push_back({std::move(address), std::move(reserve), {}});
    RETURN_IF_ERROR(Open(listeners_.size() - 1));
  }
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

absl::Status ChaosProxy::Loop::Open(std::size_t listener) {
  Listener& at = listeners_[listener];
  ASSIGN_OR_RETURN(at.fd, ListenAt(at.address));
  Watch(at.fd, Tag(Kind::kListener, listener));
  return absl::OkStatus();
}

void ChaosProxy::Loop::Watch(const UniqueFd& fd, std::uint64_t tag) {
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.u64 = tag}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0) {
    std::perror("chaos proxy: epoll_ctl");
    std::abort();
  }
}

void ChaosProxy::Loop::Wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);  // full: it is awake
}

void ChaosProxy::Loop::SetFaults(const Faults& faults) {
  world_.faults = faults;
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    if (faults.door == Door::kRefusing) {
      listeners_[i].fd.Reset();
    } else if (!listeners_[i].fd.valid()) {
      if (absl::Status opened = Open(i); !opened.ok()) {  // a proxy that stays shut would only confuse
        std::fprintf(stderr, "chaos proxy cannot listen again: %s\n", std::string(opened.message()).c_str());
        std::abort();
      }
    }
  }
}

void ChaosProxy::Loop::CutLinks() {
  for (auto& [number, link] : links_) link.Cut();
  world_.counts.cut += links_.size();
  links_.clear();
}

void ChaosProxy::Loop::CutAll() {
  absl::MutexLock lock(&mutex_);
  ++world_.counts.steps;
  CutLinks();
}

void ChaosProxy::Loop::Perform(const ChaosStep& step) {
  absl::MutexLock lock(&mutex_);
  ++world_.counts.steps;
  if (step.act == ChaosStep::Act::kCutAfter) {
    world_.cut_after = {};
    world_.cut_after[static_cast<std::size_t>(step.way)] = std::max<std::uint64_t>(step.bytes, 1);
    return;
  }
  SetFaults(step.faults);
  if (step.act == ChaosStep::Act::kCutAll) CutLinks();
  if (step.faults == Faults{}) world_.cut_after = {};
  Wake();
}

ChaosCounts ChaosProxy::Loop::counts() const {
  absl::MutexLock lock(&mutex_);
  ChaosCounts counts = world_.counts;
  counts.open = links_.size();
  for (const auto& [number, link] : links_) counts.held += link.held();
  return counts;
}

void ChaosProxy::Loop::Accept(Listener& listener) {
  while (listener.fd.valid()) {
    UniqueFd client(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!client.valid()) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      retry_ |= errno != EAGAIN;
      return;
    }
    ++world_.counts.accepted;
    if (links_.size() >= kMostLinks) {
      ++world_.counts.cut;
      Abort(std::move(client));
      continue;
    }
    SetNoDelay(client);
    Watch(client, Tag(Kind::kClient, ++last_link_));
    links_.emplace(last_link_, ChaosLink(std::move(client)));
  }
}

// False: the target cannot be reached.
bool ChaosProxy::Loop::ConnectOn(std::uint64_t number, ChaosLink& link) {
  absl::StatusOr<Connecting> target = StartConnect(target_);
  if (!target.ok()) return false;
  if (target->state == Connecting::State::kFull) {
    retry_ = true;
    return true;
  }
  SetNoDelay(target->fd);
  Watch(target->fd, Tag(Kind::kTarget, number));
  link.Connect(std::move(target->fd));
  return true;
}

void ChaosProxy::Loop::Take(const epoll_event& event) {
  const std::uint64_t number = event.data.u64 >> 2;
  const Kind kind = static_cast<Kind>(event.data.u64 & 3);
  if (kind == Kind::kWake) {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t read = ::read(wake_.get(), &count, sizeof count);
  } else if (kind != Kind::kListener) {
    auto link = links_.find(number);  // none: it was cut meanwhile
    if (link == links_.end()) return;
    link->second.Ready(kind == Kind::kClient ? ChaosLink::Side::kClient : ChaosLink::Side::kTarget,
                       event.events);
  }
}

Time ChaosProxy::Loop::StepAll() {
  world_.now = BootClock::now();
  retry_ = false;
  for (Listener& listener : listeners_) Accept(listener);
  Time due = Time::max();
  for (auto at = links_.begin(); at != links_.end();) {
    auto& [number, link] = *at;
    if (!link.connected() && world_.faults.door == Door::kOpen && !ConnectOn(number, link)) {
      ++world_.counts.unreachable;
      link.Cut();
      at = links_.erase(at);
      continue;
    }
    const ChaosLink::Next next = link.Step(world_);
    if (next == ChaosLink::Next::kOver) {
      at = links_.erase(at);
      continue;
    }
    due = std::min(due, next == ChaosLink::Next::kAgain ? world_.now : link.Due(world_));
    ++at;
  }
  return retry_ ? std::min(due, world_.now + kRetry) : due;
}

// The proxy's only thread: waits for sockets, commands and due bytes, then looks at everything. All links are
// looked at each time: they are few, and a fault may have changed what any of them may do.
void ChaosProxy::Loop::Run() {
  std::array<epoll_event, kEvents> events;
  Time due{};
  for (;;) {
    int timeout = -1;
    if (due != Time::max()) {
      const Duration wait = std::max(Duration(0), due - BootClock::now());
      const auto millis = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
      timeout = static_cast<int>(std::min<std::int64_t>(millis, 60'000));
    }
    const int count = ::epoll_wait(epoll_.get(), events.data(), kEvents, timeout);
    absl::MutexLock lock(&mutex_);
    if (stopping_) return;
    for (int i = 0; i < count; ++i) Take(events[static_cast<std::size_t>(i)]);
    due = StepAll();
  }
}

ChaosProxy::ChaosProxy(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
ChaosProxy::~ChaosProxy() = default;

absl::StatusOr<std::unique_ptr<ChaosProxy>> ChaosProxy::Create(const std::vector<std::string>& listen,
                                                               const std::string& target,
                                                               std::uint64_t seed) {
  ASSIGN_OR_RETURN(SocketAddress address, SocketAddress::Parse(target));
  auto loop = std::make_unique<Loop>(std::move(address), seed);
  RETURN_IF_ERROR(loop->Start(listen));
  return std::unique_ptr<ChaosProxy>(new ChaosProxy(std::move(loop)));
}

void ChaosProxy::Set(const Faults& faults) {
  Perform({.act = ChaosStep::Act::kSet, .faults = faults});
}
void ChaosProxy::Heal() {
  Perform({});
}
void ChaosProxy::CutAll() {
  loop_->CutAll();
}
void ChaosProxy::CutAfter(Way way, std::uint64_t bytes) {
  Perform({.act = ChaosStep::Act::kCutAfter, .way = way, .bytes = bytes});
}
void ChaosProxy::Perform(const ChaosStep& step) {
  loop_->Perform(step);
}

ChaosCounts ChaosProxy::counts() const {
  return loop_->counts();
}
std::uint16_t ChaosProxy::port() const {
  return loop_->port();
}

}  // namespace waggle::test
