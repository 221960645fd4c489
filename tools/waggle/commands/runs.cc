#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/wire/enums.h"
#include "tools/waggle/client.h"
#include "tools/waggle/commands/commands.h"
#include "tools/waggle/json.h"
#include "tools/waggle/render.h"
#include "tools/waggle/render_run.h"
#include "tools/waggle/session.h"
#include "waggle/v1/queen.pb.h"

namespace waggle::cli {
namespace {

constexpr std::uint32_t kMostRuns = 1000;  // the queen's own bound on one answer

absl::Status Understand(const RunsOptions& options, v1::ListRunsRequest* request) {
  if (options.limit < 1 || options.limit > kMostRuns) {
    return absl::InvalidArgumentError(absl::StrCat("-L ", options.limit, " is not within 1 and ", kMostRuns));
  }
  request->set_limit(options.limit);
  request->set_branch(options.branch);
  for (const std::string& word : options.states) {
    auto state = word == "waiting"   ? JobState::kCreated
                 : word == "running" ? JobState::kStarted
                                     : ParseJobState(word);
    if (!state) {
      return absl::InvalidArgumentError(absl::StrCat(
          "`", word, "` is no state of a run\nstates: waiting, running, passed, failed, errored, canceled"));
    }
    request->add_states(wire::ToProto(*state));
  }
  return absl::OkStatus();
}

int PrintRetried(Session& session, const google::protobuf::Message& message, const std::string& text) {
  if (session.options.json) {
    session.out.Write(Pretty(ToJson(message)));
  } else if (!session.options.quiet) {
    session.out.Write(text);
  }
  return session.Done();
}

int RetryRun(Session& session, Client& client, std::uint64_t id, const RetryOptions& options) {
  v1::RetryRunRequest request;
  request.set_id(id);
  request.set_failed(options.failed);
  v1::Run run;
  absl::Status status = client.RetryRun(request, &run);
  if (!status.ok()) return session.Fail(status);
  std::vector<v1::Job> again;
  for (const v1::Job& job : run.jobs()) {
    if (!IsTerminal(StateOf(job))) again.push_back(job);
  }
  if (options.watch && !again.empty()) return Follow(session, client, again, 0, id, Prefix::kAuto);
  return PrintRetried(session, run, RunFacts(run, WallNow(), session.out_style));
}

}  // namespace

int RunRuns(Session& session, const RunsOptions& options) {
  v1::ListRunsRequest request;
  absl::Status status = Understand(options, &request);
  if (!status.ok()) return session.FailUsage(status);
  absl::StatusOr<Client*> client = session.Connect();
  if (!client.ok()) return session.Fail(client.status());
  v1::ListRunsResponse runs;
  status = (*client)->ListRuns(request, &runs);
  if (!status.ok()) return session.Fail(status);
  if (session.options.json) {
    session.out.Write(Pretty(ToJson(runs)["runs"]));
  } else if (runs.runs().empty()) {
    if (!session.options.quiet) session.err.Write("no such runs\n");
  } else {
    session.out.Write(RunsTable(runs, WallNow(), session.out_style));
  }
  return session.Done();
}

int RunRetry(Session& session, const RetryOptions& options) {
  absl::StatusOr<Target> target = ParseTarget(options.target);
  if (target.ok() && target->attempt != 0) {
    target = absl::InvalidArgumentError(
        absl::StrCat("a job runs once more, not an attempt\nnext: waggle retry ", target->id));
  }
  if (target.ok() && options.failed && target->kind != Target::Kind::kRun) {
    target = absl::InvalidArgumentError("--failed goes with a run, such as r5");
  }
  if (!target.ok()) return session.FailUsage(target.status());
  absl::StatusOr<Client*> client = session.Connect();
  if (!client.ok()) return session.Fail(client.status());
  if (target->kind == Target::Kind::kRun) return RetryRun(session, **client, target->id, options);
  absl::StatusOr<std::uint64_t> id = session.JobId(*target);
  if (!id.ok()) return session.Fail(id.status());
  v1::RetryJobRequest request;
  request.set_id(*id);
  v1::Job job;
  absl::Status status = (*client)->RetryJob(request, &job);
  if (!status.ok()) return session.Fail(status);
  if (options.watch) return Follow(session, **client, {job}, 0, 0, Prefix::kAuto);
  return PrintRetried(session, job, StateLine(job) + "\n");
}

int ShowRun(Session& session, std::uint64_t id) {
  absl::StatusOr<Client*> client = session.Connect();
  if (!client.ok()) return session.Fail(client.status());
  v1::GetRunRequest request;
  request.set_id(id);
  v1::Run run;
  absl::Status status = (*client)->GetRun(request, &run);
  if (!status.ok()) return session.Fail(status);
  session.out.Write(session.options.json ? Pretty(ToJson(run)) : RunFacts(run, WallNow(), session.out_style));
  return session.Done();
}

}  // namespace waggle::cli
