// What a shard writes into one log: records of its drone, checked; the end of one that was given up.
#include <fcntl.h>

#include "absl/strings/str_cat.h"
#include "common/base/failpoint.h"
#include "common/base/fd.h"
#include "common/base/planted.h"
#include "common/base/status_macros.h"
#include "common/journal/reader.h"
#include "common/journal/scan.h"
#include "queen/logs/final_check.h"
#include "queen/logs/log_shard.h"

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
  const auto recover = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(log->writer, journal::Writer::Recover(log->location, epoch));
    return ReadState(*log);
  };
  RETURN_IF_ERROR(recover());
  ASSIGN_OR_RETURN(const bool cut, CutHalfSeal(*log));
  if (cut) RETURN_IF_ERROR(recover());
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

// A seal is two records (WriteSeal), and a loss of power may keep the first alone. Then nothing has been
// said: what the drone still sends takes its place.
absl::StatusOr<bool> LogShard::CutHalfSeal(const OpenedLog& log) {
  if (!log.writer->last() || log.final || log.last_kind != Kind::kStatus) return false;
  const std::string segment = log.location.Segment(log.last_at.segment);
  ASSIGN_OR_RETURN(UniqueFd file, waggle::Open(segment, O_RDWR));
  RETURN_IF_ERROR(Truncate(file.get(), log.last_at.byte, segment));
  return true;
}

absl::Status LogShard::ReadState(OpenedLog& log) {
  log.state = {};
  log.final.reset();
  if (!log.conflict_reported) log.problem.clear();
  log.total_bytes = 0;
  log.first_boot_nanos = log.last_boot_nanos = 0;
  const Seq last = log.writer->last();
  if (!last) return absl::OkStatus();
  if (log.late) {
    // A sealed log that is harmed makes a late log that cannot be checked; it is no reason not to take it.
    absl::Status before = TakeBefore(log, log.after);
    if (!before.ok() && log.problem.empty()) log.problem = std::string(before.message());
    return journal::ScanBehind(log.location, log.epoch, log.after, TakeUntil(log, last, Seq(1))).status();
  }
  // Digests and line numbers go on from the last checkpoint; only what is behind it is hashed again. The
  // last record, which may be the final, is always taken again.
  journal::Checkpoint checkpoint = journal::FindRecord(log.location, last, &log.index_entries);
  log.state = checkpoint.state;
  return journal::Scan(log.location, log.epoch, TakeUntil(log, last, checkpoint.next)).status();
}

std::function<void(const RecordView&, journal::Position)> LogShard::TakeUntil(OpenedLog& log, Seq last,
                                                                              Seq from) {
  return [this, &log, last, from](const RecordView& record, journal::Position position) {
    if (record.header.seq > last) return;
    log.last_kind = record.header.kind;
    log.last_at = position;
    if (log.first_boot_nanos == 0) log.first_boot_nanos = record.header.boot_nanos;
    log.last_boot_nanos = record.header.boot_nanos;
    log.total_bytes += record.raw.size();
    if (record.header.seq >= from) Take(log, record);
  };
}

absl::Status LogShard::RecoverLate(Epoch epoch, Seq after) {
  if (!FileExists(LateAt(epoch).Segment(0))) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::shared_ptr<OpenedLog> log, OpenLate(epoch, after));
  if (log->final) callbacks_->complete(Completion(*log));
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<OpenedLog>> LogShard::OpenLate(Epoch epoch, Seq after) {
  {
    absl::MutexLock lock(&mutex_);
    auto found = logs_.find(epoch);
    if (found != logs_.end() && found->second->late) return found->second;
  }
  auto log = std::make_shared<OpenedLog>();
  log->epoch = epoch;
  log->late = true;
  log->after = after;
  log->location = LateAt(epoch);
  RETURN_IF_ERROR(MakeDirectoriesDurably(log->location.directory));
  const auto recover = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(log->writer, journal::Writer::RecoverBehind(log->location, epoch, after));
    return ReadState(*log);
  };
  RETURN_IF_ERROR(recover());
  ASSIGN_OR_RETURN(const bool cut, CutHalfSeal(*log));
  if (cut) RETURN_IF_ERROR(recover());
  log->last.store(log->writer->last().value());
  log->durable.store(log->last.load());
  absl::MutexLock lock(&mutex_);
  logs_[epoch] = log;
  return log;
}

