#include "tests/tools/fake_queen.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>

#include "waggle/v1/queen.grpc.pb.h"

namespace waggle::cli {
namespace {

using grpc::ServerContext;
using grpc::Status;
using grpc::StatusCode;

struct Script {
  std::vector<v1::WatchEvent> events;
  FakeQueen::Then then;
};

struct Shared {
  std::mutex mutex;
  std::map<std::uint64_t, v1::Job> jobs;
  std::map<std::uint64_t, std::vector<Script>> scripts;
  std::map<std::uint64_t, std::size_t> played;  // Watch calls of each job so far
  std::vector<v1::WatchRequest> watches;
  v1::SubmitRunRequest run;
  v1::SubmitJobRequest job;
  v1::CancelJobRequest cancel;
  v1::ListJobsRequest list;
  Status refusal;
  int refusals = 0;  // left
  std::vector<std::string> keys;

  // Of a submission with this key.
  Status Take(const std::string& key) {
    keys.push_back(key);
    return refusals > 0 && --refusals >= 0 ? refusal : Status::OK;
  }
  std::string damage;
};

Status NoSuchJob(std::uint64_t id) {
  return Status(StatusCode::NOT_FOUND, "there is no job " + std::to_string(id) + "\nnext: waggle jobs");
}

class RunsService : public v1::Runs::Service {
 public:
  explicit RunsService(Shared& shared) : shared_(shared) {}
  Status Submit(ServerContext*, const v1::SubmitRunRequest* request,
                v1::SubmitRunResponse* response) override {
    std::lock_guard lock(shared_.mutex);
    shared_.run = *request;
    if (Status taken = shared_.Take(request->key()); !taken.ok()) return taken;
    response->set_run(12);
    response->set_commit("1a2b3c4d5e6f7a8b9c0d1a2b3c4d5e6f7a8b9c0d");
    for (const auto& [id, job] : shared_.jobs) {
      if (job.run() == 12) *response->add_jobs() = job;
    }
    return Status::OK;
  }

  // The jobs of it; canceled or to be run again as the real one would answer.
  Status Get(ServerContext*, const v1::GetRunRequest* request, v1::Run* response) override {
    std::lock_guard lock(shared_.mutex);
    return Fill(request->id(), response);
  }
  Status List(ServerContext*, const v1::ListRunsRequest* request, v1::ListRunsResponse* response) override {
    std::lock_guard lock(shared_.mutex);
    v1::Run run;
    if (Status filled = Fill(12, &run); !filled.ok()) return Status::OK;
    run.clear_jobs();
    const bool wanted = request->branch().empty() || request->branch() == run.branch();
    if (wanted && request->states().empty()) *response->add_runs() = run;
    return Status::OK;
  }
  Status Cancel(ServerContext*, const v1::CancelRunRequest* request, v1::Run* response) override {
    std::lock_guard lock(shared_.mutex);
    shared_.cancel.set_reason(request->reason());
    shared_.cancel.set_now(request->now());
    bool open = false;
    for (auto& [id, job] : shared_.jobs) {
      if (job.run() != request->id() || job.state() >= v1::PASSED) continue;
      job.set_cancel_requested(true);
      open = true;
    }
    if (Status filled = Fill(request->id(), response); !filled.ok()) return filled;
    return open ? Status::OK : Status(StatusCode::FAILED_PRECONDITION, "r12 has ended");
  }
  Status Retry(ServerContext*, const v1::RetryRunRequest* request, v1::Run* response) override {
    std::lock_guard lock(shared_.mutex);
    for (auto& [id, job] : shared_.jobs) {
      if (job.run() == request->id() && job.state() == v1::FAILED) job.set_state(v1::QUEUED);
    }
    return Fill(request->id(), response);
  }

