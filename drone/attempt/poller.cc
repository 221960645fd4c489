#include "drone/attempt/poller.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "common/base/status_macros.h"

namespace waggle::attempt {
namespace {

constexpr std::uint64_t kTimerToken = 0;
constexpr int kEventsPerWait = 64;

}  // namespace

absl::StatusOr<std::unique_ptr<Poller>> Poller::Create() {
  auto poller = std::make_unique<Poller>();
  poller->epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  if (!poller->epoll_.valid()) return ErrnoStatus("make", "epoll set");
  poller->timer_ = UniqueFd(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!poller->timer_.valid()) return ErrnoStatus("make", "timer");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kTimerToken;
  if (::epoll_ctl(poller->epoll_.get(), EPOLL_CTL_ADD, poller->timer_.get(), &event) != 0) {
    return ErrnoStatus("watch", "timer");
  }
  return poller;
}

absl::StatusOr<Poller::Watch> Poller::Add(int fd, std::uint32_t events, Callback callback) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = next_;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return ErrnoStatus("watch", "descriptor");
  watches_.emplace(next_, Entry{fd, std::move(callback)});
  return next_++;
}

void Poller::Change(Watch watch, std::uint32_t events) {
  auto it = watches_.find(watch);
  if (it == watches_.end()) return;
  epoll_event event{};
  event.events = events;
  event.data.u64 = watch;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, it->second.fd, &event);
}

void Poller::Remove(Watch watch) {
  auto it = watches_.find(watch);
  if (it == watches_.end()) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, it->second.fd, nullptr);
  watches_.erase(it);
}

void Poller::WakeAt(std::optional<Time> time) {
  if (time == wake_) return;
  wake_ = time;
  itimerspec spec{};
  if (time) {
    // Zero would disarm: a time that is over already is one nanosecond after boot.
    const auto nanos = std::max<std::int64_t>(time->time_since_epoch().count(), 1);
    spec.it_value.tv_sec = nanos / 1'000'000'000;
    spec.it_value.tv_nsec = nanos % 1'000'000'000;
  }
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

absl::StatusOr<bool> Poller::Wait() {
  std::array<epoll_event, kEventsPerWait> events;
  int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
  if (count < 0) {
    if (errno == EINTR) return false;
    return ErrnoStatus("wait for", "events");
  }
  bool due = false;
  for (int i = 0; i < count; ++i) {
    const std::uint64_t token = events[i].data.u64;  // a copy: the struct is packed
    if (token == kTimerToken) {
      std::uint64_t expirations;
      if (::read(timer_.get(), &expirations, sizeof expirations) == sizeof expirations) due = true;
      continue;
    }
    auto it = watches_.find(token);
    if (it == watches_.end()) continue;
    Callback callback = it->second.callback;  // it may remove itself
    callback(events[i].events);
  }
  if (due) wake_.reset();
  return due;
}

}  // namespace waggle::attempt
