#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "tools/waggle/client.h"
#include "tools/waggle/commands/commands.h"
#include "tools/waggle/json.h"
#include "tools/waggle/render.h"
#include "tools/waggle/session.h"
#include "waggle/v1/queen.pb.h"

namespace waggle::cli {
namespace {

// The ids a target stands for: one job, or those of a run that have not ended.
absl::StatusOr<std::vector<std::uint64_t>> Ids(Session& session, Client& client, const Target& target) {
  if (target.kind != Target::Kind::kRun) {
    ASSIGN_OR_RETURN(std::uint64_t id, session.JobId(target));
    return std::vector<std::uint64_t>{id};
  }
  v1::ListJobsRequest request;
  request.set_run(target.id);
  request.set_limit(limits::kPipelineJobs);
  v1::ListJobsResponse jobs;
  RETURN_IF_ERROR(client.ListJobs(request, &jobs));
  if (jobs.jobs().empty()) return absl::NotFoundError(absl::StrCat("there is no run r", target.id));
  std::vector<std::uint64_t> ids;
  for (const v1::Job& job : jobs.jobs()) {
    if (!IsTerminal(StateOf(job))) ids.push_back(job.id());
  }
  std::sort(ids.begin(), ids.end());
  if (ids.empty()) {
    return absl::FailedPreconditionError(absl::StrCat("every job of run r", target.id, " has already ended"));
  }
  return ids;
}

std::string Answer(const v1::Job& job, bool now, const Style& style) {
  if (IsTerminal(StateOf(job))) return Verdict(job, style) + "\n";
  return absl::StrCat(job.id(), " ", job.name(), ": cancel requested, ",
                      now ? "it is killed at once" : "it is interrupted, then terminated, then killed", "\n");
}

}  // namespace

int RunCancel(Session& session, const CancelOptions& options) {
  absl::StatusOr<Target> target = ParseTarget(options.target);
  if (target.ok() && target->attempt != 0) {
    target = absl::InvalidArgumentError(
        absl::StrCat("a job is canceled, not an attempt\nnext: waggle cancel ", target->id));
  }
  if (!target.ok()) return session.FailUsage(target.status());
  absl::StatusOr<Client*> client = session.Connect();
  if (!client.ok()) return session.Fail(client.status());
  absl::StatusOr<std::vector<std::uint64_t>> ids = Ids(session, **client, *target);
  if (!ids.ok()) return session.Fail(ids.status());
  bool run = target->kind == Target::Kind::kRun;
  Json list = Json::array();
  for (std::uint64_t id : *ids) {
    v1::CancelJobRequest request;
    request.set_id(id);
    request.set_reason(options.reason);
    request.set_now(options.now);
    v1::Job job;
    absl::Status status = (*client)->CancelJob(request, &job);
    if (run && absl::IsFailedPrecondition(status)) continue;  // it ended in the meantime
    if (!status.ok()) return session.Fail(status);
    if (session.options.json) {
      list.push_back(ToJson(job));
    } else if (!session.options.quiet) {
      session.out.Write(Answer(job, options.now, session.out_style));
    }
  }
  if (session.options.json) session.out.Write(Pretty(run ? list : list[0]));
  return session.Done();
}

}  // namespace waggle::cli
