#include "common/base/clock.h"
#include "tools/waggle/client.h"
#include "tools/waggle/commands/commands.h"
#include "tools/waggle/json.h"
#include "tools/waggle/render.h"
#include "tools/waggle/session.h"
#include "waggle/v1/queen.pb.h"

namespace waggle::cli {

int RunShow(Session& session, const std::string& text) {
  absl::StatusOr<Target> target = ParseTarget(text);
  if (!target.ok()) return session.FailUsage(target.status());
  if (target->kind == Target::Kind::kRun) return ShowRun(session, target->id);
  absl::StatusOr<Client*> client = session.Connect();
  if (!client.ok()) return session.Fail(client.status());
  absl::StatusOr<std::uint64_t> id = session.JobId(*target);
  if (!id.ok()) return session.Fail(id.status());
  v1::GetJobRequest request;
  request.set_id(*id);
  request.set_document(session.options.json);
  v1::Job job;
  absl::Status status = (*client)->GetJob(request, &job);
  if (!status.ok()) return session.Fail(status);

  v1::OutlineResponse outline;
  if (job.attempt() != 0) {  // before the first attempt there is no log to have commands
    v1::OutlineRequest outline_request;
    outline_request.set_job(*id);
    outline_request.set_attempt(target->attempt);
    status = (*client)->Outline(outline_request, &outline);
    if (!status.ok() && !absl::IsNotFound(status)) return session.Fail(status);
  }
  if (session.options.json) {
    Json object = ToJson(job);
    Json log = ToJson(outline);
    object["commands"] = log["commands"];
    object["lines"] = log["lines"];
    session.out.Write(Pretty(object));
  } else {
    std::uint32_t shown = target->attempt != 0 ? target->attempt : job.attempt();
    session.out.Write(JobFacts(job, outline, shown, WallNow(), session.out_style));
  }
  return session.Done();
}

}  // namespace waggle::cli
