#include "queen/api/retry.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace waggle::queen {

std::string PersonOf(const Caller& caller, const std::string& said) {
  if (!caller.local) return caller.name;
  return said.empty() ? "a local user" : said;
}

absl::StatusOr<std::vector<JobRow>> JobsOfRun(StoreReader& store, RunId run) {
  JobQuery query;
  query.run = run;
  query.limit = std::numeric_limits<std::uint32_t>::max();
  ASSIGN_OR_RETURN(std::vector<JobRow> jobs, store.ListJobs(query));
  std::reverse(jobs.begin(), jobs.end());
  return jobs;
}

absl::StatusOr<event::Retry> ReadRetry(StoreReader& store, JobId id) {
  event::Retry retry;
  ASSIGN_OR_RETURN(const JobRow job, store.GetJob(id));
  retry.again = {id};
  retry.jobs = {job};
  if (!job.run) return retry;
  ASSIGN_OR_RETURN(retry.run, store.GetRun(job.run));
  ASSIGN_OR_RETURN(retry.jobs, JobsOfRun(store, job.run));
  return retry;
}

absl::StatusOr<event::Retry> ReadRetry(StoreReader& store, RunId run, bool failed) {
  event::Retry retry;
  ASSIGN_OR_RETURN(retry.run, store.GetRun(run));
  ASSIGN_OR_RETURN(retry.jobs, JobsOfRun(store, run));
  for (const JobRow& job : retry.jobs) {
    // A deploy that may have happened is repeated only by who names it.
    const bool ended_badly =
        job.state == JobState::kFailed || job.state == JobState::kErrored || job.state == JobState::kCanceled;
    const bool bad = ended_badly && job.reason != Reason::kUnknown;
    if (failed ? bad : !job.not_wanted) retry.again.insert(job.id);
  }
  if (!retry.again.empty()) return retry;
  return absl::FailedPreconditionError(
      absl::StrCat("r", run.value(), failed ? " has no job that failed" : " has no job that could run"));
}

}  // namespace waggle::queen
