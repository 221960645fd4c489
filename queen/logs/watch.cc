#include "queen/logs/watch.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/await.h"
#include "common/base/planted.h"
#include "common/base/status_macros.h"
#include "queen/logs/removal.h"

namespace waggle::queen {

using journal::RecordView;

namespace {

// A file that took the place of another holds whole records, but not of this attempt.
std::optional<RecordView> FirstOfAnother(std::string_view raw, Epoch epoch) {
  std::optional<RecordView> foreign;
  journal::ForEachRecord(raw, [&](const RecordView& record) {
    if (!foreign && record.header.epoch != epoch) foreign = record;
  });
  return foreign;
}

}  // namespace

WatchHub::WatchHub(StoreReader& store, LogStore& logs, int threads, Duration patience)
    : store_(store), logs_(logs), patience_(patience) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { PumpLoop(); });
}

WatchHub::~WatchHub() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

absl::StatusOr<WatcherId> WatchHub::Add(const WatchStart& start, std::shared_ptr<WatchSink> sink) {
  absl::MutexLock lock(&mutex_);
  if (watchers_.size() >= limits::kWatchers) {
    return absl::ResourceExhaustedError(
        absl::StrCat("this queen serves ", limits::kWatchers, " watchers at once"));
  }
  auto watcher = std::make_shared<Watcher>();
  watcher->id = WatcherId(++next_id_);
  watcher->start = start;
  watcher->sink = std::move(sink);
  watcher->sink->Started(watcher->id);
  watcher->last_sent = start.after_seq;
  watcher->heartbeat_due = BootClock::now() + std::min<Duration>(limits::kWatchHeartbeat, patience_);
  watchers_[watcher->id] = watcher;
  by_job_[start.job].insert(watcher->id);
  heartbeats_.emplace(watcher->heartbeat_due, watcher->id);
  Wake(watcher);
  return watcher->id;
}

void WatchHub::Wake(const WatcherPtr& watcher) {
  watcher->woken = true;
  if (watcher->busy || watcher->queued || watcher->removed) return;
  watcher->queued = true;
  turns_.push_back(watcher);
}

void WatchHub::Ready(WatcherId id) {
  absl::MutexLock lock(&mutex_);
  auto found = watchers_.find(id);
  if (found == watchers_.end()) return;
  found->second->busy = false;
  Wake(found->second);
}

void WatchHub::Drop(const WatcherPtr& watcher) {
  watcher->removed = true;
  heartbeats_.erase({watcher->heartbeat_due, watcher->id});
  auto unlist = [&](auto& index, auto key) {
    auto at = index.find(key);
    if (at == index.end()) return;
    at->second.erase(watcher->id);
    if (at->second.empty()) index.erase(at);
  };
  unlist(by_job_, watcher->start.job);
  unlist(by_epoch_, watcher->listening);
  watchers_.erase(watcher->id);
}

void WatchHub::Remove(WatcherId id) {
  absl::MutexLock lock(&mutex_);
  auto found = watchers_.find(id);
  if (found != watchers_.end()) Drop(WatcherPtr(found->second));
}

void WatchHub::FailAll(const absl::Status& status) {
  std::vector<WatcherPtr> all;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [id, watcher] : watchers_) all.push_back(watcher);
    for (const WatcherPtr& watcher : all) Drop(watcher);
  }
  for (const WatcherPtr& watcher : all) watcher->sink->Fail(status);
}

void WatchHub::Published(const JobRow& job) {
  absl::MutexLock lock(&mutex_);
  auto found = by_job_.find(job.id);
  if (found == by_job_.end()) return;
  for (WatcherId id : found->second) {
    const WatcherPtr& watcher = watchers_.at(id);
    watcher->job = job;
    watcher->job_changed = true;
    Wake(watcher);
  }
}

void WatchHub::Appended(Epoch epoch) {
  absl::MutexLock lock(&mutex_);
  auto found = by_epoch_.find(epoch);
  if (found == by_epoch_.end()) return;
  for (WatcherId id : found->second) Wake(watchers_.at(id));
}

void WatchHub::Listen(Watcher& watcher, Epoch epoch) {
  absl::MutexLock lock(&mutex_);
  if (watcher.removed) return;
  auto at = by_epoch_.find(watcher.listening);
  if (at != by_epoch_.end()) {
    at->second.erase(watcher.id);
    if (at->second.empty()) by_epoch_.erase(at);
  }
  watcher.listening = epoch;
  by_epoch_[epoch].insert(watcher.id);
}

