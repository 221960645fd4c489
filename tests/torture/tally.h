#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace waggle::test {

// What a torture run did and what it found wrong. Any thread.
class Tally {
 public:
  void Fault(const std::string& kind, std::uint64_t times = 1) ABSL_LOCKS_EXCLUDED(mutex_);
  // Said on standard error at once, and kept.
  void Violation(const std::string& text) ABSL_LOCKS_EXCLUDED(mutex_);
  void Compared(std::uint64_t bytes, bool differs) ABSL_LOCKS_EXCLUDED(mutex_);
  void Resumed() ABSL_LOCKS_EXCLUDED(mutex_);
  void Repeated() ABSL_LOCKS_EXCLUDED(mutex_);  // a submit whose answer did not come

  struct Figures {
    std::map<std::string, std::uint64_t> faults;  // by kind
    std::uint64_t all_faults = 0;
    std::uint64_t streams = 0, bytes = 0, differences = 0;  // compared with the oracle
    std::uint64_t resumed = 0, repeated = 0;
    std::vector<std::string> violations;
  };
  Figures figures() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  mutable absl::Mutex mutex_;
  Figures figures_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace waggle::test