 private:
  Status Fill(std::uint64_t id, v1::Run* run) {
    for (const auto& [number, job] : shared_.jobs) {
      if (job.run() == id) *run->add_jobs() = job;
    }
    if (run->jobs().empty()) return Status(StatusCode::NOT_FOUND, "there is no run " + std::to_string(id));
    run->set_id(id);
    run->set_name("shop");
    run->set_branch("main");
    run->set_commit("1a2b3c4d5e6f7a8b9c0d1a2b3c4d5e6f7a8b9c0d");
    run->set_event("manual");
    run->set_title("Parse hex");
    run->set_by("Anna");
    run->set_state(v1::STARTED);
    run->set_verdict(v1::FAILED);
    run->set_created_at(1'700'000'000'000);
    for (const v1::Job& job : run->jobs()) {
      v1::JobCount* count = run->add_counts();
      count->set_state(job.state());
      count->set_jobs(1);
    }
    return Status::OK;
  }

  Shared& shared_;
};

class JobsService : public v1::Jobs::Service {
 public:
  explicit JobsService(Shared& shared) : shared_(shared) {}
  Status Submit(ServerContext*, const v1::SubmitJobRequest* request, v1::Job* response) override {
    std::lock_guard lock(shared_.mutex);
    shared_.job = *request;
    if (Status taken = shared_.Take(request->key()); !taken.ok()) return taken;
    *response = shared_.jobs.rbegin()->second;
    return Status::OK;
  }
  Status Get(ServerContext*, const v1::GetJobRequest* request, v1::Job* response) override {
    std::lock_guard lock(shared_.mutex);
    auto found = shared_.jobs.find(request->id());
    if (found == shared_.jobs.end()) return NoSuchJob(request->id());
    *response = found->second;
    return Status::OK;
  }
  Status List(ServerContext*, const v1::ListJobsRequest* request, v1::ListJobsResponse* response) override {
    std::lock_guard lock(shared_.mutex);
    shared_.list = *request;
    for (auto it = shared_.jobs.rbegin(); it != shared_.jobs.rend(); ++it) {
      const v1::Job& job = it->second;
      const auto& states = request->states();
      bool wanted = states.empty() || std::find(states.begin(), states.end(), job.state()) != states.end();
      bool full = request->limit() != 0 && response->jobs_size() == static_cast<int>(request->limit());
      if (wanted && !full && (request->run() == 0 || request->run() == job.run()))
        *response->add_jobs() = job;
    }
    return Status::OK;
  }
  Status Retry(ServerContext*, const v1::RetryJobRequest* request, v1::Job* response) override {
    std::lock_guard lock(shared_.mutex);
    auto found = shared_.jobs.find(request->id());
    if (found == shared_.jobs.end()) return NoSuchJob(request->id());
    if (found->second.state() < v1::PASSED) {
      return Status(StatusCode::FAILED_PRECONDITION,
                    "job " + std::to_string(request->id()) + " has not ended");
    }
    found->second.set_state(v1::QUEUED);
    *response = found->second;
    return Status::OK;
  }
  Status Cancel(ServerContext*, const v1::CancelJobRequest* request, v1::Job* response) override {
    std::lock_guard lock(shared_.mutex);
    shared_.cancel = *request;
    auto found = shared_.jobs.find(request->id());
    if (found == shared_.jobs.end()) return NoSuchJob(request->id());
    if (found->second.state() >= v1::PASSED) {
      return Status(StatusCode::FAILED_PRECONDITION,
                    "job " + std::to_string(request->id()) + " has already ended");
    }
    found->second.set_cancel_requested(true);
    *response = found->second;
    return Status::OK;
  }

