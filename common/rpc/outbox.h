#pragma once

#include <cstddef>
#include <deque>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace waggle::rpc {

// The stream end an Outbox writes to: a gRPC callback reactor, client or server side. Called without any lock
// held; never two calls at a time.
template <typename Message>
class OutboxStream {
 public:
  virtual ~OutboxStream() = default;
  // Start writing. `message` stays valid until OnWriteDone. Server: StartWrite(message). Client: the same.
  virtual void WriteMessage(const Message* message) = 0;
  // Exactly once, when nothing is being written and nothing will be: server: Finish(status); client:
  // RemoveHold() (with StartWritesDone() before it, if wanted). Always the last thing: the stream may vanish
  // in it.
  virtual void FinishWrites() = 0;
  // Everything given so far has been written.
  virtual void Drained() {}
};

// The bounded queue of messages of one stream, and the one rule keeper for its writes: one write in flight,
// FinishWrites exactly once and never while a write is outstanding. Decides under its lock and acts after it.
//
// Any thread may Push, Close or Abort at any time, also after the stream is gone: gRPC owns the reactor, we
// own the outbox (by shared_ptr), and after FinishWrites the reactor is not touched again. On the reactor's
// side OnWriteDone(ok) must be called from its OnWriteDone, and Abort() when the peer is gone. A full outbox
// aborts the stream; nothing ever blocks.
template <typename Message>
class Outbox {
 public:
  // `max_messages`: how many may wait behind the one in flight.
  Outbox(OutboxStream<Message>* stream, std::size_t max_messages)
      : stream_(stream), max_messages_(max_messages) {}
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // False: the stream is closing, or was full and is aborted by this (overflowed() tells which).
  bool Push(Message message) {
    Action action;
    bool taken = false;
    {
      absl::MutexLock lock(&mutex_);
      if (closing_) return false;
      if (queue_.size() >= max_messages_) {
        overflowed_ = true;
        action = AbortLocked();
      } else {
        queue_.push_back(std::move(message));
        taken = true;
        action = NextLocked();
      }
    }
    Act(action);
    return taken;
  }

  // No more messages: what is queued is written, then the stream finishes.
  void Close() {
    Action action;
    {
      absl::MutexLock lock(&mutex_);
      closing_ = true;
      action = NextLocked();
    }
    Act(action);
  }

  // Drops what is queued and finishes as soon as no write is in flight.
  void Abort() {
    Action action;
    {
      absl::MutexLock lock(&mutex_);
      action = AbortLocked();
    }
    Act(action);
  }

  // From the reactor's OnWriteDone.
  void OnWriteDone(bool ok) {
    Action action;
    bool drained = false;
    {
      absl::MutexLock lock(&mutex_);
      writing_ = false;
      spare_ = std::move(current_);
      action = ok ? NextLocked() : AbortLocked();
      drained = ok && action.what == Action::kNothing && !closing_;
    }
    if (drained) stream_->Drained();
    Act(action);
  }

  // The message that was written last, for its memory to be used again; an empty one if there is none.
  Message TakeSpare() {
    absl::MutexLock lock(&mutex_);
    return std::exchange(spare_, Message());
  }

  bool closing() const {
    absl::MutexLock lock(&mutex_);
    return closing_;
  }
  bool overflowed() const {
    absl::MutexLock lock(&mutex_);
    return overflowed_;
  }

 private:
  struct Action {
    enum What { kNothing, kWrite, kFinish } what = kNothing;
  };

  Action NextLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || finished_) return {};
    if (!queue_.empty()) {
      current_ = std::move(queue_.front());
      queue_.pop_front();
      writing_ = true;
      return {Action::kWrite};
    }
    if (!closing_) return {};
    finished_ = true;
    return {Action::kFinish};
  }

  Action AbortLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    closing_ = true;
    queue_.clear();
    return NextLocked();
  }

  // `current_` is left alone while writing_ is set, so its address may leave the lock.
  void Act(Action action) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (action.what == Action::kWrite) stream_->WriteMessage(&current_);
    if (action.what == Action::kFinish) stream_->FinishWrites();
  }

  OutboxStream<Message>* const stream_;  // not used after FinishWrites
  const std::size_t max_messages_;

  mutable absl::Mutex mutex_;
  std::deque<Message> queue_ ABSL_GUARDED_BY(mutex_);
  Message current_ ABSL_GUARDED_BY(mutex_);  // being written
  Message spare_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool overflowed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace waggle::rpc
