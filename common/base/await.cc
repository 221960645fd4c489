#include "common/base/await.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace waggle {
namespace {

// One wait, on the stack of who waits.
struct Waiter {
  absl::Mutex& mutex;
  bool due = false;  // guarded by the mutex
};

// Lives as long as the process: whoever waits at its end must not find it gone.
class Alarms {
 public:
  static Alarms& Get() {
    static Alarms& alarms = *new Alarms();
    return alarms;
  }

  void Add(Time at, Waiter* waiter) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    waiters_.emplace(at, waiter);
    if (waiters_.begin()->second == waiter) Arm(at);
  }
  // False: it is being told that its time has come.
  bool Remove(Time at, Waiter* waiter) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return waiters_.erase({at, waiter}) > 0;  // a timer that is due for nobody is harmless
  }

 private:
  Alarms() : timer_(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC)) {
    if (timer_ < 0) {
      std::perror("cannot make a timer");
      std::abort();
    }
    std::thread([this] { Loop(); }).detach();
  }

  void Arm(Time at) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    constexpr std::int64_t kSecond = 1'000'000'000;
    const std::int64_t nanos = std::max<std::int64_t>(at.time_since_epoch().count(), 1);  // 0 would disarm it
    itimerspec spec{};
    spec.it_value = {static_cast<time_t>(nanos / kSecond), static_cast<long>(nanos % kSecond)};
    ::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &spec, nullptr);
  }

  // Alarm thread: sleeps until the next is due, and wakes it under its own lock.
  void Loop() {
    for (;;) {
      std::uint64_t times = 0;
      if (::read(timer_, &times, sizeof times) < 0 && errno != EINTR) std::abort();
      for (Waiter* waiter : TakeDue()) {
        absl::MutexLock lock(&waiter->mutex);
        waiter->due = true;  // it may return, and be gone, as soon as the lock is free
      }
    }
  }
  std::vector<Waiter*> TakeDue() ABSL_LOCKS_EXCLUDED(mutex_) {
    std::vector<Waiter*> due;
    absl::MutexLock lock(&mutex_);
    const Time now = BootClock::now();
    while (!waiters_.empty() && waiters_.begin()->first <= now) {
      due.push_back(waiters_.begin()->second);
      waiters_.erase(waiters_.begin());
    }
    if (!waiters_.empty()) Arm(waiters_.begin()->first);
    return due;
  }

  const int timer_;
  absl::Mutex mutex_;
  std::set<std::pair<Time, Waiter*>> waiters_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

bool AwaitUntil(absl::Mutex& mutex, const absl::Condition& condition, Time until) {
  if (condition.Eval()) return true;
  if (until <= BootClock::now()) return false;
  Waiter waiter{mutex};
  Alarms::Get().Add(until, &waiter);
  auto over = [&] { return waiter.due || condition.Eval(); };
  mutex.Await(absl::Condition(&over));
  if (!waiter.due && !Alarms::Get().Remove(until, &waiter)) mutex.Await(absl::Condition(&waiter.due));
  return condition.Eval();
}

bool AwaitFor(absl::Mutex& mutex, const absl::Condition& condition, Duration wait) {
  return AwaitUntil(mutex, condition, BootClock::now() + wait);
}

}  // namespace waggle
