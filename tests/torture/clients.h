#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "common/base/clock.h"
#include "tests/sim/random.h"
#include "tests/support/history.h"
#include "tests/torture/follower.h"
#include "tests/torture/tally.h"

namespace waggle::v1 {
class Job;
class SubmitJobRequest;
}  // namespace waggle::v1

namespace waggle::test {

// A job of the torture: what it is to do, and what was done with it.
struct Planned {
  enum class Kind { kTest, kFails, kDeploy, kCanceled };
  Kind kind = Kind::kTest;
  std::uint64_t id = 0;
  Printed printed;
  bool watched = false;
  bool canceled = false;  // the queen took a cancel of it
};

// People: they submit jobs with keys, watch, cancel and ask, and repeat whatever got no answer. What they
// were told goes into the history. Threads of its own; the calls are for one thread.
class Clients {
 public:
  struct Config {
    std::string queen, watch;    // targets; the second with harm in between
    std::string noisy, witness;  // the program, the file
    std::uint64_t seed = 1;
    std::uint64_t most_bytes = 0;  // a job prints
    std::uint64_t all_bytes = 0;   // all jobs print together; evenly over `lasts`
    std::uint64_t most_jobs = 0;   // likewise
    Duration lasts{};
    std::size_t at_once = 0;  // jobs that are not over
  };
  Clients(Config config, History* history, Tally* tally);
  ~Clients();

  void StopSubmitting();  // and canceling; what is under way is finished first
  // Once the queen answers again for good: waits for the watchers, which see the end of their jobs.
  void Finish();
  std::vector<Planned> jobs() const ABSL_LOCKS_EXCLUDED(mutex_);
  // The queen's word, asked until it comes; false: not for 60 s.
  bool Get(std::uint64_t id, v1::Job* job);

 private:
  void SubmitLoop();
  void AskLoop();
  Planned Plan(std::uint64_t number);
  std::string Script(const Planned& job, sim::Random& random) const;
  v1::SubmitJobRequest Request(const Planned& job, std::uint64_t number, sim::Random& random) const;
  std::uint64_t SubmitUntilTaken(const v1::SubmitJobRequest& request);
  void WatchIt(Planned job);
  void Cancel(std::uint64_t id);
  void Told(const std::string& actor, const v1::Job& job, Time began);
  std::size_t Open();
  bool Early(std::uint64_t number) const;

  const Config config_;
  History* const history_;
  Tally* const tally_;
  absl::Notification stop_;         // submitting
  std::atomic<bool> over_ = false;  // whoever is still cut off gives up
  const Time begin_ = BootClock::now();
  sim::Random random_;               // submit thread
  std::uint64_t planned_bytes_ = 0;  // submit thread
  mutable absl::Mutex mutex_;
  std::vector<Planned> jobs_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> watchers_ ABSL_GUARDED_BY(mutex_);
  std::atomic<int> watching_ = 0;
  std::thread submitter_, asker_;
};

}  // namespace waggle::test