// Pump thread: takes one watcher at a time and sends it one message; when nothing is due, sleeps until a
// watcher wakes or a heartbeat is due.
void WatchHub::PumpLoop() {
  for (;;) {
    WatcherPtr watcher;
    JobRow job;
    bool have_job = false, job_changed = false, heartbeat = false, stuck = false;
    {
      absl::MutexLock lock(&mutex_);
      auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || !turns_.empty(); };
      AwaitUntil(
          mutex_, absl::Condition(&ready),
          heartbeats_.empty() ? BootClock::now() + limits::kWatchHeartbeat : heartbeats_.begin()->first);
      if (stopping_) return;
      if (!turns_.empty()) {
        watcher = turns_.front();
        turns_.pop_front();
      } else if (!heartbeats_.empty() && heartbeats_.begin()->first <= BootClock::now()) {
        watcher = watchers_.at(heartbeats_.begin()->second);
        const Time now = BootClock::now();
        stuck = watcher->busy && now - watcher->busy_since >= patience_;
        heartbeat = !watcher->busy && !watcher->queued;
        heartbeats_.erase(heartbeats_.begin());
        watcher->heartbeat_due = now + limits::kWatchHeartbeat;
        if (watcher->busy)
          watcher->heartbeat_due = std::min(watcher->heartbeat_due, watcher->busy_since + patience_);
        heartbeats_.emplace(watcher->heartbeat_due, watcher->id);
        if (stuck) Drop(watcher);
        if (!stuck && !heartbeat) continue;  // its message in the making proves life as well
      } else {
        continue;
      }
      watcher->queued = false;
      if (watcher->removed && !stuck) continue;
      watcher->busy = true;
      watcher->busy_since = BootClock::now();
      watcher->woken = false;
      if (watcher->job) {
        job = *watcher->job;
        have_job = true;
        job_changed = std::exchange(watcher->job_changed, false);
      }
    }
    if (stuck) {
      watcher->sink->Cut(absl::DeadlineExceededError("nothing was read for too long"));
      continue;
    }
    if (heartbeat) {
      watcher->sink->SendHeartbeat();
      continue;
    }
    if (!have_job) {
      absl::StatusOr<JobRow> stored = store_.GetJob(watcher->start.job);
      if (!stored.ok()) {
        Remove(watcher->id);
        watcher->sink->Fail(stored.status());
        continue;
      }
      job = *std::move(stored);
      job_changed = true;
      absl::MutexLock lock(&mutex_);
      if (!watcher->job) watcher->job = job;  // a publication in between is as new or newer
    }
    Turn turn = TakeTurn(*watcher, std::move(job), job_changed);
    if (turn == Turn::kEnded) continue;
    absl::MutexLock lock(&mutex_);
    if (turn == Turn::kNothing) {
      watcher->busy = false;
      if (watcher->woken) Wake(watcher);  // something came while it looked
    } else if (!watcher->removed) {
      heartbeats_.erase({watcher->heartbeat_due, watcher->id});
      watcher->heartbeat_due = BootClock::now() + std::min<Duration>(limits::kWatchHeartbeat, patience_);
      heartbeats_.emplace(watcher->heartbeat_due, watcher->id);
    }
  }
}

