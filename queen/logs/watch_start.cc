#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "queen/core/verdict.h"
#include "queen/logs/removal.h"
#include "queen/logs/watch.h"

// How a watcher starts: which attempt it reads, and from which record.
namespace waggle::queen {

using journal::RecordView;

absl::StatusOr<std::optional<AttemptRow>> WatchHub::NextAttempt(const Watcher& watcher, const JobRow& job) {
  if (watcher.epoch && job.attempt == watcher.epoch) return std::nullopt;
  ASSIGN_OR_RETURN(std::vector<AttemptRow> attempts, store_.ListAttempts(job.id));
  if (watcher.epoch) {
    for (AttemptRow& attempt : attempts) {
      if (attempt.epoch > watcher.epoch) return std::move(attempt);
    }
    return std::nullopt;
  }
  if (watcher.start.after_epoch) {
    for (AttemptRow& attempt : attempts) {
      if (attempt.epoch == watcher.start.after_epoch) return std::move(attempt);
    }
    return absl::NotFoundError(absl::StrCat("the cursor names epoch ", watcher.start.after_epoch.value(),
                                            ", which is no attempt of job ", job.id.value()));
  }
  if (watcher.start.attempt != 0) {
    for (AttemptRow& attempt : attempts) {
      if (attempt.number == watcher.start.attempt) return std::move(attempt);
    }
    return absl::NotFoundError(absl::StrCat("job ", job.id.value(), " has no attempt ", watcher.start.attempt,
                                            "; it has ", attempts.size()));
  }
  if (attempts.empty()) return std::nullopt;
  // It runs once more and has no attempt yet: those before are of another time.
  if (!job.attempt && attempts.back().number <= job.retried) return std::nullopt;
  return std::move(attempts.back());
}

absl::Status WatchHub::Enter(Watcher& watcher, const AttemptRow& attempt) {
  RETURN_IF_ERROR(CheckLogKept(attempt));
  bool first = !watcher.epoch;
  watcher.epoch = attempt.epoch;
  watcher.attempt = attempt.number;
  watcher.reader.emplace(logs_.At(attempt.epoch));
  watcher.lines = journal::LineCounter();
  watcher.first_boot_nanos = 0;
  watcher.final_seen = false;
  if (!first) watcher.last_sent = Seq();
  Listen(watcher, attempt.epoch);
  if (watcher.start.late) return EnterLate(watcher, attempt);
  return first ? SkipToStart(watcher) : absl::OkStatus();
}

// Behind the records of the drone in the log proper, so that lines go on counting.
absl::Status WatchHub::EnterLate(Watcher& watcher, const AttemptRow& attempt) {
  const Seq before = LastBeforeSeal(attempt);
  if (!attempt.late.known() && !logs_.LateLast(attempt.epoch)) {
    return absl::NotFoundError(absl::StrCat("nothing came later of attempt ", attempt.number, " of job ",
                                            attempt.job.value(),
                                            attempt.late_awaited ? ": its drone is not back yet" : ""));
  }
  watcher.start.from_line = 0;
  watcher.start.after_seq = before;
  RETURN_IF_ERROR(SkipToStart(watcher));
  watcher.late_entered = true;
  watcher.last_sent = before;
  watcher.final_seen = false;
  watcher.reader.emplace(logs_.LateAt(attempt.epoch));
  watcher.reader->SeekToPosition(0, journal::kSegmentHeaderBytes, Seq(before.value() + 1));
  return absl::OkStatus();
}

// Moves the reader to the cursor or line, with the line numbers counted from the nearest checkpoint.
absl::Status WatchHub::SkipToStart(Watcher& watcher) {
  const WatchStart& start = watcher.start;
  bool by_line = start.from_line > 1 && !start.after_seq;
  if (!by_line && !start.after_seq) return absl::OkStatus();
  ASSIGN_OR_RETURN(Seq last, Available(watcher));
  journal::Location location = logs_.At(watcher.epoch);
  std::string raw;
  journal::Reader head(location);
  absl::StatusOr<std::size_t> got = head.ReadRaw(1, std::min(last, Seq(1)), &raw);
  if (!got.ok()) return Damaged(watcher, head.next());
  if (*got > 0) {
    journal::ForEachRecord(raw, [&](const RecordView& r) { watcher.first_boot_nanos = r.header.boot_nanos; });
  }
  Seq target(start.after_seq.value() + 1);
  journal::Checkpoint checkpoint =
      by_line ? journal::FindLine(location, start.from_line) : journal::FindRecord(location, target);
  // The last record is read in any case: it says whether anything can follow.
  if (checkpoint.next > last) checkpoint = journal::FindRecord(location, last);
  watcher.lines = checkpoint.state.lines;
  watcher.reader->SeekToPosition(checkpoint.position.segment, checkpoint.position.byte, checkpoint.next);
  while (watcher.reader->next() <= last) {
    raw.clear();
    Seq next = watcher.reader->next();
    if (!by_line && next >= target) return absl::OkStatus();
    absl::StatusOr<std::size_t> n = watcher.reader->ReadRaw(1, last, &raw);  // one record
    if (!n.ok()) return Damaged(watcher, next);
    if (*n == 0) break;
    RecordView record;
    journal::DecodeRecord(raw, &record);
    if (record.header.epoch != watcher.epoch) return Damaged(watcher, next);
    journal::LineCounter before = watcher.lines;
    std::uint64_t first = watcher.lines.Feed(record.header, record.payload);
    if (by_line && first != 0 && watcher.lines.lines() >= start.from_line) {
      watcher.lines = before;
      return watcher.reader->SeekTo(next);
    }
    watcher.last_sent = next;
    watcher.final_seen = record.header.kind == journal::Kind::kFinal;
  }
  return absl::OkStatus();
}

}  // namespace waggle::queen
