#include <spdlog/spdlog.h>

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

class JobsService : public v1::Jobs::CallbackService {
 public:
  explicit JobsService(const PeopleParts& parts) : parts_(parts) {}

  grpc::ServerUnaryReactor* Submit(grpc::CallbackServerContext* context, const v1::SubmitJobRequest* request,
                                   v1::Job* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (Refused(parts_.check, *context, reactor)) return reactor;
    absl::StatusOr<event::SubmitJob> submit = ReadSubmit(*request, parts_.check.CallerOf(*context));
    if (!submit.ok()) {
      FinishWith(reactor, submit.status());
    } else if (submit->key.key.empty()) {
      Enter(reactor, response, *std::move(submit));
    } else {
      FinishOrGoOn(reactor, [this, reactor, response, submit = *std::move(submit)] {
        absl::StatusOr<SubmissionRow> known = FindSubmission(parts_.store, submit.key);
        if (absl::IsNotFound(known.status())) return Enter(reactor, response, submit);
        FinishWith(reactor, known.ok() ? ReadRepeated(*known, response) : known.status());
      });
    }
    return reactor;
  }

  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context, const v1::GetJobRequest* request,
                                v1::Job* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (Refused(parts_.check, *context, reactor)) return reactor;
    FinishOrGoOn(reactor, [this, reactor, request, response] {
      absl::Status read = ReadJob(*request, response);
      if (!read.ok()) return FinishWith(reactor, read);
      Explain({response}, [reactor] { FinishWith(reactor, absl::OkStatus()); });
    });
    return reactor;
  }

  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context, const v1::ListJobsRequest* request,
                                 v1::ListJobsResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (Refused(parts_.check, *context, reactor)) return reactor;
    FinishOrGoOn(reactor, [this, reactor, request, response] {
      absl::Status read = ReadList(*request, response);
      if (!read.ok()) return FinishWith(reactor, read);
      std::vector<v1::Job*> jobs;
      for (v1::Job& job : *response->mutable_jobs()) jobs.push_back(&job);
      Explain(std::move(jobs), [reactor] { FinishWith(reactor, absl::OkStatus()); });
    });
    return reactor;
  }

  grpc::ServerUnaryReactor* Cancel(grpc::CallbackServerContext* context, const v1::CancelJobRequest* request,
                                   v1::Job* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (Refused(parts_.check, *context, reactor)) return reactor;
    if (request->reason().size() > limits::kReasonBytes || request->by().size() > limits::kNameBytes) {
      FinishWith(reactor, absl::InvalidArgumentError("reason: at most 4 KiB; by: at most 128 bytes"));
      return reactor;
    }
    FinishOrGoOn(reactor, [this, reactor, request, response, caller = parts_.check.CallerOf(*context)] {
      absl::StatusOr<JobRow> job = parts_.store.GetJob(JobId(request->id()));
      if (!job.ok()) return FinishWith(reactor, job.status());
      if (IsTerminal(job->state)) {
        return FinishWith(reactor,
                          absl::FailedPreconditionError(absl::StrCat(
                              "job ", request->id(), " has already ended: ", std::string(Name(job->state)))));
      }
      std::string by = PersonOf(caller, request->by());
      parts_.core.Ask(
          [&](RequestId id) {
            return Event(event::CancelJob{id, JobId(request->id()), by, request->reason(), request->now()});
          },
          [reactor, response](AnswerValue answer) { AnswerJob(reactor, response, std::move(answer)); });
    });
    return reactor;
  }

  grpc::ServerUnaryReactor* Retry(grpc::CallbackServerContext* context, const v1::RetryJobRequest* request,
                                  v1::Job* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (Refused(parts_.check, *context, reactor)) return reactor;
    FinishOrGoOn(reactor, [this, reactor, request, response, caller = parts_.check.CallerOf(*context)] {
      absl::StatusOr<event::Retry> retry = ReadRetry(parts_.store, JobId(request->id()));
      if (!retry.ok()) return FinishWith(reactor, retry.status());
      retry->by = PersonOf(caller, request->by());
      parts_.core.Ask(
          [&](RequestId id) {
            retry->request = id;
            return Event(*std::move(retry));
          },
          [reactor, response, id = JobId(request->id())](AnswerValue answer) {
            if (const auto* status = std::get_if<absl::Status>(&answer)) return FinishWith(reactor, *status);
            for (const JobRow& row : std::get<SubmittedRun>(answer).jobs) {
              if (row.id == id) ToProto(row, response);
            }
            FinishWith(reactor, absl::OkStatus());
          });
    });
    return reactor;
  }

 private:
  // Runs `task`, which finishes the call or sees to it, on a worker.
  void FinishOrGoOn(grpc::ServerUnaryReactor* reactor, std::function<void()> task) {
    if (parts_.workers.Run(std::move(task))) return;
    FinishWith(reactor, absl::ResourceExhaustedError("too many requests wait\nnext: try again"));
  }

  static absl::StatusOr<event::SubmitJob> ReadSubmit(const v1::SubmitJobRequest& request,
                                                     const Caller& caller) {
    ASSIGN_OR_RETURN(pipeline::JobSpec spec, wire::FromProto(request.document()));
    if (request.document().job_id() != 0) {
      return absl::InvalidArgumentError("job_id: the queen gives it; leave it out");
    }
    if (spec.repo.IsLocal() && !caller.local) {
      return absl::PermissionDeniedError("repo.url: a path is accepted only over the queen's own socket");
    }
    if (spec.user_id.empty() || !caller.local) spec.user_id = caller.name;
    RETURN_IF_ERROR(CheckSupported(spec));
    event::SubmitJob submit;
    submit.draft = MakeDraft(spec);
    if (submit.draft.document.size() > limits::kJobDocument) {
      return absl::InvalidArgumentError(
          absl::StrCat("document: ", submit.draft.document.size(), " bytes; at most ", limits::kJobDocument));
    }
    spec.trigger.timestamp = 0;
    ASSIGN_OR_RETURN(submit.key,
                     MakeSubmissionKey(caller.name, request.key(), wire::SerializeDocument(spec, JobId())));
    return submit;
  }

  void Enter(grpc::ServerUnaryReactor* reactor, v1::Job* response, event::SubmitJob submit) {
    parts_.core.Ask(
        [&submit](RequestId id) {
          submit.request = id;
          return Event(std::move(submit));
        },
        [this, reactor, response](AnswerValue answer) {
          const auto* known = std::get_if<KnownSubmission>(&answer);
          if (known == nullptr) return AnswerJob(reactor, response, std::move(answer));
          FinishOrGoOn(reactor, [this, reactor, response, row = known->row] {
            FinishWith(reactor, ReadRepeated(row, response));
          });
        });
  }

  absl::Status ReadRepeated(const SubmissionRow& known, v1::Job* response) {
    ASSIGN_OR_RETURN(const JobRow job, parts_.store.GetJob(known.job));
    ToProto(job, response);
    return absl::OkStatus();
  }

  static void AnswerJob(grpc::ServerUnaryReactor* reactor, v1::Job* response, AnswerValue answer) {
    if (const auto* status = std::get_if<absl::Status>(&answer)) return FinishWith(reactor, *status);
    ToProto(std::get<JobRow>(answer), response);
    FinishWith(reactor, absl::OkStatus());
  }

  absl::Status ReadJob(const v1::GetJobRequest& request, v1::Job* response) {
    JobId id(request.id());
    ASSIGN_OR_RETURN(JobRow job, parts_.store.GetJob(id));
    ASSIGN_OR_RETURN(std::vector<AttemptRow> attempts, parts_.store.ListAttempts(id));
    ToProto(job, response);
    for (const AttemptRow& attempt : attempts) ToProto(attempt, response->add_attempts());
    if (request.document()) {
      // What the job came to is known also when what it was asked to do cannot be read any more.
      absl::StatusOr<std::string> document = parts_.store.GetDocument(id);
      if (!document.ok() || !response->mutable_document()->ParseFromString(*document)) {
        spdlog::error("the document of job {} cannot be read: {}", request.id(),
                      document.ok() ? "it is damaged" : std::string(document.status().message()));
        response->clear_document();
        return absl::OkStatus();
      }
      wire::StripCredentials(response->mutable_document());
      response->mutable_document()->set_job_id(request.id());
    }
    return absl::OkStatus();
  }

  absl::Status ReadList(const v1::ListJobsRequest& request, v1::ListJobsResponse* response) {
    if (request.limit() > kMaxList) {
      return absl::InvalidArgumentError(absl::StrCat("limit: ", request.limit(), "; at most ", kMaxList));
    }
    JobQuery query;
    query.limit = request.limit() == 0 ? kDefaultList : request.limit();
    query.before = JobId(request.before());
    query.run = RunId(request.run());
    for (int state : request.states()) {
      if (state < v1::CREATED || state > v1::SKIPPED) {
        return absl::InvalidArgumentError(absl::StrCat("states: value ", state, " is not known"));
      }
      query.states.push_back(static_cast<JobState>(state));
    }
    ASSIGN_OR_RETURN(std::vector<JobRow> jobs, parts_.store.ListJobs(query));
    for (const JobRow& job : jobs) ToProto(job, response->add_jobs());
    return absl::OkStatus();
  }

  // Fills in why each of them waits: the core knows, from the data its decisions are made of.
  void Explain(std::vector<v1::Job*> jobs, std::function<void()> done) {
    std::vector<v1::Job*> queued;
    std::vector<JobId> ids;
    for (v1::Job* job : jobs) {
      if (job->state() != v1::QUEUED && job->state() != v1::CREATED) continue;
      queued.push_back(job);
      ids.push_back(JobId(job->id()));
    }
    if (ids.empty()) return done();
    parts_.core.Ask(
        [&ids](RequestId id) {
          return Event(event::Explain{id, std::move(ids)});
        },
        [queued = std::move(queued), done = std::move(done)](AnswerValue answer) {
          if (auto* why = std::get_if<Explanations>(&answer)) {
            for (std::size_t i = 0; i < queued.size(); ++i) queued[i]->set_detail(why->texts[i]);
          }
          done();
        });
  }

  const PeopleParts parts_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeJobsService(const PeopleParts& parts) {
  return std::make_unique<JobsService>(parts);
}

}  // namespace waggle::queen
