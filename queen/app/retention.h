#pragma once

#include <chrono>
#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "queen/app/wall_check.h"
#include "queen/logs/log_store.h"
#include "queen/store/store.h"

namespace waggle::queen {

struct RetentionClocks {
  std::function<Time()> boot = BootClock::now;
  std::function<WallMillis()> wall = WallNow;
};

// Deletes stored logs that ended longer ago than `limit`. What may go is decided by Store::ExpireLogs()
// alone, which marks it; only what is marked is deleted, and readers are told from the mark. A crash in
// between leaves marked logs whose files the next sweep deletes.
//
// One thread: a sweep at start, then every hour, or as often as the limit when that is shorter.
class Retention {
 public:
  static constexpr std::size_t kBatch = 256;  // logs per transaction, so that commits wait but shortly
  static constexpr std::size_t kSweep =
      10'000;  // per sweep: 240,000 a day, and a bound for what goes at once

  // `failed`: the store broke, as of Commit(). Both stores must outlive this.
  Retention(Store& store, LogStore& logs, std::chrono::milliseconds limit,
            std::function<void(const absl::Status&)> failed, RetentionClocks clocks = {});
  ~Retention();  // Stop()

  void Start();
  void Stop();  // after the batch under way

  // One sweep; called by the thread. Gives how many logs are gone.
  std::size_t Sweep();

 private:
  void Loop();
  bool Stopping();
  WallMillis NewestStored();

  Store& store_;
  LogStore& logs_;
  const std::chrono::milliseconds limit_;
  const std::function<void(const absl::Status&)> failed_;
  const RetentionClocks clocks_;
  WallCheck check_;  // its thread
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace waggle::queen
