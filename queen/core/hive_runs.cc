// Runs: jobs that wait for each other, what a run comes to, its cancel, and jobs that run once more.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "queen/core/hive.h"

namespace waggle::queen {
namespace {

// As it was before its first attempt, but for what keeps its attempts apart.
void MakeAnew(JobRow& job) {
  job.state = JobState::kCreated;
  job.reason = Reason::kNone;
  job.detail.clear();
  job.attempt = Epoch();
  job.drone_name.clear();
  job.retried = job.attempts;
  job.excused = job.failed_before = 0;
  job.times = {.created = job.times.created};
  job.duration_ms = 0;
  job.test_code = job.deploy_code = -1;
  job.failed_code = 0;
  job.failed_step.clear();
  job.cancel_requested = job.cancel_now = false;
  job.canceled_by.clear();
  job.cancel_reason.clear();
  job.receipt = {};
  job.late = {};
}

bool WasSkippedForOthers(const JobRow& job) {
  return job.state == JobState::kSkipped && !job.not_wanted;
}

}  // namespace

// Jobs whose run cannot be read any more still wait for each other.
void Hive::OpenRuns(Snapshot& snapshot) {
  std::map<RunId, std::vector<JobRow>> jobs;
  for (JobRow& job : snapshot.run_jobs) jobs[job.run].push_back(std::move(job));
  for (const auto& [id, job] : jobs_) {
    if (job.run) jobs[job.run].push_back(job);
  }
  std::map<RunId, RunRow> rows;
  for (RunRow& row : snapshot.runs) rows[row.id] = std::move(row);
  for (const auto& [id, row] : rows) jobs[id];  // also one of which no job can be read any more
  for (auto& [id, members] : jobs) {
    std::sort(members.begin(), members.end(), [](const JobRow& a, const JobRow& b) { return a.id < b.id; });
    RunRow& row = rows[id];
    if (!row.id) {
      row = {.id = id,
             .repo = members[0].repo,
             .branch = members[0].branch,
             .commit = members[0].commit,
             .created = members[0].times.created};
    }
    run_book_.Open(row, members);
    run_book_.EndIfNothingIsLeft(id, wall_);
  }
}

void Hive::On(const event::SubmitRun& e) {
  if (AnswerRepeat(e.request, e.key) || RefuseNew(e.request)) return;
  SubmittedRun answer;
  answer.run = e.run;
  answer.run.id = RunId(++counters_.run);
  answer.run.created = wall_;
  counters_changed_ = true;
  Remember(e.key, JobId(), answer.run.id);
  if (e.cancel_previous) SupersedeBefore(answer.run);
  const std::uint64_t before = counters_.job;
  std::vector<JobRow> jobs;
  for (const JobDraft& draft : e.jobs) {
    JobRow& job = AddJob(draft, answer.run.id);
    for (std::size_t index : draft.after) job.after.push_back(JobId(before + 1 + index));
    jobs.push_back(job);
  }
  run_book_.Open(answer.run, jobs);
  effects_.rows.runs.push_back(run_book_.Row(answer.run.id));
  settling_ = true;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    JobRow& job = jobs_.at(jobs[i].id);
    if (!e.jobs[i].skipped.empty()) {
      job.not_wanted = true;
      FinishJob(job, JobState::kSkipped, Reason::kNone, e.jobs[i].skipped);
    } else if (job.after.empty()) {
      Enqueue(job);
    } else {
      Save(job);
      decided_.push_back(job.id);
    }
  }
  settling_ = false;
  Settle();
  answer.run = run_book_.Row(answer.run.id);
  answer.jobs = StoredOf(jobs);
  effects_.after.push_back(effect::Answer{e.request, std::move(answer)});
}

std::vector<JobRow> Hive::StoredOf(const std::vector<JobRow>& jobs) const {
  std::map<JobId, JobRow> stored;
  for (const JobRow& job : jobs) stored[job.id] = job;
  for (const JobRow& row : effects_.rows.jobs) {
    if (auto job = stored.find(row.id); job != stored.end()) job->second = row;
  }
  std::vector<JobRow> rows;
  for (auto& [id, row] : stored) rows.push_back(std::move(row));
  return rows;
}

void Hive::Settle() {
  if (settling_) return;
  settling_ = true;
  while (!decided_.empty()) {
    const JobId id = decided_.back();
    decided_.pop_back();
    auto job = jobs_.find(id);
    if (job == jobs_.end() || job->second.state != JobState::kCreated) continue;
    switch (run_book_.DecisionFor(id)) {
      case RunBook::Decision::kWait:
        break;
      case RunBook::Decision::kGo:
        Enqueue(job->second);
        break;
      case RunBook::Decision::kSkip:
        FinishJob(job->second, JobState::kSkipped, Reason::kNone, run_book_.WhySkipped(id));
        break;
    }
  }
  settling_ = false;
}

void Hive::NoteEnded(const JobRow& job) {
  recent_[job.id] = {job.attempts, ++ended_};
  recent_order_.emplace_back(job.id, ended_);
  if (recent_order_.size() > kRecentJobs) {
    const auto [oldest, number] = recent_order_.front();
    recent_order_.pop_front();
    auto at = recent_.find(oldest);
    if (at != recent_.end() && at->second.number == number) recent_.erase(at);  // else it ended once more
  }
  for (JobId id : run_book_.Ended(job, wall_)) decided_.push_back(id);
  Settle();
}

