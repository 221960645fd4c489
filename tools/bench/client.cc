#include "tools/bench/client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/status_macros.h"
#include "common/rpc/channel.h"
#include "tools/bench/processes.h"
#include "waggle/v1/queen.grpc.pb.h"

namespace waggle::bench {
namespace {

using namespace std::chrono_literals;

constexpr auto kDeadline = 60s;
constexpr int kInFlight = 64;  // submissions of SubmitMany that wait for their answer
constexpr std::uint32_t kPage = 1000;
constexpr std::size_t kReceive = 16 << 20;  // a page of jobs

absl::Status ToAbsl(const grpc::Status& status, std::string_view what) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      absl::StrCat(std::string(what), ": ", status.error_message()));
}

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
}

v1::SubmitJobRequest RequestOf(const JobText& job) {
  v1::SubmitJobRequest request;
  v1::JobDocument* document = request.mutable_document();
  document->set_name("bench");
  document->mutable_trigger()->set_type("manual");
  document->mutable_trigger()->set_timestamp(WallNow());
  v1::Command* command = document->add_test();
  command->set_command(job.command);
  for (const std::string& arg : job.args) command->add_args(arg);
  return request;
}

}  // namespace

struct Client::Stubs {
  std::unique_ptr<v1::Jobs::Stub> jobs;
  std::unique_ptr<v1::Logs::Stub> logs;
  std::unique_ptr<v1::Fleet::Stub> fleet;
};

Client::Client(std::shared_ptr<grpc::Channel> channel)
    : channel_(channel),
      stubs_(new Stubs{v1::Jobs::NewStub(channel), v1::Logs::NewStub(channel), v1::Fleet::NewStub(channel)}) {
}
Client::~Client() = default;

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(const std::string& socket) {
  std::unique_ptr<Client> client(new Client(rpc::OpenChannel("unix:" + socket, {.max_receive = kReceive})));
  RETURN_IF_ERROR(client->Fleet().status());
  return client;
}

absl::StatusOr<std::uint64_t> Client::Submit(const JobText& job) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::Job taken;
  RETURN_IF_ERROR(ToAbsl(stubs_->jobs->Submit(&context, RequestOf(job), &taken), "submit"));
  return taken.id();
}

absl::StatusOr<std::vector<std::uint64_t>> Client::SubmitMany(const JobText& job, int count) {
  struct Call {
    grpc::ClientContext context;
    v1::Job job;
  };
  const v1::SubmitJobRequest request = RequestOf(job);
  absl::Mutex mutex;
  int under_way = 0;
  absl::Status failed;
  std::vector<std::uint64_t> ids;
  for (int i = 0; i < count; ++i) {
    auto* call = new Call;
    SetDeadline(call->context);
    {
      absl::MutexLock lock(&mutex);
      auto room = [&under_way] { return under_way < kInFlight; };
      mutex.Await(absl::Condition(&room));
      ++under_way;
    }
    stubs_->jobs->async()->Submit(&call->context, &request, &call->job,
                                  [&, call](const grpc::Status& status) {
                                    std::unique_ptr<Call> owned(call);
                                    absl::MutexLock lock(&mutex);
                                    --under_way;
                                    if (!status.ok()) failed = ToAbsl(status, "submit");
                                    ids.push_back(call->job.id());
                                  });
  }
  absl::MutexLock lock(&mutex);
  auto none = [&under_way] { return under_way == 0; };
  mutex.Await(absl::Condition(&none));
  if (!failed.ok()) return failed;
  return ids;
}

