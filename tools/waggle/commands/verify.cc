#include "common/base/vocabulary.h"
#include "tools/waggle/client.h"
#include "tools/waggle/commands/commands.h"
#include "tools/waggle/json.h"
#include "tools/waggle/render.h"
#include "tools/waggle/session.h"
#include "waggle/v1/queen.pb.h"

namespace waggle::cli {

int RunVerify(Session& session, const std::string& job) {
  absl::StatusOr<Target> target = ParseJobTarget(job);
  if (!target.ok()) return session.FailUsage(target.status());
  absl::StatusOr<Client*> client = session.Connect();
  if (!client.ok()) return session.Fail(client.status());
  absl::StatusOr<std::uint64_t> id = session.JobId(*target);
  if (!id.ok()) return session.Fail(id.status());
  v1::VerifyRequest request;
  request.set_job(*id);
  request.set_attempt(target->attempt);
  v1::VerifyResponse result;
  absl::Status status = (*client)->Verify(request, &result);
  if (!status.ok()) return session.Fail(status);
  v1::VerifyResponse late;
  if (result.has_late()) {
    request.set_late(true);
    status = (*client)->Verify(request, &late);
    if (!status.ok()) return session.Fail(status);
  }
  if (session.options.json) {
    Json object = ToJson(result);
    if (result.has_late()) object["late"] = ToJson(late);
    session.out.Write(Pretty(object));
  } else {
    session.out.Write(VerifyLine(*id, result));
    if (result.has_late()) session.out.Write(VerifyLine(*id, late, /*late=*/true));
  }
  const bool whole = result.complete() && (!result.has_late() || late.complete());
  return session.Done(whole ? exit_code::kOk : exit_code::kFailure);
}

}  // namespace waggle::cli
