#include <functional>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/wire/job_document.h"
#include "proto/waggle_proto.h"
#include "queen/api/peer_check.h"
#include "queen/api/people.h"
#include "queen/api/retry.h"
#include "queen/api/submission.h"
#include "queen/api/unary.h"
#include "waggle/v1/queen.grpc.pb.h"

namespace waggle::queen {
namespace {

class RunsService : public v1::Runs::CallbackService {
 public:
  explicit RunsService(const PeopleParts& parts) : parts_(parts) {}

  grpc::ServerUnaryReactor* Submit(grpc::CallbackServerContext* context, const v1::SubmitRunRequest* request,
                                   v1::SubmitRunResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (Refused(parts_.check, *context, reactor)) return reactor;
    const Caller caller = parts_.check.CallerOf(*context);
    absl::StatusOr<RunRequest> run = ReadRequest(*request, caller);
    if (!run.ok()) {
      FinishWith(reactor, run.status());
      return reactor;
    }
    v1::SubmitRunRequest asked = *request;
    asked.clear_key();
    asked.mutable_trigger()->clear_timestamp();
    absl::StatusOr<event::SubmissionKey> key =
        MakeSubmissionKey(caller.name, request->key(), asked.SerializeAsString());
    if (!key.ok()) {
      FinishWith(reactor, key.status());
      return reactor;
    }
    auto read = [this, reactor, response, run = *std::move(run), key = *std::move(key)] {
      if (!key.key.empty()) {
        absl::StatusOr<SubmissionRow> known = FindSubmission(parts_.store, key);
        if (!absl::IsNotFound(known.status())) {
          return FinishWith(reactor, known.ok() ? ReadRepeated(*known, response) : known.status());
        }
      }
      absl::StatusOr<event::SubmitRun> submit = parts_.runs.Read(run);
      if (!submit.ok()) return FinishWith(reactor, submit.status());
      submit->key = key;
      parts_.core.Ask(
          [&submit](RequestId id) {
            submit->request = id;
            return Event(*std::move(submit));
          },
          [this, reactor, response](AnswerValue answer) { Answer(reactor, response, std::move(answer)); });
    };
    if (!parts_.fetch_workers.Run(std::move(read))) {
      FinishWith(reactor,
                 absl::ResourceExhaustedError("too many repositories are being fetched\nnext: try again"));
    }
    return reactor;
  }

  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context, const v1::GetRunRequest* request,
                                v1::Run* response) override {
    return OnWorker(context, [this, request, response](grpc::ServerUnaryReactor* reactor, const Caller&) {
      FinishWith(reactor, ReadRun(RunId(request->id()), response));
    });
  }

  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context, const v1::ListRunsRequest* request,
                                 v1::ListRunsResponse* response) override {
    return OnWorker(context, [this, request, response](grpc::ServerUnaryReactor* reactor, const Caller&) {
      FinishWith(reactor, ReadList(*request, response));
    });
  }

  grpc::ServerUnaryReactor* Cancel(grpc::CallbackServerContext* context, const v1::CancelRunRequest* request,
                                   v1::Run* response) override {
    return OnWorker(context, [this, request, response](grpc::ServerUnaryReactor* reactor,
                                                       const Caller& caller) {
      const RunId run(request->id());
      if (request->reason().size() > limits::kReasonBytes || request->by().size() > limits::kNameBytes) {
        return FinishWith(reactor,
                          absl::InvalidArgumentError("reason: at most 4 KiB; by: at most 128 bytes"));
      }
      if (auto row = parts_.store.GetRun(run); !row.ok()) return FinishWith(reactor, row.status());
      parts_.core.Ask(
          [&](RequestId id) {
            return Event(event::CancelRun{id, run, PersonOf(caller, request->by()), request->reason(),
                                          request->now()});
          },
          [this, reactor, response, run](AnswerValue answer) { AnswerRun(reactor, response, run, answer); });
    });
  }

  grpc::ServerUnaryReactor* Retry(grpc::CallbackServerContext* context, const v1::RetryRunRequest* request,
                                  v1::Run* response) override {
    return OnWorker(context, [this, request, response](grpc::ServerUnaryReactor* reactor,
                                                       const Caller& caller) {
      const RunId run(request->id());
      absl::StatusOr<event::Retry> retry = ReadRetry(parts_.store, run, request->failed());
      if (!retry.ok()) return FinishWith(reactor, retry.status());
      retry->by = PersonOf(caller, request->by());
      parts_.core.Ask(
          [&](RequestId id) {
            retry->request = id;
            return Event(*std::move(retry));
          },
          [this, reactor, response, run](AnswerValue answer) { AnswerRun(reactor, response, run, answer); });
    });
  }

 private:
  using Task = std::function<void(grpc::ServerUnaryReactor*, const Caller&)>;

