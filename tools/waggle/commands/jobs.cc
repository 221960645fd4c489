#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/wire/enums.h"
#include "tools/waggle/client.h"
#include "tools/waggle/commands/commands.h"
#include "tools/waggle/json.h"
#include "tools/waggle/render.h"
#include "tools/waggle/session.h"
#include "waggle/v1/queen.pb.h"

namespace waggle::cli {
namespace {

constexpr std::uint32_t kMostJobs = 1000;  // the queen's own bound on one answer

absl::Status Understand(const JobsOptions& options, v1::ListJobsRequest* request) {
  if (options.limit < 1 || options.limit > kMostJobs) {
    return absl::InvalidArgumentError(absl::StrCat("-L ", options.limit, " is not within 1 and ", kMostJobs));
  }
  request->set_limit(options.limit);
  for (const std::string& word : options.states) {
    if (word == "running") {  // what the table calls them
      request->add_states(v1::RECEIVED);
      request->add_states(v1::STARTED);
      continue;
    }
    auto state = word == "waiting" ? JobState::kCreated : ParseJobState(word);
    if (!state) {
      return absl::InvalidArgumentError(absl::StrCat(
          "`", word, "` is no state\nstates: created (waiting), queued, received and started (running), ",
          "passed, failed, errored, canceled, skipped"));
    }
    request->add_states(wire::ToProto(*state));
  }
  if (!options.run.empty()) {
    absl::StatusOr<std::uint64_t> run = ParseRun(options.run);
    if (!run.ok()) return run.status();
    request->set_run(*run);
  }
  return absl::OkStatus();
}

}  // namespace

int RunJobs(Session& session, const JobsOptions& options) {
  v1::ListJobsRequest request;
  absl::Status status = Understand(options, &request);
  if (!status.ok()) return session.FailUsage(status);
  absl::StatusOr<Client*> client = session.Connect();
  if (!client.ok()) return session.Fail(client.status());
  v1::ListJobsResponse jobs;
  status = (*client)->ListJobs(request, &jobs);
  if (!status.ok()) return session.Fail(status);
  if (session.options.json) {
    session.out.Write(Pretty(ToJson(jobs)["jobs"]));
  } else if (jobs.jobs().empty()) {
    if (!session.options.quiet) session.err.Write("no such jobs\n");
  } else {
    session.out.Write(JobsTable(jobs, WallNow(), session.out_style));
  }
  return session.Done();
}

}  // namespace waggle::cli
