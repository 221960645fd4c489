#include "queen/logs/log_shard.h"

#include <algorithm>
#include <set>

#include "common/base/await.h"
#include "common/base/failpoint.h"
#include "common/base/planted.h"
#include "common/base/status_macros.h"

namespace waggle::queen {

LogShard::LogShard(std::string directory, std::shared_ptr<const LogStore::Callbacks> callbacks,
                   Threads threads)
    : directory_(std::move(directory)),
      callbacks_(std::move(callbacks)),
      gather_(threads == Threads::kNone ? Duration::zero() : kGather) {
  if (threads == Threads::kNone) return;
  append_thread_ = std::thread([this] { AppendLoop(); });
  sync_thread_ = std::thread([this] { SyncLoop(); });
}

LogShard::~LogShard() {
  if (!append_thread_.joinable()) return;
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  append_thread_.join();
  sync_thread_.join();
}

journal::Location LogShard::At(Epoch epoch) const {
  return LogLocation(directory_, epoch);
}

journal::Location LogShard::LateAt(Epoch epoch) const {
  return LateLocation(directory_, epoch);
}

std::shared_ptr<const OpenedLog> LogShard::Find(Epoch epoch) const {
  absl::MutexLock lock(&mutex_);
  auto found = logs_.find(epoch);
  return found == logs_.end() ? nullptr : found->second;
}

void LogShard::Post(std::function<void()> request) {
  absl::MutexLock lock(&mutex_);
  queue_.push_back(std::move(request));
}

// Append thread: takes everything queued, writes it, wakes readers, then lets the sync thread run if it is
// idle and a log is due.
void LogShard::AppendLoop() {
  for (;;) {
    {
      absl::MutexLock lock(&mutex_);
      auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !queue_.empty() || stopping_; };
      auto ready_or_idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return !queue_.empty() || !sync_busy_;
      };
      if (dirty_.empty()) {
        mutex_.Await(absl::Condition(&ready));
      } else if (sync_busy_) {
        mutex_.Await(absl::Condition(&ready_or_idle));
      } else {
        AwaitUntil(mutex_, absl::Condition(&ready), next_sync_);
      }
      if (stopping_ && queue_.empty() && dirty_.empty()) {
        append_done_ = true;
        return;
      }
    }
    RunRequests();
  }
}

bool LogShard::RunRequests() {
  std::vector<std::function<void()>> batch;
  {
    absl::MutexLock lock(&mutex_);
    batch.swap(queue_);
  }
  for (const std::function<void()>& request : batch) request();
  HandOverToSync();
  absl::MutexLock lock(&mutex_);
  return sync_busy_;
}

void LogShard::HandOverToSync() {
  if (dirty_.empty()) return;
  bool stopping = false;
  {
    absl::MutexLock lock(&mutex_);
    if (sync_busy_) return;  // the sync thread's end wakes this thread again
    stopping = stopping_;
  }
  std::vector<SyncItem> items;
  const Time now = BootClock::now();
  if (!stopping && next_sync_ > now) return;
  next_sync_ = Time::max();
  for (auto at = dirty_.begin(); at != dirty_.end();) {
    const auto [epoch, log] = *at;
    if (!stopping && log->sync_by > now) {
      next_sync_ = std::min(next_sync_, log->sync_by);
      ++at;
      continue;
    }
    at = dirty_.erase(at);
    log->unsynced_bytes = 0;
    absl::StatusOr<journal::Writer::PendingSync> sync = log->writer->TakeSync();
    if (!sync.ok()) {
      callbacks_->failed(sync.status());
      continue;
    }
    SyncItem item{log, std::move(*sync), log->last.load(), log->session, std::nullopt};
    if (planted::Is(planted::kAckBeforeSync)) callbacks_->acked(item.session, epoch, Seq(item.last));
    if (log->final) item.complete = Completion(*log);
    items.push_back(std::move(item));
  }
  if (items.empty()) return;
  absl::MutexLock lock(&mutex_);
  to_sync_ = std::move(items);
  sync_busy_ = true;
}

// Sync thread: one fdatasync per dirty log, then its acknowledgement; logs take turns.
void LogShard::SyncLoop() {
  for (;;) {
    {
      absl::MutexLock lock(&mutex_);
      auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return append_done_ || sync_busy_; };
      mutex_.Await(absl::Condition(&ready));
      if (!sync_busy_) return;
    }
    RunSync();
  }
}

void LogShard::RunSync() {
  std::vector<SyncItem> items;
  {
    absl::MutexLock lock(&mutex_);
    items.swap(to_sync_);
  }
  std::set<std::string> directories;
  for (SyncItem& item : items) {
    absl::Status synced = item.sync.Run(&directories);
    if (!synced.ok() && !planted::Is(planted::kFailedSyncIgnored)) {
      callbacks_->failed(synced);  // never acknowledged, never tried again
      continue;
    }
    failpoint::Pass("queen.records.synced");
    item.log->durable.store(item.last, std::memory_order_release);
    // The verdict on a complete log acknowledges it whole.
    if (item.complete) {
      failpoint::Pass("queen.final.synced");
      callbacks_->complete(std::move(*item.complete));
      failpoint::Pass("queen.final.posted");
    } else if (item.session) {
      callbacks_->acked(item.session, item.log->epoch, Seq(item.last));
    }
  }
  absl::MutexLock lock(&mutex_);
  sync_busy_ = false;
}

