#include "queen/logs/log_shard.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/fd.h"
#include "common/base/planted.h"
#include "common/base/status_macros.h"
#include "common/journal/reader.h"
#include "common/journal/scan.h"
#include "queen/logs/final_check.h"

namespace waggle::queen {

using journal::Kind;
using journal::RecordView;

namespace {

// At most limits::kReasonBytes, never half a character.
std::string_view Shortened(std::string_view text) {
  if (text.size() <= limits::kReasonBytes) return text;
  std::size_t end = limits::kReasonBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace

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
  return {absl::StrCat(directory_, "/", epoch.value() / 4096), absl::StrCat(epoch.value())};
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
        const Duration wait = stopping_ ? Duration::zero() : next_sync_ - BootClock::now();
        mutex_.AwaitWithTimeout(absl::Condition(&ready), absl::FromChrono(std::max(wait, Duration::zero())));
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
    item.log->durable.store(item.last, std::memory_order_release);
    // The verdict on a complete log acknowledges it whole.
    if (item.complete) {
      callbacks_->complete(std::move(*item.complete));
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
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<OpenedLog>> LogShard::Open(Epoch epoch) {
  {
    absl::MutexLock lock(&mutex_);
    auto found = logs_.find(epoch);
    if (found != logs_.end()) return found->second;
  }
  auto log = std::make_shared<OpenedLog>();
  log->epoch = epoch;
  log->location = At(epoch);
  RETURN_IF_ERROR(MakeDirectoriesDurably(log->location.directory));
  ASSIGN_OR_RETURN(log->writer, journal::Writer::Recover(log->location, epoch));
  if (log->writer->last().value() > 0) {
    // Digests and line numbers go on from the last checkpoint; only what is behind it is hashed again. The
    // last record, which may be the final, is always taken again.
    journal::Checkpoint checkpoint =
        journal::FindRecord(log->location, log->writer->last(), &log->index_entries);
    log->state = checkpoint.state;
    auto visit = [&](const RecordView& record, journal::Position) {
      if (log->first_boot_nanos == 0) log->first_boot_nanos = record.header.boot_nanos;
      log->last_boot_nanos = record.header.boot_nanos;
      log->total_bytes += record.raw.size();
      if (record.header.seq >= checkpoint.next) Take(*log, record);
    };
    RETURN_IF_ERROR(journal::Scan(log->location, epoch, visit).status());
  }
  if (FileExists(log->location.Index())) {
    // Checkpoints behind a cut speak of records that are not there any more.
    absl::StatusOr<std::unique_ptr<journal::IndexWriter>> index =
        journal::IndexWriter::Open(log->location, log->index_entries);
    if (index.ok()) log->index = std::move(*index);  // only a cache
  }
  log->last.store(log->writer->last().value());
  absl::MutexLock lock(&mutex_);
  logs_[epoch] = log;
  return log;
}

void LogShard::OpenLog(Epoch epoch, SessionId session) {
  absl::StatusOr<std::shared_ptr<OpenedLog>> log = Open(epoch);
  if (!log.ok()) return callbacks_->failed(log.status());
  (*log)->session = session;
}

void LogShard::CloseLog(Epoch epoch) {
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
  if (log == nullptr || log->session != session) return callbacks_->fenced(session, epoch);
  std::uint64_t before = log->last.load();
  bool whole = Accept(*log, records);
  if (log->last.load() > before) {
    MarkDirty(log);
    callbacks_->appended(epoch);
  } else if (whole) {
    callbacks_->acked(session, epoch,
                      Seq(log->durable.load()));  // nothing but repeats: say again what is safe
  }
  if (!whole) callbacks_->resume_from(session, epoch, Seq(log->last.load() + 1));
  if (log->pending_seal && log->last.load() >= log->pending_seal->at_least) WriteSeal(*log);
}

bool LogShard::Accept(OpenedLog& log, std::string_view records) {
  std::uint64_t next = log.last.load() + 1;
  std::size_t begin = 0, end = 0;  // of the fresh records within `records` that are not written yet
  auto write = [&] {
    if (begin == end) return;
    absl::Status written = Write(log, records.substr(begin, end - begin), Seq(next - 1));
    if (!written.ok()) callbacks_->failed(written);
    begin = end;
  };
  bool whole = true;
  std::optional<journal::Reader> stored;  // of repeats: read on, not searched for each
  std::size_t at = 0;
  while (at < records.size()) {
    RecordView record;
    bool good = journal::DecodeRecord(records.substr(at), &record) == journal::DecodeResult::kOk &&
                record.header.epoch == log.epoch && record.header.seq && record.header.seq.value() <= next &&
                !(log.final && next == record.header.seq.value());
    if (!good) {
      whole = false;
      break;
    }
    if (record.header.seq.value() < next && !planted::Is(planted::kRepeatStored)) {
      write();  // what is fresh must not reach across a repeat
      CheckRepeat(log, record, stored);
    } else {
      if (begin == end) begin = at;
      end = at + record.raw.size();
      if (log.first_boot_nanos == 0) log.first_boot_nanos = record.header.boot_nanos;
      log.last_boot_nanos = record.header.boot_nanos;
      Take(log, record);
      ++next;
      // The index wants its checkpoints between two writes, one per 64 KiB.
      if (end - begin >= limits::kIndexEvery) write();
    }
    at += record.raw.size();
  }
  write();
  return whole;
}

// A repeat after a lost acknowledgement is normal; one with other bytes is a conflict: the first bytes stay.
void LogShard::CheckRepeat(OpenedLog& log, const RecordView& record, std::optional<journal::Reader>& stored) {
  const Seq seq = record.header.seq;
  if (log.conflict_reported || seq.value() > log.last.load()) return;
  if (!stored || stored->next() != seq) {
    stored.emplace(log.location);
    if (!stored->SeekTo(seq).ok()) return;
  }
  std::string first;
  if (!stored->ReadRaw(1, seq, &first).ok() || first == record.raw) return;
  log.conflict_reported = true;
  log.problem = absl::StrCat("record ", seq.value(), " was sent twice with different content");
}

void LogShard::Take(OpenedLog& log, const RecordView& record) {
  if (journal::IsOutput(record.header.kind)) {
    std::uint64_t have = record.header.kind == Kind::kStdout ? log.state.out.bytes() : log.state.err.bytes();
    if (record.header.offset != have && log.problem.empty()) {
      log.problem = absl::StrCat("record ", record.header.seq.value(), " starts at stream offset ",
                                 record.header.offset, " instead of ", have);
    }
  }
  log.state.Feed(record);
  if (record.header.kind != Kind::kFinal) return;
  std::optional<journal::Final> final = journal::DecodeFinal(record.payload);
  log.final = final.value_or(journal::Final{});
  if (!log.problem.empty()) return;
  if (!final) {
    log.problem = "the final record cannot be read";
  } else if (final->out != log.state.out.Total() || final->err != log.state.err.Total()) {
    log.problem = absl::StrCat("the final record says ", final->out.bytes, " + ", final->err.bytes,
                               " bytes of output; stored are ", log.state.out.bytes(), " + ",
                               log.state.err.bytes(), ", or their digest differs");
  } else if (final->last != record.header.seq) {
    log.problem = absl::StrCat("the final record says that its last record is ", final->last.value(),
                               "; it is ", record.header.seq.value());
  } else {
    log.problem = Contradiction(*final);
  }
}

absl::Status LogShard::Write(OpenedLog& log, std::string_view raw, Seq last) {
  RETURN_IF_ERROR(log.writer->AppendRaw(raw, last));
  log.total_bytes += raw.size();
  log.unsynced_bytes += raw.size();
  log.last.store(last.value(), std::memory_order_release);
  if (log.total_bytes < limits::kIndexEvery) return absl::OkStatus();  // short logs need no index
  if (log.index == nullptr) {
    absl::StatusOr<std::unique_ptr<journal::IndexWriter>> index =
        journal::IndexWriter::Open(log.location, log.index_entries);
    if (!index.ok()) return absl::OkStatus();  // only a cache
    log.index = std::move(*index);
  }
  journal::Checkpoint checkpoint;
  checkpoint.position = {log.writer->segment(), log.writer->position()};
  checkpoint.next = Seq(last.value() + 1);
  checkpoint.state = log.state;
  log.index->MaybeAppend(checkpoint, log.total_bytes).IgnoreError();
  return absl::OkStatus();
}

void LogShard::Seal(const effect::SealLog& seal) {
  absl::StatusOr<std::shared_ptr<OpenedLog>> log = Open(seal.epoch);
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

void LogShard::WriteSeal(OpenedLog& log) {
  effect::SealLog seal = std::move(*log.pending_seal);
  log.pending_seal.reset();
  if (log.final) return;  // its own final record came in time
  log.session = SessionId();
  journal::RecordHeader header;
  header.epoch = log.epoch;
  header.boot_nanos = log.last_boot_nanos;
  std::string raw;
  header.seq = Seq(log.last.load() + 1);
  header.kind = Kind::kStatus;
  journal::EncodeRecord(header, Shortened(seal.text), &raw);
  header.seq = Seq(header.seq.value() + 1);
  header.kind = Kind::kFinal;
  journal::Final final;
  final.last = header.seq;
  final.out = log.state.out.Total();
  final.err = log.state.err.Total();
  final.reason = seal.reason;
  final.detail = Shortened(seal.detail);
  final.test_code = seal.test_code;
  final.deploy_code = seal.deploy_code;
  journal::EncodeRecord(header, journal::Encode(final), &raw);
  log.final = final;
  absl::Status written = Write(log, raw, header.seq);
  if (!written.ok()) return callbacks_->failed(written);
  MarkDirty(Open(log.epoch).value());
  callbacks_->appended(log.epoch);
}

event::LogComplete LogShard::Completion(const OpenedLog& log) const {
  event::LogComplete complete;
  complete.epoch = log.epoch;
  complete.final = *log.final;
  complete.last_seq = log.last.load();
  complete.duration = Duration(journal::NanosBetween(log.first_boot_nanos, log.last_boot_nanos));
  complete.problem = log.problem;
  return complete;
}

}  // namespace waggle::queen