void Hive::SupersedeBefore(const RunRow& run) {
  if (run.repo.empty() || run.branch.empty()) return;
  for (RunId older : run_book_.OpenOn(run.repo, run.branch)) {
    CancelRun(older, "waggle", absl::StrCat("r", run.id.value(), " is newer"), false, true);
  }
}

void Hive::CancelRun(RunId run, const std::string& by, const std::string& reason, bool now,
                     bool spare_deploys) {
  const bool outer = std::exchange(settling_, true);  // what waits is canceled too, and not skipped
  for (JobId id : run_book_.JobsOf(run)) {
    auto job = jobs_.find(id);
    if (job == jobs_.end()) continue;
    auto attempt = attempts_.find(job->second.attempt);
    if (spare_deploys && attempt != attempts_.end() && attempt->second.row.granted) continue;
    CancelUnfinished(job->second, by, reason, now);
  }
  settling_ = outer;
  Settle();
}

void Hive::On(const event::CancelRun& e) {
  if (!run_book_.Has(e.run)) {
    effects_.after.push_back(effect::Answer{
        e.request, absl::FailedPreconditionError(absl::StrCat("r", e.run.value(), " has ended"))});
    return;
  }
  CancelRun(e.run, e.by, e.reason, e.now, /*spare_deploys=*/false);
  effects_.after.push_back(effect::Answer{e.request, run_book_.Row(e.run)});
}

std::string Hive::RunsLateOn(JobId job) const {
  for (const auto& [epoch, awaited] : awaited_) {
    auto held = attempts_.find(epoch);
    if (awaited.attempt.job == job && held != attempts_.end() && held->second.holds_slot)
      return awaited.attempt.drone_name;
  }
  return "";
}

absl::Status Hive::CheckRetry(const event::Retry& e) const {
  for (const JobRow& job : e.jobs) {
    const std::string name = absl::StrCat("job ", job.id.value());
    const bool known = jobs_.contains(job.id);
    auto recent = recent_.find(job.id);
    const bool old = recent != recent_.end() && recent->second.attempts != job.attempts;
    if (!known && (!IsTerminal(job.state) || old)) {
      return absl::UnavailableError(absl::StrCat(name, " is just changing\nnext: try again"));
    }
    if (!e.again.contains(job.id)) continue;
    if (known) return absl::FailedPreconditionError(absl::StrCat(name, " has not ended"));
    if (std::string drone = RunsLateOn(job.id); !drone.empty()) {
      return absl::FailedPreconditionError(absl::StrCat(name, ": its deploy still runs on ", drone,
                                                        "\nnext: wait for what it comes to: waggle show ",
                                                        job.id.value()));
    }
    if (job.reason == Reason::kBadConfig) {
      return absl::FailedPreconditionError(
          absl::StrCat(name, " cannot run as it is: ", job.detail, "\nnext: mend it and submit again"));
    }
    if (job.not_wanted) {
      return absl::FailedPreconditionError(absl::StrCat(name, " is not part of this run: ", job.detail));
    }
  }
  return absl::OkStatus();
}

void Hive::On(const event::Retry& e) {
  if (RefuseNew(e.request)) return;
  if (absl::Status fit = CheckRetry(e); !fit.ok()) {
    effects_.after.push_back(effect::Answer{e.request, std::move(fit)});
    return;
  }
  std::set<JobId> again = e.again;
  for (bool more = true; std::exchange(more, false);) {
    for (const JobRow& job : e.jobs) {
      const bool behind = std::any_of(job.after.begin(), job.after.end(),
                                      [&](JobId before) { return again.contains(before); });
      if (!behind || !WasSkippedForOthers(job) || jobs_.contains(job.id)) continue;
      more = again.insert(job.id).second || more;
    }
  }
  std::vector<JobRow> jobs;
  for (const JobRow& row : e.jobs) {
    auto known = jobs_.find(row.id);
    jobs.push_back(known == jobs_.end() ? row : known->second);
    if (again.contains(row.id)) MakeAnew(jobs.back());
  }
  if (e.run.id) {
    RunRow run = run_book_.Has(e.run.id) ? run_book_.Row(e.run.id) : e.run;
    run.state = JobState::kStarted;
    run.finished = 0;
    run.verdict = JobState::kCreated;
    run_book_.Open(run, jobs);
    effects_.rows.runs.push_back(run_book_.Row(run.id));
  }
  SubmittedRun answer;
  for (const JobRow& job : jobs) {
    if (!again.contains(job.id)) continue;
    for (auto& [epoch, awaited] : awaited_) {  // what it came to after all is told of that attempt alone
      if (awaited.job.id == job.id) awaited.job.id = JobId();
    }
    jobs_[job.id] = job;
    EnterBranch(job);
  }
  for (const JobRow& job : jobs) {
    if (!again.contains(job.id)) continue;
    Save(jobs_.at(job.id));
    decided_.push_back(job.id);
  }
  Settle();
  std::erase_if(jobs, [&](const JobRow& job) { return !again.contains(job.id); });
  answer.jobs = StoredOf(jobs);
  if (e.run.id) answer.run = run_book_.Row(e.run.id);
  effects_.after.push_back(effect::Answer{e.request, std::move(answer)});
}

}  // namespace waggle::queen