 private:
  Shared& shared_;
};

class LogsService : public v1::Logs::Service {
 public:
  explicit LogsService(Shared& shared) : shared_(shared) {}
  Status Watch(ServerContext* context, const v1::WatchRequest* request,
               grpc::ServerWriter<v1::WatchEvent>* writer) override {
    Script script;
    {
      std::lock_guard lock(shared_.mutex);
      shared_.watches.push_back(*request);
      auto found = shared_.scripts.find(request->job());
      if (found == shared_.scripts.end()) return NoSuchJob(request->job());
      std::size_t& played = shared_.played[request->job()];
      script = found->second[std::min(played, found->second.size() - 1)];
      ++played;
    }
    for (const v1::WatchEvent& event : script.events) writer->Write(event);
    switch (script.then) {
      case FakeQueen::Then::kClose:
        return Status::OK;
      case FakeQueen::Then::kUnavailable:
        return Status(StatusCode::UNAVAILABLE, "the queen stops\nnext: try again");
      case FakeQueen::Then::kNotFound:
        return NoSuchJob(request->job());
      case FakeQueen::Then::kHang:
        while (!context->IsCancelled()) usleep(2000);
        return Status::CANCELLED;
    }
    return Status::OK;
  }
  Status Outline(ServerContext*, const v1::OutlineRequest*, v1::OutlineResponse* response) override {
    v1::CommandRecord* command = response->add_commands();
    command->set_phase(v1::TEST_PHASE);
    command->set_name("unit");
    command->set_exit_code(2);
    command->set_duration_ms(410);
    command->set_first_line(1);
    command->set_last_line(6);
    response->set_lines(6);
    return Status::OK;
  }
  Status Verify(ServerContext*, const v1::VerifyRequest* request, v1::VerifyResponse* response) override {
    std::lock_guard lock(shared_.mutex);
    response->set_attempt(request->attempt() == 0 ? 1 : request->attempt());
    response->set_complete(shared_.damage.empty());
    response->set_problem(shared_.damage);
    response->set_records(1024);
    response->set_stdout_bytes(268'435'456);
    return Status::OK;
  }

 private:
  Shared& shared_;
};

class FleetService : public v1::Fleet::Service {
 public:
  Status List(ServerContext*, const v1::ListDronesRequest*, v1::ListDronesResponse* response) override {
    v1::Drone* drone = response->add_drones();
    drone->set_name("bee-1");
    drone->set_state("busy");
    drone->set_capacity(4);
    drone->set_used(2);
    drone->set_speed(1.5);
    (*drone->mutable_labels())["os"] = "linux";
    drone->add_jobs(12);
    response->set_queued(3);
    return Status::OK;
  }
};

}  // namespace

struct FakeQueen::Impl {
  Shared shared;
  RunsService runs{shared};
  JobsService jobs{shared};
  LogsService logs{shared};
  FleetService fleet;
  std::unique_ptr<grpc::Server> server;
};

FakeQueen::FakeQueen(std::string socket) : socket_(std::move(socket)), impl_(std::make_unique<Impl>()) {
  Start();
}
FakeQueen::~FakeQueen() {
  Stop();
}

void FakeQueen::Start() {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket_, grpc::InsecureServerCredentials());
  builder.RegisterService(&impl_->runs);
  builder.RegisterService(&impl_->jobs);
  builder.RegisterService(&impl_->logs);
  builder.RegisterService(&impl_->fleet);
  impl_->server = builder.BuildAndStart();
  if (impl_->server == nullptr) abort();
}

void FakeQueen::Stop() {
  if (impl_->server == nullptr) return;
  impl_->server->Shutdown(std::chrono::system_clock::now());
  impl_->server->Wait();
  impl_->server.reset();
  unlink(socket_.c_str());
}

void FakeQueen::PutJob(const v1::Job& job) {
  std::lock_guard lock(impl_->shared.mutex);
  impl_->shared.jobs[job.id()] = job;
}
void FakeQueen::ScriptWatch(std::uint64_t job, std::vector<v1::WatchEvent> events, Then then) {
  std::lock_guard lock(impl_->shared.mutex);
  impl_->shared.scripts[job].push_back({std::move(events), then});
}
void FakeQueen::RefuseSubmit(int code, std::string message, int times) {
  std::lock_guard lock(impl_->shared.mutex);
  impl_->shared.refusal = Status(static_cast<StatusCode>(code), message);
  impl_->shared.refusals = times;
}
void FakeQueen::Damage(std::string problem) {
  std::lock_guard lock(impl_->shared.mutex);
  impl_->shared.damage = std::move(problem);
}
std::vector<v1::WatchRequest> FakeQueen::watches() const {
  std::lock_guard lock(impl_->shared.mutex);
  return impl_->shared.watches;
}
std::vector<std::string> FakeQueen::keys() const {
  std::lock_guard lock(impl_->shared.mutex);
  return impl_->shared.keys;
}
v1::SubmitRunRequest FakeQueen::last_run() const {
  std::lock_guard lock(impl_->shared.mutex);
  return impl_->shared.run;
}
v1::SubmitJobRequest FakeQueen::last_job() const {
  std::lock_guard lock(impl_->shared.mutex);
  return impl_->shared.job;
}
v1::CancelJobRequest FakeQueen::last_cancel() const {
  std::lock_guard lock(impl_->shared.mutex);
  return impl_->shared.cancel;
}
v1::ListJobsRequest FakeQueen::last_list() const {
  std::lock_guard lock(impl_->shared.mutex);
  return impl_->shared.list;
}

