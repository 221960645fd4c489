// Jobs and attempts: submit, queue, assign, give up, verdict, cancel.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/planted.h"
#include "queen/core/hive.h"
#include "queen/core/said.h"
#include "queen/core/verdict.h"

namespace waggle::queen {
namespace {

Requirement RequirementOf(const JobRow& job) {
  Requirement requirement{job.needs, job.plugins, job.local_only};
  std::sort(requirement.plugins.begin(), requirement.plugins.end());
  return requirement;
}

// A lost TEST attempt, or one whose deploy phase was not granted, says nothing about the user's code: try
// again.
bool IsInfrastructure(Reason reason) {
  return reason == Reason::kDroneLost || reason == Reason::kShimLost || reason == Reason::kRejected ||
         reason == Reason::kHandedBack;
}

constexpr std::int32_t kUnknownCode = 504;  // of a deploy

// Its deploy phase may have begun.
bool MustNotRepeat(const AttemptRow& attempt) {
  return attempt.granted && !planted::Is(planted::kDeployRepeated);
}

}  // namespace

std::string Hive::CancelDetail(const JobRow& job) {
  return absl::StrCat("canceled by ", job.canceled_by, job.cancel_reason.empty() ? "" : ": ",
                      job.cancel_reason);
}

JobRow& Hive::AddJob(JobDraft draft, RunId run) {
  JobId id(++counters_.job);
  counters_changed_ = true;
  JobRow& job = jobs_[id];
  job = std::move(draft.row);
  job.id = id;
  job.run = run;
  job.state = JobState::kCreated;
  job.times = {.created = wall_};
  EnterBranch(job);
  effects_.rows.documents.push_back({id, std::move(draft.document)});
  return job;
}

bool Hive::AnswerRepeat(RequestId request, const event::SubmissionKey& key) {
  const SubmissionRow* known = key.key.empty() ? nullptr : submissions_.Find(key.key);
  if (known == nullptr || planted::Is(planted::kKeyOnlyInStore)) return false;
  effects_.after.push_back(effect::Answer{request, known->digest == key.digest
                                                       ? AnswerValue(KnownSubmission{*known})
                                                       : AnswerValue(KeyConflict(*known))});
  return true;
}

bool Hive::RefuseNew(RequestId request) {
  if (storage_trouble_.empty()) return false;
  effects_.after.push_back(effect::Answer{
      request,
      absl::ResourceExhaustedError(absl::StrCat(
          storage_trouble_, "; nothing was started\nnext: free space on its disk; it goes on by itself"))});
  return true;
}

void Hive::Remember(const event::SubmissionKey& key, JobId job, RunId run) {
  if (key.key.empty()) return;
  SubmissionRow row{key.key, key.digest, job, run, wall_};
  effects_.rows.submissions.push_back(row);
  submissions_.Add(std::move(row));
}

void Hive::On(const event::SubmitJob& e) {
  if (AnswerRepeat(e.request, e.key) || RefuseNew(e.request)) return;
  JobRow& job = AddJob(e.draft, RunId());
  Enqueue(job);
  Remember(e.key, job.id, RunId());
  effects_.after.push_back(effect::Answer{e.request, job});
}

// A job that runs already is not held any more: two runs of a branch were started while they were allowed to.
void Hive::EnterBranch(const JobRow& job) {
  if (config_.serial_branches && (!job.attempt || branch_gate_.MayJoin(job))) branch_gate_.Enter(job);
}

void Hive::Enqueue(JobRow& job) {
  job.state = JobState::kQueued;
  if (job.times.queued == 0) job.times.queued = std::max(wall_, job.times.created);
  job.attempt = Epoch();
  job.drone_name.clear();
  job.times.received = job.times.started = 0;  // those are of the current attempt
  if (branch_gate_.MayGo(job.id)) placement_.AddJob(job.id, job.priority, RequirementOf(job));
  Save(job);
}

void Hive::PlaceJobs() {
  if (!storage_trouble_.empty() || listening()) return;  // each attempt wants a log, and a new epoch
  while (std::optional<std::pair<JobId, DroneId>> next = placement_.Next()) Assign(next->first, next->second);
}

void Hive::Assign(JobId id, DroneId drone_id) {
  JobRow& job = jobs_.at(id);
  Drone& drone = drones_.at(drone_id);
  Epoch epoch(++counters_.epoch);
  counters_changed_ = !planted::Is(planted::kEpochNotStored);
  Attempt& attempt = attempts_[epoch];
  attempt.row.epoch = epoch;
  attempt.row.job = id;
  attempt.row.number = ++job.attempts;
  attempt.row.drone = drone_id;
  attempt.row.drone_name = drone.row.name;
  attempt.row.times.created = wall_;
  attempt.session = drone.session;
  attempt.holds_slot = true;
  attempt.accept_by = now_ + config_.accept_deadline;
  attempt_checks_.emplace(*attempt.accept_by, epoch);
  drone.attempts.insert(epoch);
  job.attempt = epoch;
  job.drone_name = drone.row.name;
  Save(attempt.row);
  Save(job);
  effects_.after.push_back(effect::OpenLog{epoch, drone.session});
  Send(drone.connection, to_drone::Assign{epoch, attempt.row.number, id});
}

bool Hive::MayRetry(const JobRow& job, const Attempt& attempt, Reason reason) const {
  return IsInfrastructure(reason) && !MustNotRepeat(attempt.row) && Counted(job) <= RetriesOf(job);
}

std::uint32_t Hive::RetriesOf(const JobRow& job) const {
  return static_cast<std::uint32_t>(job.retry_infra >= 0 ? job.retry_infra : config_.infrastructure_retries);
}

std::uint32_t Hive::Counted(const JobRow& job) {
  return job.attempts - job.retried - job.excused - job.failed_before;
}

void Hive::Excuse(JobRow& job, Reason reason) {
  if (reason == Reason::kHandedBack && job.excused < limits::kExcusedAttempts) ++job.excused;
}

void Hive::GiveUp(Attempt& attempt, Reason reason, std::string detail, std::uint64_t log_at_least) {
  if (log_at_least > 0) {
    attempt.seal_by = now_ + limits::kSealDeadline;
    attempt_checks_.emplace(*attempt.seal_by, attempt.row.epoch);
  }
  if (attempt.seal) {
    attempt.seal->at_least = log_at_least;
    effects_.after.push_back(*attempt.seal);
    return;
  }
  if (attempt.late) return GiveUpLate(attempt, reason, std::move(detail), log_at_least);
  attempt.accept_by.reset();
  ReleaseSlot(attempt);
  JobRow& job = jobs_.at(attempt.row.job);
  if (job.cancel_requested) {
    reason = Reason::kCanceled;
    detail = absl::StrCat("canceled by ", job.canceled_by, "; ", detail);
  } else if (MustNotRepeat(attempt.row) && IsInfrastructure(reason)) {
    reason = Reason::kUnknown;
    if (attempt.row.deploy_code == -1) attempt.row.deploy_code = kUnknownCode;
    detail = absl::StrCat(detail, "; its deploy may have begun, so it is not repeated");
  }
  attempt.row.detail = detail;
  std::string text = absl::StrCat("waggle: ", detail);
  const std::uint32_t excused = job.excused;
  Excuse(job, reason);
  if (planted::Is(planted::kBranchFreedByLoss)) LeaveBranch(job.id);
  if (MayRetry(job, attempt, reason)) {
    // The verdict of the attempt is plain; the job goes on without waiting for the log to be sealed.
    if (job.excused > excused) {
      absl::StrAppend(&text, " (queued again; it does not count as a failed attempt)");
    } else {
      absl::StrAppend(&text, " (attempt ", Counted(job), " of ", RetriesOf(job) + 1, ", queued again)");
    }
    FinishAttempt(attempt, JobState::kErrored, reason, detail);
    Enqueue(job);
  } else if (reason == Reason::kUnknown) {
    absl::StrAppend(&text, " (504)");
  }
  Save(attempt.row);
  attempt.seal = effect::SealLog{attempt.row.epoch,      log_at_least,    reason,
                                 std::move(detail),      std::move(text), attempt.row.test_code,
                                 attempt.row.deploy_code};
  effects_.after.push_back(*attempt.seal);
}

void Hive::SealOrphan(Attempt& attempt) {
  auto job = jobs_.find(attempt.row.job);
  bool current = job != jobs_.end() && job->second.attempt == attempt.row.epoch;
  if (!IsTerminal(attempt.row.state)) {
    if (current) {
      GiveUp(attempt, Reason::kDroneLost, absl::StrCat(attempt.row.drone_name, " is not known any more"), 0);
      return;
    }
    FinishAttempt(attempt, JobState::kErrored, Reason::kDroneLost, "its job is not known any more");
    Save(attempt.row);
  }
  attempt.seal = effect::SealLog{attempt.row.epoch,
                                 0,
                                 attempt.row.reason,
                                 attempt.row.detail,
                                 absl::StrCat("waggle: ", attempt.row.detail),
                                 attempt.row.test_code,
                                 attempt.row.deploy_code};
  effects_.after.push_back(*attempt.seal);
}

void Hive::ReleaseSlot(Attempt& attempt) {
  if (!attempt.holds_slot) return;
  attempt.holds_slot = false;
  auto drone = drones_.find(attempt.row.drone);
  const bool kept = planted::Is(planted::kSlotNotReturned) && attempt.row.number > 1;
  if (drone != drones_.end() && !kept) placement_.FreeSlot(attempt.row.drone);
}

void Hive::FinishAttempt(Attempt& attempt, JobState state, Reason reason, std::string detail) {
  attempt.row.state = state;
  attempt.row.reason = reason;
  attempt.row.detail = std::move(detail);
  JobTimes& times = attempt.row.times;
  if (times.finished == 0) times.finished = std::max({wall_, times.created, times.received, times.started});
  ReleaseSlot(attempt);
}

JobRow Hive::FinishJob(JobRow& job, JobState state, Reason reason, std::string detail) {
  job.state = state;
  job.reason = reason;
  job.detail = std::move(detail);
  JobTimes& times = job.times;
  if (times.finished == 0) times.finished = wall_;
  times.finished = std::max({times.finished, times.started, times.received, times.queued});
  Save(job);
  JobRow ended = job;
  placement_.RemoveJob(ended.id);
  jobs_.erase(ended.id);
  LeaveBranch(ended.id);
  NoteEnded(ended);
  return ended;
}

void Hive::LeaveBranch(JobId id) {
  for (JobId next : branch_gate_.Leave(id)) {
    const JobRow& freed = jobs_.at(next);
    if (freed.state != JobState::kQueued) continue;  // it waits for others of its run
    placement_.AddJob(next, freed.priority, RequirementOf(freed));
  }
}

// Received before queued is lifted to queued: the drone's wall clock may be wrong, the order is not.
bool Hive::TakeTimes(Attempt& attempt, WallMillis received, WallMillis started, WallMillis finished) {
  constexpr WallMillis kPlausible = 946'684'800'000;       // before the year 2000: a clock that was never set
  constexpr WallMillis kAhead = 366LL * 24 * 3600 * 1000;  // no clock, but a lie
  JobTimes& times = attempt.row.times;
  WallMillis floor = times.created;
  bool news = false;
  auto take = [&](WallMillis& known, WallMillis said) {
    if (known == 0 && said > kPlausible) {
      known = std::max(said > wall_ + kAhead ? wall_ : said, floor);
      news = true;
    }
    floor = std::max(floor, known);
  };
  take(times.received, received != 0 ? received : started);
  take(times.started, started);
  take(times.finished, finished);
  auto job = jobs_.find(attempt.row.job);
  if (job == jobs_.end() || job->second.attempt != attempt.row.epoch) return news;
  job->second.times.received = times.received;
  job->second.times.started = times.started;
  job->second.times.finished = times.finished;
  return news;
}

void Hive::On(const event::LogComplete& e) {
  if (e.late) return TakeTruth(e);
  auto found = attempts_.find(e.epoch);
  if (found == attempts_.end() || found->second.late) return;
  Attempt& attempt = found->second;
  attempt.row.log_closed = true;
  attempt.row.log_ended = wall_;
  attempt.row.last_seq = e.last_seq;
  attempt.row.failed_code = e.final.failed_code;
  attempt.row.failed_step = FailedStepOf(e.final);
  attempt.row.receipt = ReceiptOf(e.final);
  auto job_at = jobs_.find(attempt.row.job);
  if (job_at != jobs_.end() && job_at->second.attempt == e.epoch) TakeForgottenSeal(attempt, e.final);
  bool current = job_at != jobs_.end() &&
                 (job_at->second.attempt == e.epoch || planted::Is(planted::kOldAttemptDecides));
  if (current) {
    JobRow& job = job_at->second;
    JobState state = VerdictOf(e.final);
    Reason reason = e.final.reason;
    std::string detail = Presentable(e.final.detail, limits::kReasonBytes);
    if (!e.problem.empty()) {
      state = JobState::kErrored;
      reason = Reason::kLogIncomplete;
      detail = e.problem;
    }
    const bool unknown = MustNotRepeat(attempt.row) && IsInfrastructure(reason);  // as TakeForgottenSeal()
    if (unknown) reason = Reason::kUnknown;
    attempt.row.test_code = job.test_code = e.final.test_code;
    attempt.row.deploy_code = job.deploy_code = unknown ? kUnknownCode : e.final.deploy_code;
    job.failed_code = e.final.failed_code;
    job.failed_step = attempt.row.failed_step;
    job.receipt = attempt.row.receipt;
    job.duration_ms = std::chrono::duration_cast<std::chrono::milliseconds>(e.duration).count();
    TakeTimes(attempt, 0, e.final.started, e.final.finished);
    FinishAttempt(attempt, state, reason, detail);
    const JobRow ended =
        MayRepeat(job, attempt, state) ? RepeatFailed(job) : FinishJob(job, state, reason, std::move(detail));
    const bool said = SayVerdict(attempt);
    if (!said && reason == Reason::kUnknown) AwaitTruth(attempt, ended);
    if (!said && attempt.kept) AskAgain(attempt);
  } else {
    SayVerdict(attempt);
  }
  const Seq sealed_behind = LastBeforeSeal(attempt.row);
  Save(attempt.row);
  Forget(e.epoch);
  if (!restores_.empty() && awaited_.contains(e.epoch)) {
    // A late log may be there that the backup does not know: it goes on behind what was acknowledged.
    effects_.after.push_back(effect::OpenLog{e.epoch, SessionId(), sealed_behind});
  }
}

// Its own commands said no, and its file says to try again. Not what has begun to deploy.
bool Hive::MayRepeat(const JobRow& job, const Attempt& attempt, JobState state) {
  return state == JobState::kFailed && !attempt.row.granted && !job.cancel_requested &&
         job.failed_before < static_cast<std::uint32_t>(std::max(0, job.retry_failed));
}

JobRow Hive::RepeatFailed(JobRow& job) {
  ++job.failed_before;
  job.test_code = job.deploy_code = -1;
  job.failed_code = 0;
  job.failed_step.clear();
  job.receipt = {};
  job.duration_ms = 0;
  job.times.finished = 0;
  Enqueue(job);
  return job;
}

void Hive::TakeForgottenSeal(Attempt& attempt, const journal::Final& final) {
  if (attempt.seal || IsTerminal(attempt.row.state)) return;
  JobRow& job = jobs_.at(attempt.row.job);
  if (!MayRetry(job, attempt, final.reason)) return;
  Excuse(job, final.reason);
  FinishAttempt(attempt, JobState::kErrored, final.reason, Presentable(final.detail, limits::kReasonBytes));
  Enqueue(job);
}

void Hive::Forget(Epoch epoch) {
  auto found = attempts_.find(epoch);
  if (found == attempts_.end()) return;
  auto drone = drones_.find(found->second.row.drone);
  if (drone != drones_.end()) drone->second.attempts.erase(epoch);
  attempts_.erase(found);
  effects_.after.push_back(effect::CloseLog{epoch});
}

void Hive::SendCancel(const Drone& drone, const JobRow& job) {
  Send(drone.connection, to_drone::Cancel{job.attempt, job.canceled_by, job.cancel_reason, job.cancel_now});
}

void Hive::On(const event::CancelJob& e) {
  auto found = jobs_.find(e.job);
  if (found == jobs_.end()) {
    effects_.after.push_back(effect::Answer{
        e.request,
        absl::FailedPreconditionError(absl::StrCat("job ", e.job.value(), " is not running any more"))});
    return;
  }
  effects_.after.push_back(effect::Answer{e.request, CancelUnfinished(found->second, e.by, e.reason, e.now)});
}

JobRow Hive::CancelUnfinished(JobRow& job, const std::string& by, const std::string& reason, bool now) {
  bool escalates = now && !job.cancel_now;
  if (!job.cancel_requested) {
    job.cancel_requested = true;
    job.canceled_by = by;
    job.cancel_reason = reason;
  } else if (!escalates) {
    return job;
  }
  job.cancel_now = job.cancel_now || now;
  if (!job.attempt) return FinishJob(job, JobState::kCanceled, Reason::kCanceled, CancelDetail(job));
  Save(job);
  Attempt& attempt = attempts_.at(job.attempt);
  auto drone = drones_.find(attempt.row.drone);
  if (drone != drones_.end() && drone->second.connection && drone->second.session == attempt.session) {
    SendCancel(drone->second, job);
  }
  return job;
}

}  // namespace waggle::queen
