#include "queen/core/run_book.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace waggle::queen {
namespace {

// Of two verdicts of required jobs the one that decides about the run.
int Weight(JobState state) {
  switch (state) {
    case JobState::kCanceled:
      return 4;
    case JobState::kErrored:
      return 3;
    case JobState::kFailed:
      return 2;
    default:
      return 1;
  }
}

}  // namespace

bool RunBook::Member::Well() const {
  return state == JobState::kPassed || not_wanted || (allow_failure && state != JobState::kCanceled);
}

void RunBook::Open(RunRow row, const std::vector<JobRow>& jobs) {
  const RunId id = row.id;
  Forget(id);
  Run& run = runs_[id];
  run.row = std::move(row);
  run.row.duration_ms = 0;
  for (const JobRow& job : jobs) {
    of_[job.id] = id;
    run.members[job.id] = {
        job.name, job.state, job.runs_after, job.allow_failure, job.not_wanted, job.after, {}, 0, {}};
    if (IsTerminal(job.state)) {
      Note(run, job);
    } else {
      ++run.open;
      if (!job.allow_failure) ++run.required_open;
    }
  }
  Connect(run);
}

void RunBook::Connect(Run& run) {
  for (auto& [id, member] : run.members) {
    for (JobId other : member.after) {
      auto before = run.members.find(other);
      if (before == run.members.end()) {  // its row could not be read: nobody can say that it ended well
        if (!member.spoiler) member.spoiler = other;
        continue;
      }
      before->second.before.push_back(id);
      if (!IsTerminal(before->second.state)) {
        ++member.open;
      } else if (!before->second.Well() && !member.spoiler) {
        member.spoiler = other;
      }
    }
  }
}

void RunBook::EndIfNothingIsLeft(RunId id, WallMillis now) {
  Run& run = runs_.at(id);
  if (run.open > 0 || IsTerminal(run.row.state)) return;
  if (Weight(run.row.verdict) < Weight(JobState::kErrored)) run.row.verdict = JobState::kErrored;
  Settle(run, now);
  changed_.insert(id);
}

void RunBook::Forget(RunId run) {
  auto found = runs_.find(run);
  if (found == runs_.end()) return;
  for (const auto& [id, member] : found->second.members) of_.erase(id);
  runs_.erase(found);
}

std::vector<JobId> RunBook::Ended(const JobRow& job, WallMillis now) {
  auto of = of_.find(job.id);
  if (of == of_.end()) return {};
  Run& run = runs_.at(of->second);
  Member& member = run.members.at(job.id);
  if (IsTerminal(member.state)) return {};
  member.state = job.state;
  member.not_wanted = job.not_wanted;
  --run.open;
  if (!member.allow_failure) --run.required_open;
  Note(run, job);
  changed_.insert(of->second);
  std::vector<JobId> decided;
  for (JobId id : member.before) {
    Member& next = run.members.at(id);
    --next.open;
    if (!member.Well() && !next.spoiler) next.spoiler = job.id;
    if (next.state == JobState::kCreated && DecisionFor(id) != Decision::kWait) decided.push_back(id);
  }
  Settle(run, now);
  return decided;
}

void RunBook::Note(Run& run, const JobRow& job) {
  run.row.duration_ms += job.duration_ms;
  if (job.allow_failure || job.not_wanted) return;
  if (Weight(job.state) > Weight(run.row.verdict)) run.row.verdict = job.state;
}

void RunBook::Settle(Run& run, WallMillis now) {
  const bool over = run.row.fast_finish ? run.required_open == 0 : run.open == 0;
  if (!over || IsTerminal(run.row.state)) return;
  if (run.row.verdict == JobState::kCreated) run.row.verdict = JobState::kPassed;
  run.row.state = run.row.verdict;
  run.row.finished = std::max(now, run.row.created);
}

void RunBook::Started(const JobRow& job) {
  auto of = of_.find(job.id);
  if (of == of_.end()) return;
  Run& run = runs_.at(of->second);
  run.members.at(job.id).state = job.state;
  if (run.row.state >= JobState::kStarted) return;
  run.row.state = JobState::kStarted;
  changed_.insert(of->second);
}

const RunBook::Member* RunBook::Find(JobId job) const {
  auto of = of_.find(job);
  return of == of_.end() ? nullptr : &runs_.at(of->second).members.at(job);
}

RunBook::Decision RunBook::DecisionFor(JobId job) const {
  const Member* member = Find(job);
  if (member == nullptr || member->after.empty()) return Decision::kGo;
  const bool spoiled = static_cast<bool>(member->spoiler);
  if (member->runs_after == RunsAfter::kPassed && spoiled) return Decision::kSkip;
  if (member->open > 0) return Decision::kWait;
  if (member->runs_after == RunsAfter::kFailed && !spoiled) return Decision::kSkip;
  return Decision::kGo;
}

std::string RunBook::WhySkipped(JobId job) const {
  const Member* member = Find(job);
  if (member == nullptr) return "";
  if (!member->spoiler) return "it runs only when a job before it did not pass, and all did";
  const Member* spoiler = Find(member->spoiler);
  if (spoiler == nullptr)
    return absl::StrCat("the record of job ", member->spoiler.value(), " cannot be read");
  return absl::StrCat("job ", member->spoiler.value(), " ", spoiler->name, " ",
                      spoiler->state == JobState::kSkipped    ? "was "
                      : spoiler->state == JobState::kCanceled ? "was "
                                                              : "",
                      std::string(Name(spoiler->state)));
}

std::string RunBook::WhyWaiting(JobId job) const {
  const Member* member = Find(job);
  if (member == nullptr || member->open == 0) return "";
  for (JobId id : member->after) {
    const Member* before = Find(id);
    if (before == nullptr || IsTerminal(before->state)) continue;
    const std::size_t more = member->open - 1;
    return absl::StrCat("waits for job ", id.value(), " ", before->name,
                        more == 0   ? std::string()
                        : more == 1 ? std::string(" and one more")
                                    : absl::StrCat(" and ", more, " more"));
  }
  return "";
}

std::vector<JobId> RunBook::JobsOf(RunId run) const {
  std::vector<JobId> jobs;
  auto found = runs_.find(run);
  if (found == runs_.end()) return jobs;
  for (const auto& [id, member] : found->second.members) jobs.push_back(id);
  return jobs;
}

std::vector<RunId> RunBook::OpenOn(const std::string& repo, const std::string& branch) const {
  std::vector<RunId> open;
  for (const auto& [id, run] : runs_) {
    if (run.row.repo == repo && run.row.branch == branch && !IsTerminal(run.row.state)) open.push_back(id);
  }
  std::sort(open.begin(), open.end());
  return open;
}

std::vector<RunRow> RunBook::TakeChanged() {
  std::vector<RunRow> rows;
  for (RunId id : changed_) {
    const Run& run = runs_.at(id);
    rows.push_back(run.row);
    if (run.open == 0) Forget(id);
  }
  changed_.clear();
  return rows;
}

}  // namespace waggle::queen