absl::StatusOr<WatchEnded> Client::Watch(std::uint64_t job, const OnOutput& output) {
  grpc::ClientContext context;
  v1::WatchRequest request;
  request.set_job(job);
  request.set_follow(true);
  auto reader = stubs_->logs->Watch(&context, request);
  WatchEnded ended;
  v1::WatchEvent event;
  bool wanted = true;
  while (reader->Read(&event)) {
    if (!wanted) continue;  // drains what is on its way
    for (const v1::Fragment& fragment : event.batch().fragments()) {
      if (fragment.kind() != v1::Fragment::STDOUT || output(fragment.data(), fragment.offset())) continue;
      wanted = false;
      context.TryCancel();
      break;
    }
    if (event.has_end()) {
      ended.passed = event.end().job().state() == v1::PASSED;
      ended.state = absl::StrCat(v1::JobState_Name(event.end().job().state()), " ",
                                 event.end().job().reason(), " ", event.end().job().detail());
    }
  }
  const grpc::Status status = reader->Finish();
  if (wanted) RETURN_IF_ERROR(ToAbsl(status, absl::StrCat("watch of job ", job)));
  return ended;
}

absl::StatusOr<FleetState> Client::Fleet() {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::ListDronesResponse response;
  RETURN_IF_ERROR(ToAbsl(stubs_->fleet->List(&context, {}, &response), "list of drones"));
  FleetState fleet;
  fleet.queued = response.queued();
  for (const v1::Drone& drone : response.drones()) {
    fleet.connected += drone.connected_at() != 0 && drone.state() != "lost";
    fleet.used += static_cast<int>(drone.used());
  }
  return fleet;
}

absl::StatusOr<int> Client::Unfinished() {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::ListJobsRequest request;
  request.set_limit(1);
  for (v1::JobState state : {v1::CREATED, v1::QUEUED, v1::RECEIVED, v1::STARTED}) request.add_states(state);
  v1::ListJobsResponse response;
  RETURN_IF_ERROR(ToAbsl(stubs_->jobs->List(&context, request, &response), "list of jobs"));
  return response.jobs_size();
}

absl::Status Client::ExpectPassed(const std::vector<std::uint64_t>& jobs) {
  std::map<std::uint64_t, std::string> states;
  const std::uint64_t oldest = *std::min_element(jobs.begin(), jobs.end());
  for (std::uint64_t before = 0;;) {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::ListJobsRequest request;
    request.set_limit(kPage);
    request.set_before(before);
    v1::ListJobsResponse response;
    RETURN_IF_ERROR(ToAbsl(stubs_->jobs->List(&context, request, &response), "list of jobs"));
    for (const v1::Job& job : response.jobs()) {
      states[job.id()] = v1::JobState_Name(job.state());
      before = job.id();
    }
    if (response.jobs_size() == 0 || before <= oldest) break;
  }
  for (std::uint64_t id : jobs) {
    if (states[id] != "PASSED") return absl::InternalError(absl::StrCat("job ", id, " is ", states[id]));
  }
  return absl::OkStatus();
}

absl::Status Client::WaitPassed(std::uint64_t job, Duration patience) {
  v1::Job state;
  absl::Status asked;
  RETURN_IF_ERROR(Await(
      [&] {
        grpc::ClientContext context;
        SetDeadline(context);
        v1::GetJobRequest request;
        request.set_id(job);
        asked = ToAbsl(stubs_->jobs->Get(&context, request, &state), "get job");
        return !asked.ok() || state.state() >= v1::PASSED;
      },
      patience, absl::StrCat("the end of job ", job), 5ms));
  RETURN_IF_ERROR(asked);
  if (state.state() == v1::PASSED) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("job ", job, " is ", v1::JobState_Name(state.state()), " ",
                                          state.reason(), " ", state.detail()));
}

absl::Status Client::Cancel(std::uint64_t job, bool now) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::CancelJobRequest request;
  request.set_id(job);
  request.set_now(now);
  v1::Job response;
  return ToAbsl(stubs_->jobs->Cancel(&context, request, &response), "cancel");
}

absl::Status Client::Verify(std::uint64_t job, std::uint64_t expected_bytes) {
  grpc::ClientContext context;
  v1::VerifyRequest request;
  request.set_job(job);
  v1::VerifyResponse response;
  RETURN_IF_ERROR(ToAbsl(stubs_->logs->Verify(&context, request, &response), "verify"));
  if (response.complete() && response.stdout_bytes() == expected_bytes) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("the log of job ", job, " has ", response.stdout_bytes(), " of ",
                                          expected_bytes, " bytes: ", response.problem()));
}

}  // namespace waggle::bench
