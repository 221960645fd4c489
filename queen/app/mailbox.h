#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "queen/api/core_port.h"
#include "queen/core/hive.h"
#include "queen/store/store.h"

namespace waggle::queen {

// Runs the core: one thread steps it, one stores and then speaks (architecture.md section 4).
//
// The mailbox thread drains the inbox in batches. The rows of everything stepped while a commit is under way
// make up the next transaction, so batches form by themselves behind the commit in flight and an idle queen
// commits an event at once. What a batch says is performed after its commit, in order, on the writer thread.
// A commit that finds no space is tried again until it is stored; what it says waits, and requests are turned
// away. If a commit fails otherwise nothing more is said: `failed` must end the process.
class Mailbox : public CorePort {
 public:
  struct Outside {
    std::function<void(const WriteBatch&)> committed;  // before the effects of the batch
    std::function<void(const Effect&)> perform;        // everything but Answer
    std::function<void(const absl::Status&)> starved;  // before each new try of a commit without space
    std::function<void(absl::Status)> failed;
  };

  Mailbox(Hive hive, Store& store, Outside outside);
  ~Mailbox() override;  // Stop()

  void Start();
  bool Post(Event event, std::shared_ptr<const void> hold = nullptr) override;
  void Ask(const std::function<Event(RequestId)>& make, std::function<void(AnswerValue)> done) override;
  // Takes no more requests, finishes what is in the inbox, joins the threads. Unanswered requests get
  // Unavailable.
  void Stop();

 private:
  struct Posted {
    Event event;
    std::shared_ptr<const void> hold;
  };
  struct Batch {
    WriteBatch rows;
    std::vector<Effect> after;
    bool empty() const { return rows.empty() && after.empty(); }
  };

  void StepLoop();
  void WriteLoop();
  absl::Status Commit(const WriteBatch& rows);
  void Append(Effects effects) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Perform(Effect& effect);

  Hive hive_;  // mailbox thread, after Start()
  Store& store_;
  const Outside outside_;

  absl::Mutex mutex_;
  std::deque<Posted> inbox_ ABSL_GUARDED_BY(mutex_);
  std::optional<Time> wake_at_ ABSL_GUARDED_BY(mutex_);
  Batch pending_ ABSL_GUARDED_BY(mutex_);         // stepped, not yet with the writer
  bool starved_ ABSL_GUARDED_BY(mutex_) = false;  // a commit waits for space
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool stepped_out_ ABSL_GUARDED_BY(mutex_) = false;  // the mailbox thread is done
  std::uint64_t next_request_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unordered_map<RequestId, std::function<void(AnswerValue)>> waiting_ ABSL_GUARDED_BY(mutex_);
  std::thread step_thread_, write_thread_;
};

}  // namespace waggle::queen
