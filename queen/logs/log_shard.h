#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/journal/line_index.h"
#include "common/journal/reader.h"
#include "common/journal/scan.h"
#include "common/journal/writer.h"
#include "queen/logs/log_store.h"

namespace waggle::queen {

// One open log. Owned by its shard's append thread; the two atomics are read by anybody.
struct OpenedLog {
  Epoch epoch;
  SessionId session;  // who may append; none = nobody
  bool late = false;  // the second one, of an attempt that ended as unknown
  Seq after;          // of a late one: where it goes on in the first
  journal::Location location;
  std::unique_ptr<journal::Writer> writer;
  std::unique_ptr<journal::IndexWriter> index;  // made with the first checkpoint
  std::uint64_t index_entries = 0;
  std::uint64_t total_bytes = 0;  // of records
  std::uint64_t unsynced_bytes = 0;
  Time sync_by;  // while it is dirty
  journal::RunningState state;
  std::int64_t first_boot_nanos = 0, last_boot_nanos = 0;
  journal::Kind last_kind{};  // of the last record, and where that begins: known after a recovery
  journal::Position last_at;
  std::optional<journal::Final> final;
  std::string problem;                          // the final record does not agree with what is stored
  std::optional<effect::SealLog> pending_seal;  // waits for records
  bool conflict_reported = false;
  bool starved = false;  // records were turned away for want of space
  std::atomic<std::uint64_t> last{0}, durable{0};
};

// Two threads: `append` takes requests from a queue, writes and wakes readers; `sync` makes what was written
// durable and then acknowledges. A log is synced at once when it has its final record or much was written;
// else, as nobody waits for it, after kGather: a short log costs one sync. The queue is bounded by its users:
// a bulk stream has at most a few batches in it.
class LogShard {
 public:
  static constexpr Duration kGather = std::chrono::milliseconds(20);
  // Acknowledged well before a drone's window is full.
  static constexpr std::uint64_t kGatherBytes = 64 * limits::kKiB;

  // kNone: whoever made it calls RunRequests and RunSync itself, in one thread (simulation); nothing is
  // gathered.
  enum class Threads { kBoth, kNone };
  LogShard(std::string directory, std::shared_ptr<const LogStore::Callbacks> callbacks,
           Threads threads = Threads::kBoth);
  ~LogShard();

  absl::Status RecoverLog(Epoch epoch);  // before the first request
  // Likewise: the late log of an attempt whose sealed one goes to `after`, if something of it is there.
  absl::Status RecoverLate(Epoch epoch, Seq after);
  void Post(std::function<void()> request);
  // One round of each loop, without waiting. RunRequests: true when there is something for RunSync.
  bool RunRequests();
  void RunSync();

  // Requests, run on the append thread.
  // A late log for no session is only read: completed if its end is there, and not made if it is not.
  // Requests, run on the append thread.
  // A late log for no session is only read: completed if its end is there, and not made if it is not.
  void OpenLog(Epoch epoch, SessionId session, std::optional<Seq> late = std::nullopt);
  void Append(SessionId session, Epoch epoch, std::string_view records);
  void Seal(const effect::SealLog& seal);
  void CloseLog(Epoch epoch);
  void Hold() { held_ = true; }
  void GoOn();

  std::shared_ptr<const OpenedLog> Find(Epoch epoch) const;
  journal::Location At(Epoch epoch) const;
  journal::Location LateAt(Epoch epoch) const;

 private:
  struct SyncItem {
    std::shared_ptr<OpenedLog> log;
    journal::Writer::PendingSync sync;
    std::uint64_t last = 0;
    SessionId session;
    std::optional<event::LogComplete> complete;
  };

  struct Unopened {  // there was no space for its file
    SessionId session;
    std::optional<Seq> late;
    std::optional<effect::SealLog> seal;
  };

  void AppendLoop();
  void SyncLoop();
  void HandOverToSync();
  absl::StatusOr<std::shared_ptr<OpenedLog>> Open(Epoch epoch);
  absl::StatusOr<std::shared_ptr<OpenedLog>> OpenLate(Epoch epoch, Seq after);
  // What the sealed log says up to where the late one goes on.
  absl::Status TakeBefore(OpenedLog& late, Seq after);
  // What follows from the records up to the writer's last: state, totals, final record.
  static absl::StatusOr<bool> CutHalfSeal(const OpenedLog& log);
  absl::Status ReadState(OpenedLog& log);
  // For the walk over a log: takes the records `from` … `last`, counts those before too.
  std::function<void(const journal::RecordView&, journal::Position)> TakeUntil(OpenedLog& log, Seq last,
                                                                               Seq from);
  // Nothing more is taken until GoOn(). What was taken and could not be written is forgotten.
  void Starve(OpenedLog& log, const absl::Status& why);
  // Takes the longest prefix of `records` that continues the log; false when a gap or damage stopped it, or
  // (then it is starved) there is no space for more.
  bool Accept(OpenedLog& log, std::string_view records);
  void CheckRepeat(OpenedLog& log, const journal::RecordView& record, std::optional<journal::Reader>& stored);
  void Take(OpenedLog& log, const journal::RecordView& record);
  absl::Status Write(OpenedLog& log, std::string_view raw, Seq last);
  void WriteSeal(OpenedLog& log);
  event::LogComplete Completion(const OpenedLog& log) const;
  void MarkDirty(const std::shared_ptr<OpenedLog>& log);

  const std::string directory_;
  const std::shared_ptr<const LogStore::Callbacks> callbacks_;
  const Duration gather_;

  mutable absl::Mutex mutex_;
  std::vector<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<Epoch, std::shared_ptr<OpenedLog>> logs_
      ABSL_GUARDED_BY(mutex_);  // changed by the append thread only
  std::vector<SyncItem> to_sync_ ABSL_GUARDED_BY(mutex_);
  bool sync_busy_ ABSL_GUARDED_BY(mutex_) = false;
  bool append_done_ ABSL_GUARDED_BY(mutex_) = false;

  std::map<Epoch, std::shared_ptr<OpenedLog>> dirty_;  // append thread: written, not yet handed over
  Time next_sync_ = Time::max();                       // append thread: none is due before
  bool held_ = false;                                  // append thread
  std::map<Epoch, Unopened> unopened_;                 // append thread
  std::thread append_thread_, sync_thread_;
};

}  // namespace waggle::queen
