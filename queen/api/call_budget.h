#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <unordered_map>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"

namespace waggle::queen {

// How often each peer may call: `burst` calls at once, and one more every `refill`. Thread-safe. Its memory
// is that of the peers who ever called: those who are enrolled.
class CallBudget {
 public:
  CallBudget(std::size_t burst, Duration refill) : full_(burst * refill), refill_(refill) {}

  // False: it calls too often. A call that is refused costs nothing.
  bool Take(const std::string& peer, Time now) {
    absl::MutexLock lock(&mutex_);
    auto [entry, added] = spent_until_.try_emplace(peer, now);
    const Time spent = std::max(entry->second, now) + refill_;
    if (spent - now > full_) return false;
    entry->second = spent;
    return true;
  }

 private:
  const Duration full_, refill_;
  absl::Mutex mutex_;
  // When a peer that calls no more has its whole budget again.
  std::unordered_map<std::string, Time> spent_until_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace waggle::queen
