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
  if (job->second.cancel_requested && !again_.contains(row.job)) {
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

// Every job runs or is skipped for how those before it ended. What somebody had run once more in between says
// nothing any more.
void Oracle::CheckGraph(const queen::JobRow& row) {
  const bool skipped = row.state == JobState::kSkipped;
  if (skipped) world_.Sometimes(Rare::job_skipped);
  if ((skipped && row.not_wanted) || (!skipped && row.after.empty())) return;
  bool open = false, spoiled = false;
  for (JobId id : row.after) {
    const queen::JobRow& before = store_.jobs.at(id);
    if (retried_.contains(id)) return;
    const bool well = before.state == JobState::kPassed || before.not_wanted ||
                      (before.allow_failure && before.state != JobState::kCanceled);
    open = open || !IsTerminal(before.state);
    spoiled = spoiled || (IsTerminal(before.state) && !well);
  }
  const bool right = row.runs_after == RunsAfter::kPassed   ? skipped == spoiled && (skipped || !open)
                     : row.runs_after == RunsAfter::kFailed ? !open && skipped == !spoiled
                                                            : !open && !skipped;
  if (!right) {
    world_.Fail("I18",
                absl::StrCat("job ", row.id.value(), skipped ? " is skipped" : " runs", ", to be run after ",
                             std::string(Name(row.runs_after)), " ones; those before it ",
                             open      ? "have not all ended"
                             : spoiled ? "did not all pass"
                                       : "passed"));
  }
}

// What a run has come to is what its jobs have come to.
void Oracle::CheckRuns() {
  for (const auto& [id, run] : store_.runs) {
    int worst = 0;
    constexpr JobState kOrder[] = {JobState::kPassed, JobState::kFailed, JobState::kErrored,
                                   JobState::kCanceled};
    for (const auto& [job, row] : store_.jobs) {
      if (row.run != id || row.allow_failure || row.not_wanted) continue;
      for (int i = 0; i < 4; ++i) {
        if (row.state == kOrder[i]) worst = std::max(worst, i);
      }
    }
    if (run.state != kOrder[worst]) {
      world_.Fail("I18", absl::StrCat("r", id.value(), " is ", std::string(Name(run.state)),
                                      ", its jobs came to ", std::string(Name(kOrder[worst]))));
    }
  }
}

void Oracle::BeforeCommit(const queen::WriteBatch& rows) {
  again_.clear();
  for (const queen::JobRow& row : rows.jobs) {
    auto before = store_.jobs.find(row.id);
    const bool ended = before != store_.jobs.end() && IsTerminal(before->second.state);
    if (ended && row.state == JobState::kCreated && row.retried == before->second.attempts)
      again_.insert(row.id);
  }
  retried_.insert(again_.begin(), again_.end());
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
    auto job = store_.jobs.find(row.job);
    if (job != store_.jobs.end() && job->second.failed_before > 0) world_.Sometimes(Rare::failed_repeated);
  }
}

void Oracle::AfterCommit(const queen::WriteBatch& rows) {
  for (JobId job : std::exchange(assigned_, {})) {
    CheckBranch(job);
    CheckGraph(store_.jobs.at(job));
  }
  for (const queen::JobRow& row : rows.jobs) {
    if (row.cancel_requested) canceled_.insert(row.id);
    if (row.state == JobState::kSkipped) CheckGraph(row);
    if (row.canceled_by == "waggle") world_.Sometimes(Rare::run_superseded);
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
    if (row.state != JobState::kCanceled && row.state != JobState::kSkipped && !settled)
      wrong("I3", "no attempt said so");
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
        if (row.attempts - row.retried - row.failed_before - row.excused <= 2)
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
