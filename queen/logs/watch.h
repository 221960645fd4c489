#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/limits.h"
#include "common/journal/line_index.h"
#include "common/journal/reader.h"
#include "queen/logs/log_store.h"
#include "queen/store/store.h"

namespace waggle::queen {

using WatcherId = Id<struct WatcherTag>;

// Where a watcher begins: behind a cursor, at a line, or at the first byte.
struct WatchStart {
  JobId job;
  std::uint32_t attempt = 0;  // 0 = the newest, and later ones as they come
  Epoch after_epoch;
  Seq after_seq;
  std::uint64_t from_line = 0;
  bool follow = false;
  bool late = false;  // the late log of the attempt instead, whole; NotFound: there is none
};

// Consecutive records of one attempt.
struct RecordBatch {
  Epoch epoch;
  std::uint32_t attempt = 0;
  std::int64_t first_boot_nanos = 0;  // of the attempt's first record
  std::string raw;
  std::vector<std::uint64_t> lines;  // one per record: line of its first byte, 0 if it is not output
};

// One watcher's way out. Calls come from a pump thread, one at a time; after each the hub waits for Ready()
// before the next, so nothing is queued per watcher. Must not block.
class WatchSink {
 public:
  virtual ~WatchSink() = default;
  virtual void Started(WatcherId id) = 0;  // before any other call, from Add()
  virtual void SendJob(const JobRow& job) = 0;
  virtual void SendRecords(const RecordBatch& batch) = 0;
  virtual void SendHeartbeat() = 0;
  virtual void SendEnd(const JobRow& job, Epoch epoch, Seq seq) = 0;  // the last call
  virtual void Fail(absl::Status status) = 0;                         // or this
  // Or this: the message under way is not waited for. May come while another call runs.
  virtual void Cut(absl::Status status) = 0;
};

// Serves every watcher from the log files by its own cursor. Two pump threads take turns over watchers that
// have something to read and whose last message is gone; a watcher that does not read costs nothing but its
// entry, and is cut off after a while: it comes again with the cursor of what it has read.
class WatchHub {
 public:
  static constexpr Duration kPatience = std::chrono::seconds(60);  // with one message under way

  WatchHub(StoreReader& store, LogStore& logs, int threads, Duration patience = kPatience);
  ~WatchHub();  // REQUIRES: no sink is needed any more; pending watchers are dropped without a word

  // ResourceExhausted above limits::kWatchers.
  absl::StatusOr<WatcherId> Add(const WatchStart& start, std::shared_ptr<WatchSink> sink);
  void Ready(WatcherId id);   // the last message is gone
  void Remove(WatcherId id);  // the watcher left; its sink may get one more call that was under way
  void FailAll(const absl::Status& status);  // the queen stops

  void Published(const JobRow& job);
  void Appended(Epoch epoch);

 private:
  struct Watcher {
    WatcherId id;
    WatchStart start;
    std::shared_ptr<WatchSink> sink;
    // Guarded by mutex_.
    std::optional<JobRow> job;
    bool job_changed = false, woken = false, busy = false, queued = false, removed = false;
    Epoch listening;  // indexed in by_epoch_
    Time heartbeat_due{}, busy_since{};
    // Of the pump thread that has it.
    Epoch epoch;
    std::uint32_t attempt = 0;
    bool job_shown = false, final_seen = false, late_entered = false;
    std::optional<journal::Reader> reader;
    journal::LineCounter lines;
    std::int64_t first_boot_nanos = 0;
    Seq last_sent;
  };
  using WatcherPtr = std::shared_ptr<Watcher>;
  enum class Turn { kSent, kNothing, kEnded };

  void PumpLoop();
  void Wake(const WatcherPtr& watcher) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Turn TakeTurn(Watcher& watcher, JobRow job, bool job_changed);
  static absl::Status Damaged(const Watcher& watcher, Seq seq);
  absl::Status RemovedOr(const Watcher& watcher, const absl::Status& damage);
  absl::StatusOr<bool> SendMore(Watcher& watcher);
  absl::StatusOr<Seq> Available(const Watcher& watcher);
  void Listen(Watcher& watcher, Epoch epoch);
  void Drop(const WatcherPtr& watcher) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // watch_start.cc.
  // The attempt to read first, or the one after the current; nullopt = none yet.
  absl::StatusOr<std::optional<AttemptRow>> NextAttempt(const Watcher& watcher, const JobRow& job);
  absl::Status Enter(Watcher& watcher, const AttemptRow& attempt);
  absl::Status EnterLate(Watcher& watcher, const AttemptRow& attempt);
  absl::Status SkipToStart(Watcher& watcher);

  StoreReader& store_;
  LogStore& logs_;
  const Duration patience_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unordered_map<WatcherId, WatcherPtr> watchers_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<JobId, std::set<WatcherId>> by_job_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<Epoch, std::set<WatcherId>> by_epoch_ ABSL_GUARDED_BY(mutex_);
  std::deque<WatcherPtr> turns_ ABSL_GUARDED_BY(mutex_);
  std::set<std::pair<Time, WatcherId>> heartbeats_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

}  // namespace waggle::queen
