#include "tools/waggle/watch.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "tools/waggle/client.h"
#include "tools/waggle/commands/commands.h"
#include "tools/waggle/session.h"
#include "waggle/v1/queen.pb.h"

namespace waggle::cli {
namespace {

// The jobs of a run in the order of the pipeline file, which is the order of their ids.
absl::Status JobsOfRun(Client& client, std::uint64_t run, std::vector<v1::Job>* jobs) {
  v1::ListJobsRequest request;
  request.set_run(run);
  request.set_limit(limits::kPipelineJobs);
  v1::ListJobsResponse found;
  absl::Status status = client.ListJobs(request, &found);
  if (!status.ok()) return status;
  if (found.jobs().empty())
    return absl::NotFoundError(absl::StrCat("there is no run r", run, "\nnext: waggle jobs"));
  jobs->assign(found.jobs().begin(), found.jobs().end());
  std::sort(jobs->begin(), jobs->end(), [](const v1::Job& a, const v1::Job& b) { return a.id() < b.id(); });
  return absl::OkStatus();
}

}  // namespace

int RunWatch(Session& session, const WatchOptions& options) {
  absl::StatusOr<Target> target = ParseTarget(options.target);
  if (!target.ok()) return session.FailUsage(target.status());
  absl::StatusOr<Client*> client = session.Connect();
  if (!client.ok()) return session.Fail(client.status());
  if (target->kind == Target::Kind::kRun) {
    std::vector<v1::Job> jobs;
    absl::Status status = JobsOfRun(**client, target->id, &jobs);
    if (!status.ok()) return session.Fail(status);
    return Follow(session, **client, jobs, 0, target->id, options.prefix);
  }
  absl::StatusOr<std::uint64_t> id = session.JobId(*target);
  if (!id.ok()) return session.Fail(id.status());
  v1::GetJobRequest request;
  request.set_id(*id);
  v1::Job job;
  absl::Status status = (*client)->GetJob(request, &job);
  if (!status.ok()) return session.Fail(status);
  return Follow(session, **client, {job}, target->attempt, 0, options.prefix);
}

}  // namespace waggle::cli