  grpc::ServerUnaryReactor* OnWorker(grpc::CallbackServerContext* context, Task task) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (Refused(parts_.check, *context, reactor)) return reactor;
    auto run = [reactor, task = std::move(task), caller = parts_.check.CallerOf(*context)] {
      task(reactor, caller);
    };
    if (!parts_.workers.Run(std::move(run))) {
      FinishWith(reactor, absl::ResourceExhaustedError("too many requests wait\nnext: try again"));
    }
    return reactor;
  }

  // As it is stored: what the core answered is.
  void AnswerRun(grpc::ServerUnaryReactor* reactor, v1::Run* response, RunId run, const AnswerValue& answer) {
    if (const auto* status = std::get_if<absl::Status>(&answer)) return FinishWith(reactor, *status);
    FinishOnWorker(parts_.workers, reactor, [this, run, response] { return ReadRun(run, response); });
  }

  absl::Status ReadRun(RunId id, v1::Run* response) {
    ASSIGN_OR_RETURN(const RunRow run, parts_.store.GetRun(id));
    ASSIGN_OR_RETURN(const std::vector<JobRow> jobs, JobsOfRun(parts_.store, id));
    RETURN_IF_ERROR(Fill(run, response));
    for (const JobRow& job : jobs) ToProto(job, response->add_jobs());
    return absl::OkStatus();
  }

  absl::Status Fill(const RunRow& row, v1::Run* run) {
    ToProto(row, run);
    ASSIGN_OR_RETURN(const auto counts, parts_.store.CountJobs(row.id));
    for (const auto& [state, jobs] : counts) {
      v1::JobCount* count = run->add_counts();
      count->set_state(static_cast<v1::JobState>(state));
      count->set_jobs(jobs);
    }
    return absl::OkStatus();
  }

  absl::Status ReadList(const v1::ListRunsRequest& request, v1::ListRunsResponse* response) {
    if (request.limit() > kMaxList) {
      return absl::InvalidArgumentError(absl::StrCat("limit: ", request.limit(), "; at most ", kMaxList));
    }
    RunQuery query;
    query.limit = request.limit() == 0 ? kDefaultList : request.limit();
    query.before = RunId(request.before());
    query.branch = request.branch();
    for (int state : request.states()) {
      if (state < v1::CREATED || state > v1::SKIPPED) {
        return absl::InvalidArgumentError(absl::StrCat("states: value ", state, " is not known"));
      }
      query.states.push_back(static_cast<JobState>(state));
    }
    ASSIGN_OR_RETURN(const std::vector<RunRow> runs, parts_.store.ListRuns(query));
    for (const RunRow& run : runs) RETURN_IF_ERROR(Fill(run, response->add_runs()));
    return absl::OkStatus();
  }

  // The run's facts travel in the same messages as a job document's; one conversion serves both.
  static absl::StatusOr<RunRequest> ReadRequest(const v1::SubmitRunRequest& request, const Caller& caller) {
    if (request.repo().url().empty()) return absl::InvalidArgumentError("repo.url: missing");
    v1::JobDocument document;
    *document.mutable_repo() = request.repo();
    *document.mutable_ref() = request.ref();
    *document.mutable_trigger() = request.trigger();
    if (document.trigger().timestamp() == 0) document.mutable_trigger()->set_timestamp(WallNow());
    // A document must have a step and a ref; these are not kept.
    document.add_test()->set_command("true");
    bool head = request.ref().branch().empty() && request.ref().id().empty() && request.ref().fetch().empty();
    if (head) document.mutable_ref()->set_branch("HEAD");
    absl::StatusOr<pipeline::JobSpec> spec = wire::FromProto(document);
    if (!spec.ok()) return spec.status();
    if (head) spec->ref = pipeline::Ref();
    if (spec->repo.IsLocal() && !caller.local) {
      return absl::PermissionDeniedError("repo.url: a path is accepted only over the queen's own socket");
    }
    return RunRequest{spec->repo, spec->ref, spec->trigger, caller.name};
  }

  void Answer(grpc::ServerUnaryReactor* reactor, v1::SubmitRunResponse* response, AnswerValue answer) {
    if (const auto* status = std::get_if<absl::Status>(&answer)) return FinishWith(reactor, *status);
    if (const auto* known = std::get_if<KnownSubmission>(&answer)) {
      return FinishOnWorker(parts_.workers, reactor,
                            [this, response, row = known->row] { return ReadRepeated(row, response); });
    }
    const SubmittedRun& run = std::get<SubmittedRun>(answer);
    response->set_run(run.run.id.value());
    response->set_commit(run.run.commit);
    for (const JobRow& job : run.jobs) ToProto(job, response->add_jobs());
    FinishWith(reactor, absl::OkStatus());
  }

  absl::Status ReadRepeated(const SubmissionRow& known, v1::SubmitRunResponse* response) {
    ASSIGN_OR_RETURN(const std::vector<JobRow> jobs, JobsOfRun(parts_.store, known.run));
    response->set_run(known.run.value());
    for (const JobRow& job : jobs) {
      response->set_commit(job.commit);
      ToProto(job, response->add_jobs());
    }
    return absl::OkStatus();
  }

  const PeopleParts parts_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeRunsService(const PeopleParts& parts) {
  return std::make_unique<RunsService>(parts);
}

}  // namespace waggle::queen