v1::Job MakeJob(std::uint64_t id, std::string name, int state) {
  v1::Job job;
  job.set_id(id);
  job.set_name(std::move(name));
  job.set_type(v1::TEST);
  job.set_state(static_cast<v1::JobState>(state));
  if (state >= v1::RECEIVED) {
    job.set_attempt(1);
    job.set_drone("bee-1");
  }
  return job;
}
v1::Job Passed(std::uint64_t id, std::string name) {
  v1::Job job = MakeJob(id, std::move(name), v1::PASSED);
  job.set_duration_ms(41'000);
  return job;
}
v1::Job Failed(std::uint64_t id, std::string name, int code) {
  v1::Job job = MakeJob(id, std::move(name), v1::FAILED);
  job.set_failed_code(code);
  job.set_failed_step("test/unit");
  return job;
}
v1::Job Errored(std::uint64_t id, std::string name, std::string reason) {
  v1::Job job = MakeJob(id, std::move(name), v1::ERRORED);
  job.set_reason(std::move(reason));
  job.set_detail("it took too long");
  return job;
}

namespace {

v1::WatchEvent Record(std::uint64_t seq, v1::Fragment::Kind kind, std::uint64_t epoch = 7) {
  v1::WatchEvent event;
  event.mutable_batch()->set_epoch(epoch);
  event.mutable_batch()->set_attempt(static_cast<std::uint32_t>(epoch - 6));
  v1::Fragment* fragment = event.mutable_batch()->add_fragments();
  fragment->set_seq(seq);
  fragment->set_kind(kind);
  fragment->set_phase(v1::TEST_PHASE);
  return event;
}

v1::WatchEvent Bytes(v1::WatchEvent event, std::uint64_t line, std::string_view data) {
  event.mutable_batch()->mutable_fragments(0)->set_line(line);
  event.mutable_batch()->mutable_fragments(0)->set_data(std::string(data));
  return event;
}

v1::CommandRecord* CommandOf(v1::WatchEvent& event, std::string name) {
  v1::CommandRecord* command = event.mutable_batch()->mutable_fragments(0)->mutable_command_record();
  command->set_phase(v1::TEST_PHASE);
  command->set_name(std::move(name));
  return command;
}

}  // namespace

v1::WatchEvent Out(std::uint64_t seq, std::uint64_t line, std::string_view data, std::uint64_t epoch) {
  return Bytes(Record(seq, v1::Fragment::STDOUT, epoch), line, data);
}
v1::WatchEvent Err(std::uint64_t seq, std::uint64_t line, std::string_view data, std::uint64_t epoch) {
  return Bytes(Record(seq, v1::Fragment::STDERR, epoch), line, data);
}
v1::WatchEvent CommandStart(std::uint64_t seq, std::string name, std::string display) {
  v1::WatchEvent event = Record(seq, v1::Fragment::COMMAND_START);
  v1::CommandRecord* command = CommandOf(event, std::move(name));
  command->set_display(std::move(display));
  command->set_exit_code(-1);
  return event;
}
v1::WatchEvent CommandEnd(std::uint64_t seq, std::string name, int code, std::int64_t millis) {
  v1::WatchEvent event = Record(seq, v1::Fragment::COMMAND_END);
  v1::CommandRecord* command = CommandOf(event, std::move(name));
  command->set_exit_code(code);
  command->set_duration_ms(millis);
  return event;
}
v1::WatchEvent State(const v1::Job& job) {
  v1::WatchEvent event;
  *event.mutable_state()->mutable_job() = job;
  return event;
}
v1::WatchEvent End(const v1::Job& job) {
  v1::WatchEvent event;
  *event.mutable_end()->mutable_job() = job;
  return event;
}

}  // namespace waggle::cli
