#include "common/wire/job_document.h"
#include "proto/waggle_proto.h"
#include "queen/api/people.h"
#include "queen/api/unary.h"
#include "waggle/v1/queen.grpc.pb.h"

namespace waggle::queen {
namespace {

constexpr std::string_view kLocalUser = "local";  // whoever may use the socket

class RunsService : public v1::Runs::CallbackService {
 public:
  explicit RunsService(const PeopleParts& parts) : parts_(parts) {}

  grpc::ServerUnaryReactor* Submit(grpc::CallbackServerContext* context, const v1::SubmitRunRequest* request,
                                   v1::SubmitRunResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    absl::StatusOr<RunRequest> run = ReadRequest(*request, IsLocal(*context));
    if (!run.ok()) {
      FinishWith(reactor, run.status());
      return reactor;
    }
    auto read = [this, reactor, response, run = *std::move(run)] {
      absl::StatusOr<event::SubmitRun> submit = parts_.runs.Read(run);
      if (!submit.ok()) return FinishWith(reactor, submit.status());
      parts_.core.Ask(
          [&submit](RequestId id) {
            submit->request = id;
            return Event(*std::move(submit));
          },
          [reactor, response](AnswerValue answer) { Answer(reactor, response, std::move(answer)); });
    };
    if (!parts_.fetch_workers.Run(std::move(read))) {
      FinishWith(reactor,
                 absl::ResourceExhaustedError("too many repositories are being fetched\nnext: try again"));
    }
    return reactor;
  }

 private:
  // The run's facts travel in the same messages as a job document's; one conversion serves both.
  static absl::StatusOr<RunRequest> ReadRequest(const v1::SubmitRunRequest& request, bool local) {
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
    if (spec->repo.IsLocal() && !local) {
      return absl::PermissionDeniedError("repo.url: a path is accepted only over the queen's own socket");
    }
    return RunRequest{spec->repo, spec->ref, spec->trigger, std::string(kLocalUser)};
  }

  static void Answer(grpc::ServerUnaryReactor* reactor, v1::SubmitRunResponse* response, AnswerValue answer) {
    if (const auto* status = std::get_if<absl::Status>(&answer)) return FinishWith(reactor, *status);
    const SubmittedRun& run = std::get<SubmittedRun>(answer);
    response->set_run(run.run.id.value());
    response->set_commit(run.run.commit);
    for (const JobRow& job : run.jobs) ToProto(job, response->add_jobs());
    FinishWith(reactor, absl::OkStatus());
  }

  const PeopleParts parts_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeRunsService(const PeopleParts& parts) {
  return std::make_unique<RunsService>(parts);
}

}  // namespace waggle::queen
