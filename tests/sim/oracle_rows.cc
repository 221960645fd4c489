// What the rows may say that the queen stores.
#include <algorithm>

#include "tests/sim/oracle.h"

namespace waggle::sim {

void Oracle::CheckNewAttempt(const queen::AttemptRow& row) {
  if (row.epoch <= highest_) {
    world_.Fail("I9", absl::StrCat("epoch ", row.epoch.value(), " was given after ", highest_.value()));
  }
  auto drone = store_.drones.find(row.drone);
  const bool revoked = drone != store_.drones.end() && IsRevoked({.identity = drone->second.identity});
  if (revoked) {
    world_.Fail("I17", absl::StrCat("attempt ", row.epoch.value(), " was given to ", row.drone_name,
                                    ", which is revoked"));
  }
  if (drained_.contains(row.drone_name)) {
    world_.Fail("I13", absl::StrCat("attempt ", row.epoch.value(), " was given to ", row.drone_name,
                                    " after a person was told that it is drained"));
  }
  auto job = store_.jobs.find(row.job);
  if (job == store_.jobs.end()) return;
  if (job->second.cancel_requested) {
    world_.Fail("I12", absl::StrCat("job ", row.job.value(), " was canceled and then assigned again"));
  }
}

// A branch is one run's at a time.
void Oracle::CheckBranch(JobId job) {
  const queen::JobRow& mine = store_.jobs.at(job);
  if (mine.repo.empty() || mine.branch.empty()) return;
  for (const auto& [id, other] : store_.jobs) {
    const bool same_run = id == job || (mine.run && mine.run == other.run);
    if (same_run || other.repo != mine.repo || other.branch != mine.branch) continue;
    if (other.attempt && !IsTerminal(other.state)) {
      world_.Fail("I15",
                  absl::StrCat("job ", job.value(), " starts on a branch where job ", id.value(), " runs"));
    }
  }
}

void Oracle::BeforeCommit(const queen::WriteBatch& rows) {
  for (const queen::AttemptRow& row : rows.attempts) {
    auto before = store_.attempts.find(row.epoch);
    if (before != store_.attempts.end()) {
      const bool given_up = before->second.late_awaited && !row.late_awaited && !row.late.known();
      if (given_up) world_.Sometimes(Rare::late_drone_gone);
      continue;
    }
    CheckNewAttempt(row);
    assigned_.push_back(row.job);
    if (row.number > 1) world_.Sometimes(Rare::queued_again);
  }
}

void Oracle::AfterCommit(const queen::WriteBatch& rows) {
  for (JobId job : std::exchange(assigned_, {})) CheckBranch(job);
  for (const queen::JobRow& row : rows.jobs) {
    if (row.cancel_requested) canceled_.insert(row.id);
  }
  for (const queen::AttemptRow& row : rows.attempts) {
    highest_ = std::max(highest_, row.epoch);
    if (row.granted) granted_.insert(row.epoch);
    if (row.late.known()) told_late_.insert(row.epoch);
    if (IsTerminal(row.state) || row.log_closed) ended_.insert(row.epoch);
  }
  std::set<JobId> seen;
  for (const queen::JobRow& row : rows.jobs) {
    if (IsTerminal(row.state) && !row.late.known() && seen.insert(row.id).second) CheckVerdict(row);
  }
  for (const queen::AttemptRow& row : rows.attempts) {
    if (row.late.known()) CheckLateTruth(row);
    if (!row.log_closed || DurableOf(row.epoch).final || Flipped(row.epoch)) continue;
    world_.Fail("I5",
                absl::StrCat("the log of attempt ", row.epoch.value(), " counts as closed; durable are ",
                             DurableOf(row.epoch).last.value(), " records and no final one"));
  }
}

void Oracle::CheckVerdict(const queen::JobRow& row) {
  auto wrong = [&](std::string_view invariant, std::string_view how) {
    world_.Fail(invariant, absl::StrCat("job ", row.id.value(), " is ", std::string(Name(row.state)), " (",
                                        std::string(Name(row.reason)), ") by attempt ", row.attempt.value(),
                                        ": ", absl::string_view(how.data(), how.size())));
  };
  if (row.state == JobState::kCanceled && !canceled_.contains(row.id))
    return wrong("I1", "nobody canceled it");
  if (!row.attempt) {
    const bool settled = row.reason == Reason::kUnknown && !store_.restores.empty();
    if (settled) world_.Sometimes(Rare::deploy_settled);
    if (row.state != JobState::kCanceled && !settled) wrong("I3", "no attempt said so");
    return;
  }
  for (auto it = store_.attempts.rbegin(); it != store_.attempts.rend(); ++it) {
    if (it->second.job != row.id) continue;
    if (it->first != row.attempt)
      return wrong("I3", absl::StrCat("its newest attempt is ", it->first.value()));
    break;
  }
  const queen::AttemptRow& attempt = store_.attempts.at(row.attempt);
  auto truth = truths_.find(row.attempt);
  const journal::Final* final =
      truth != truths_.end() && truth->second.final ? &*truth->second.final : nullptr;
  switch (row.state) {
    case JobState::kPassed:
    case JobState::kFailed:
      if (!DurableOf(row.attempt).final && !Flipped(row.attempt))
        return wrong("I5", "its log has no durable final record");
      if (final == nullptr || final->reason != Reason::kNone) return wrong("I1", "its shim did not say so");
      if ((final->failed_code == 0) != (row.state == JobState::kPassed))
        return wrong("I1", "its shim says otherwise");
      return;
    case JobState::kErrored:
      if (row.reason == Reason::kLogIncomplete && !Flipped(row.attempt))
        return wrong("I5", "no record was harmed");
      if (row.reason == Reason::kLogIncomplete) world_.Sometimes(Rare::log_incomplete);
      if (row.reason == Reason::kUnknown) world_.Sometimes(Rare::deploy_unknown);
      if (row.reason == Reason::kUnknown && !attempt.granted)
        return wrong("I1", "it was never granted a deploy");
      if (row.reason == Reason::kDroneLost || row.reason == Reason::kShimLost ||
          row.reason == Reason::kRejected || row.reason == Reason::kHandedBack) {
        if (attempt.granted) return wrong("I1", "its deploy may have begun");
        if (row.attempts - row.excused <= 2)
          return wrong("I1", absl::StrCat("after only ", row.attempts, " attempts"));
        world_.Sometimes(Rare::retries_used_up);
      }
      return;
    default:
      return;
  }
}

// What is told later is what the shim did; the verdict and its log are as they were.
void Oracle::CheckLateTruth(const queen::AttemptRow& row) {
  auto wrong = [&](std::string_view how) {
    world_.Fail("I16", absl::StrCat("the late truth of attempt ", row.epoch.value(), " is ",
                                    std::string(Name(row.late.state)), " (",
                                    std::string(Name(row.late.reason)), "), deploy code ",
                                    row.late.deploy_code, ": ", absl::string_view(how.data(), how.size())));
  };
  world_.Sometimes(Rare::late_truth);
  if (row.state != JobState::kErrored || row.reason != Reason::kUnknown) return wrong("its verdict is known");
  if (row.late_awaited) return wrong("it is still waited for");
  const Disk::File* file = world_.disk.Find(LateLogPath(row.epoch));
  if (file == nullptr) return wrong("it has no log");
  const Seq last = CheckLateLog(row.epoch, file->durable);
  if (last.value() != row.late.last_seq && !Flipped(row.epoch)) return wrong("its log is not durable");
  const std::optional<journal::Final>& final = truths_.at(row.epoch).final;
  if (row.late.reason == Reason::kShimLost) {
    world_.Sometimes(Rare::late_shim_lost);  // or the end of its spool was lost with the power of its host
    return;
  }
  if (row.late.reason == Reason::kHandedBack && !final) return;  // its drone was stopped in the middle of it
  const bool harmed = power_lost_ || Flipped(row.epoch);
  if (row.late.reason == Reason::kLogIncomplete && harmed) return;  // half a seal may stand in its log
  if (!final) return wrong("its shim has not ended it");
  if (row.late.reason != final->reason || row.late.deploy_code != final->deploy_code ||
      row.late.test_code != final->test_code || row.late.failed_code != final->failed_code) {
    return wrong("its shim says otherwise");
  }
}

}  // namespace waggle::sim