absl::Status LogShard::RecoverLog(Epoch epoch) {
  ASSIGN_OR_RETURN(std::shared_ptr<OpenedLog> log, Open(epoch));
  log->durable.store(log->last.load());
  if (log->final) callbacks_->complete(Completion(*log));
  failpoint::Pass("queen.recovery.log");
  return absl::OkStatus();
}

void LogShard::OpenLog(Epoch epoch, SessionId session, std::optional<Seq> late) {
  const bool only_read = late && !session;
  if (only_read && !FileExists(LateAt(epoch).Segment(0))) return;
  absl::StatusOr<std::shared_ptr<OpenedLog>> log = late ? OpenLate(epoch, *late) : Open(epoch);
  if (absl::IsResourceExhausted(log.status())) {
    unopened_[epoch].session = session;
    unopened_[epoch].late = late;
    return callbacks_->starved(log.status());
  }
  if (!log.ok()) return callbacks_->failed(log.status());
  auto waiting = unopened_.find(epoch);
  if (waiting != unopened_.end()) waiting->second.session = SessionId();  // an older one; its seal may stay
  (*log)->session = session;
  if (only_read && (*log)->final) callbacks_->complete(Completion(**log));
}

void LogShard::CloseLog(Epoch epoch) {
  unopened_.erase(epoch);
  absl::MutexLock lock(&mutex_);
  logs_.erase(epoch);
}

void LogShard::MarkDirty(const std::shared_ptr<OpenedLog>& log) {
  const Time now = BootClock::now();
  if (dirty_.emplace(log->epoch, log).second) log->sync_by = now + gather_;
  if (log->final || log->unsynced_bytes >= kGatherBytes) log->sync_by = now;
  next_sync_ = std::min(next_sync_, log->sync_by);
}

void LogShard::Append(SessionId session, Epoch epoch, std::string_view records) {
  std::shared_ptr<OpenedLog> log;
  {
    absl::MutexLock lock(&mutex_);
    auto found = logs_.find(epoch);
    if (found != logs_.end()) log = found->second;
  }
  auto unopened = unopened_.find(epoch);
  if (log == nullptr && unopened != unopened_.end() && unopened->second.session == session) return;
  const bool stranger = log == nullptr || (log->session != session && !planted::Is(planted::kStrangerWrites));
  if (stranger) return callbacks_->fenced(session, epoch);
  if (held_) log->starved = true;
  if (log->starved) return;  // its drone keeps them; GoOn() asks for them
  std::uint64_t before = log->last.load();
  bool whole = Accept(*log, records);
  if (log->last.load() > before) {
    MarkDirty(log);
    callbacks_->appended(epoch);
  } else if (whole && !log->starved) {
    callbacks_->acked(session, epoch,
                      Seq(log->durable.load()));  // nothing but repeats: say again what is safe
  }
  if (log->starved) return;
  if (!whole) callbacks_->resume_from(session, epoch, Seq(log->last.load() + 1));
  if (log->pending_seal && log->last.load() >= log->pending_seal->at_least) WriteSeal(*log);
}

void LogShard::Seal(const effect::SealLog& seal) {
  absl::StatusOr<std::shared_ptr<OpenedLog>> log = Open(seal.epoch);
  if (absl::IsResourceExhausted(log.status())) {
    unopened_[seal.epoch].seal = seal;
    return callbacks_->starved(log.status());
  }
  if (!log.ok()) return callbacks_->failed(log.status());
  if ((*log)->final) {
    // Complete before it was given up. Say so again: the first message may have come before the core lost
    // interest. While its sync is under way that one says it.
    if ((*log)->durable.load() == (*log)->last.load()) callbacks_->complete(Completion(**log));
    return;
  }
  (*log)->pending_seal = seal;
  if ((*log)->last.load() >= seal.at_least) WriteSeal(**log);
}

void LogShard::GoOn() {
  held_ = false;
  for (auto& [epoch, unopened] : std::exchange(unopened_, {})) {
    if (unopened.session) {
      OpenLog(epoch, unopened.session, unopened.late);
      if (std::shared_ptr<const OpenedLog> log = Find(epoch)) {
        callbacks_->resume_from(unopened.session, epoch, Seq(log->last.load() + 1));
      }
    }
    if (unopened.seal) Seal(*unopened.seal);
  }
  std::vector<std::shared_ptr<OpenedLog>> starved;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [epoch, log] : logs_) {
      if (log->starved) starved.push_back(log);
    }
  }
  for (const std::shared_ptr<OpenedLog>& log : starved) {
    log->starved = false;
    if (log->session && !planted::Is(planted::kStarvedForgotten))
      callbacks_->resume_from(log->session, log->epoch, Seq(log->last.load() + 1));
    if (log->pending_seal && log->last.load() >= log->pending_seal->at_least) WriteSeal(*log);
  }
}

}  // namespace waggle::queen