WatchHub::Turn WatchHub::TakeTurn(Watcher& watcher, JobRow job, bool job_changed) {
  // Dropped first: a Ready() that comes while the last call runs must not bring a second one.
  auto fail = [&](const absl::Status& status) {
    Remove(watcher.id);
    watcher.sink->Fail(RemovedOr(watcher, status));
    return Turn::kEnded;
  };
  auto end = [&] {
    Remove(watcher.id);
    watcher.sink->SendEnd(job, watcher.epoch, watcher.last_sent);
    return Turn::kEnded;
  };
  // A final state is not told before the last record: the end says it.
  if (job_changed && (!IsTerminal(job.state) || !watcher.job_shown)) {
    watcher.job_shown = true;
    if (!IsTerminal(job.state)) {
      watcher.sink->SendJob(job);
      return Turn::kSent;
    }
  }
  for (;;) {
    if (watcher.epoch && !watcher.final_seen) {
      absl::StatusOr<bool> sent = SendMore(watcher);
      if (!sent.ok()) return fail(sent.status());
      if (*sent) return Turn::kSent;
      if (!watcher.final_seen && watcher.start.follow && !watcher.start.late) return Turn::kNothing;
      if (!watcher.final_seen) return end();
    }
    bool one_attempt = (watcher.start.attempt != 0 || watcher.start.late) && watcher.epoch;
    if (one_attempt) return end();
    absl::StatusOr<std::optional<AttemptRow>> next = NextAttempt(watcher, job);
    if (!next.ok()) return fail(next.status());
    if (*next) {
      absl::Status entered = Enter(watcher, **next);
      if (!entered.ok()) return fail(entered);
    } else if (IsTerminal(job.state) || !watcher.start.follow) {
      return end();
    } else {
      return Turn::kNothing;
    }
  }
}

// What is missing of a log may have been deleted while it was read.
absl::Status WatchHub::RemovedOr(const Watcher& watcher, const absl::Status& damage) {
  if (!absl::IsDataLoss(damage) || !watcher.epoch) return damage;
  absl::StatusOr<AttemptRow> attempt = store_.GetAttempt(watcher.epoch);
  const absl::Status kept = attempt.ok() ? CheckLogKept(*attempt) : absl::OkStatus();
  return kept.ok() ? damage : kept;
}

// What a watcher is told instead of the journal's own message, which names files of the data directory.
absl::Status WatchHub::Damaged(const Watcher& watcher, Seq seq) {
  return absl::DataLossError(absl::StrCat("the stored log of attempt ", watcher.attempt,
                                          " is damaged at record ", seq.value(), "\nnext: waggle verify ",
                                          watcher.start.job.value(), "@", watcher.attempt));
}

absl::StatusOr<Seq> WatchHub::Available(const Watcher& watcher) {
  const bool late = watcher.late_entered;
  if (std::optional<Seq> live = late ? logs_.LateLast(watcher.epoch) : logs_.Last(watcher.epoch)) {
    return *live;
  }
  ASSIGN_OR_RETURN(AttemptRow attempt, store_.GetAttempt(watcher.epoch));
  return Seq(late ? attempt.late.last_seq : attempt.last_seq);
}

absl::StatusOr<bool> WatchHub::SendMore(Watcher& watcher) {
  ASSIGN_OR_RETURN(Seq last, Available(watcher));
  RecordBatch batch;
  absl::StatusOr<std::size_t> count = watcher.reader->ReadRaw(limits::kWatchBatch, last, &batch.raw);
  if (!count.ok()) return Damaged(watcher, watcher.reader->next());
  if (*count == 0) {
    if (watcher.reader->next() <= last) {
      return absl::DataLossError(absl::StrCat("the stored log of attempt ", watcher.attempt,
                                              " ends before record ", last.value(), "\nnext: waggle verify ",
                                              watcher.start.job.value(), "@", watcher.attempt));
    }
    return false;
  }
  if (std::optional<RecordView> foreign = FirstOfAnother(batch.raw, watcher.epoch)) {
    const Seq seq = foreign->header.seq;
    batch.raw.resize(static_cast<std::size_t>(foreign->raw.data() - batch.raw.data()));
    if (batch.raw.empty()) return Damaged(watcher, seq);
    RETURN_IF_ERROR(watcher.reader->SeekTo(seq));  // what is its own is shown first
  }
  batch.epoch = watcher.epoch;
  batch.attempt = watcher.attempt;
  batch.lines.reserve(*count);
  journal::ForEachRecord(batch.raw, [&](const RecordView& record) {
    if (watcher.first_boot_nanos == 0) watcher.first_boot_nanos = record.header.boot_nanos;
    batch.lines.push_back(watcher.lines.Feed(record.header, record.payload));
    watcher.last_sent = record.header.seq;
    watcher.final_seen = record.header.kind == journal::Kind::kFinal;
  });
  batch.first_boot_nanos = watcher.first_boot_nanos;
  watcher.sink->SendRecords(batch);
  if (planted::Is(planted::kWatcherSkips)) watcher.reader->SeekTo(last).IgnoreError();
  return true;
}

}  // namespace waggle::queen
