#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "tools/waggle/client.h"
#include "tools/waggle/commands/commands.h"
#include "tools/waggle/json.h"
#include "tools/waggle/render.h"
#include "tools/waggle/session.h"
#include "tools/waggle/watch.h"
#include "waggle/v1/queen.pb.h"

namespace waggle::cli {
namespace {

std::string Answer(const v1::Job& job, bool now, const Style& style) {
  if (IsTerminal(StateOf(job))) return Verdict(job, style) + "\n";
  return absl::StrCat(job.id(), " ", job.name(), ": cancel requested, ",
                      now ? "it is killed at once" : "it is interrupted, then terminated, then killed", "\n");
}

// `jobs` is what the queen answers; of a run those that somebody canceled.
absl::Status Request(Client& client, const Target& target, const CancelOptions& options,
                     std::vector<v1::Job>* jobs) {
  if (target.kind == Target::Kind::kRun) {
    v1::CancelRunRequest request;
    request.set_id(target.id);
    request.set_reason(options.reason);
    request.set_now(options.now);
    v1::Run run;
    RETURN_IF_ERROR(client.CancelRun(request, &run));
    for (v1::Job& job : *run.mutable_jobs()) {
      if (job.cancel_requested()) jobs->push_back(std::move(job));
    }
    return absl::OkStatus();
  }
  v1::CancelJobRequest request;
  request.set_id(target.id);
  request.set_reason(options.reason);
  request.set_now(options.now);
  return client.CancelJob(request, &jobs->emplace_back());
}

// Tells how jobs end that were canceled: what cleanup did, then the verdict with the receipt.
class Ends : public WatchSink {
 public:
  Ends(Session& session, std::vector<v1::Job*> jobs) : session_(session), jobs_(std::move(jobs)) {}

  bool OnBatch(std::size_t stream, const v1::Batch& batch) override {
    for (const v1::Fragment& fragment : batch.fragments()) {
      const v1::PhaseRecord& phase = fragment.phase_record();
      const bool cleanup = fragment.has_phase_record() && phase.phase() == v1::CLEANUP;
      if (!cleanup || !phase.end() || phase.ran_nothing()) continue;
      Say(absl::StrCat(jobs_[stream]->id(), " ", jobs_[stream]->name(), ": cleanup ",
                       phase.code() == 0 ? "ran" : absl::StrCat("ran and failed with exit ", phase.code()),
                       "\n"));
    }
    return true;
  }
  void OnState(std::size_t, const v1::Job&) override {}
  void OnEnd(std::size_t stream, const v1::Job& job) override {
    *jobs_[stream] = job;
    Say(Verdict(job, session_.out_style) + "\n");
  }
  void OnNotice(std::string_view line) override {
    if (!session_.options.quiet) session_.err.Write(absl::StrCat(std::string(line), "\n"));
    session_.err.Flush();
  }
  absl::Status Flush() override {
    session_.out.Flush();
    return session_.out.status();
  }

 private:
  void Say(std::string_view text) {
    if (!session_.options.json && !session_.options.quiet) session_.out.Write(text);
  }

  Session& session_;
  const std::vector<v1::Job*> jobs_;
};

// Waits for those that have not ended and puts how they ended into `jobs`.
absl::Status AwaitEnds(Session& session, Client& client, const std::string& target,
                       std::vector<v1::Job>* jobs) {
  LeaveOnInterrupt(
      absl::StrCat("not waiting any more; the cancel goes on, see how it ends with: waggle watch ", target));
  std::vector<v1::Job*> open;
  std::vector<WatchSpec> specs;
  for (v1::Job& job : *jobs) {
    if (IsTerminal(StateOf(job))) continue;
    open.push_back(&job);
    specs.push_back({job.id(), 0, kFromNow, true});
  }
  if (open.empty()) return absl::OkStatus();
  Ends ends(session, std::move(open));
  return Watch(client, specs, ends);
}

bool LeftProcesses(const v1::Job& job) {
  return job.has_receipt() && job.receipt().processes_left() > 0;
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
  const bool run = target->kind == Target::Kind::kRun;
  if (!run) {
    absl::StatusOr<std::uint64_t> id = session.JobId(*target);
    if (!id.ok()) return session.Fail(id.status());
    target->id = *id;
  }
  std::vector<v1::Job> jobs;
  absl::Status asked = Request(**client, *target, options, &jobs);
  if (!asked.ok()) return session.Fail(asked);
  if (!session.options.json && !session.options.quiet) {
    for (const v1::Job& job : jobs) session.out.Write(Answer(job, options.now, session.out_style));
    session.out.Flush();
  }
  if (!options.no_wait) {
    absl::Status ended = AwaitEnds(session, **client, absl::StrCat(run ? "r" : "", target->id), &jobs);
    if (!ended.ok()) return session.Fail(ended);
  }
  if (session.options.json) {
    Json list = Json::array();
    for (const v1::Job& job : jobs) list.push_back(ToJson(job));
    session.out.Write(Pretty(run ? list : list[0]));
  }
  const bool left = std::any_of(jobs.begin(), jobs.end(), LeftProcesses);
  return session.Done(left ? 1 : 0);
}

}  // namespace waggle::cli