absl::Status LogShard::TakeBefore(OpenedLog& late, Seq after) {
  const journal::Location sealed = At(late.epoch);
  journal::Checkpoint checkpoint = journal::FindRecord(sealed, Seq(after.value() + 1));
  late.state = checkpoint.state;
  journal::Reader reader(sealed);
  reader.SeekToPosition(checkpoint.position.segment, checkpoint.position.byte, checkpoint.next);
  std::string raw;
  while (reader.next() <= after) {
    raw.clear();
    ASSIGN_OR_RETURN(const std::size_t count, reader.ReadRaw(limits::kLogBatch, after, &raw));
    if (count == 0) {
      return absl::DataLossError(
          absl::StrCat("the log before it ends at record ", reader.next().value() - 1));
    }
    journal::ForEachRecord(raw, [&](const RecordView& record) { late.state.Feed(record); });
  }
  return absl::OkStatus();
}

void LogShard::Starve(OpenedLog& log, const absl::Status& why) {
  log.starved = true;
  absl::Status read = planted::Is(planted::kStarvedStateKept) ? absl::OkStatus() : ReadState(log);
  if (!read.ok()) return callbacks_->failed(read);
  callbacks_->starved(why);
}

bool LogShard::Accept(OpenedLog& log, std::string_view records) {
  std::uint64_t next = log.last.load() + 1;
  std::size_t begin = 0, end = 0;  // of the fresh records within `records` that are not written yet
  auto write = [&] {
    if (begin == end) return true;
    absl::Status written = Write(log, records.substr(begin, end - begin), Seq(next - 1));
    begin = end;
    if (written.ok()) return true;
    if (absl::IsResourceExhausted(written)) {
      Starve(log, written);
    } else {
      callbacks_->failed(written);
    }
    return false;
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
      if (!write()) return false;  // what is fresh must not reach across a repeat
      CheckRepeat(log, record, stored);
    } else {
      if (begin == end) begin = at;
      end = at + record.raw.size();
      if (log.first_boot_nanos == 0) log.first_boot_nanos = record.header.boot_nanos;
      log.last_boot_nanos = record.header.boot_nanos;
      Take(log, record);
      ++next;
      // The index wants its checkpoints between two writes, one per 64 KiB.
      if (end - begin >= limits::kIndexEvery && !write()) return false;
    }
    at += record.raw.size();
  }
  return write() && whole;
}

// A repeat after a lost acknowledgement is normal; one with other bytes is a conflict: the first bytes stay.
void LogShard::CheckRepeat(OpenedLog& log, const RecordView& record, std::optional<journal::Reader>& stored) {
  const Seq seq = record.header.seq;
  // Behind a seal stand the queen's own records; of a log that is over nothing is asked any more.
  if (log.conflict_reported || log.final || seq.value() > log.last.load()) return;
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
  failpoint::Pass("queen.records.appended");
  log.total_bytes += raw.size();
  log.unsynced_bytes += raw.size();
  log.last.store(last.value(), std::memory_order_release);
  if (log.late || log.total_bytes < limits::kIndexEvery) return absl::OkStatus();  // short logs need no index
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

void LogShard::WriteSeal(OpenedLog& log) {
  if (log.starved) return;  // GoOn() comes back to it
  const effect::SealLog seal = *std::exchange(log.pending_seal, std::nullopt);
  if (log.final) return;  // its own final record came in time
  failpoint::Pass("queen.seal.decided");
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
  final.processes_left = journal::kNobodyCounted;
  journal::EncodeRecord(header, journal::Encode(final), &raw);
  absl::Status written = Write(log, raw, header.seq);
  if (absl::IsResourceExhausted(written)) {
    log.pending_seal = seal;
    return Starve(log, written);
  }
  if (!written.ok()) return callbacks_->failed(written);
  log.final = final;
  log.session = SessionId();
  failpoint::Pass("queen.seal.written");
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
  complete.late = log.late;
  return complete;
}

}  // namespace waggle::queen
