#include "tests/torture/clients.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/rpc/channel.h"
#include "tests/support/child.h"
#include "tests/torture/rpc.h"
#include "waggle/v1/queen.grpc.pb.h"

namespace waggle::test {
namespace {

constexpr int kWatchers = 6;                                     // at the same time
constexpr std::int64_t kShortestJob = 100, kLongestJob = 8'000;  // ms it takes to print
constexpr absl::Duration kBetween = absl::Milliseconds(40);      // questions
constexpr std::chrono::seconds kHearsTheEnd(60);                 // a watcher, once its job is over
constexpr int kRepeatOneIn = 8;  // submits that are repeated though they were answered

std::chrono::system_clock::time_point Soon() {
  return std::chrono::system_clock::now() + kAnswers;
}

}  // namespace

Clients::Clients(Config config, History* history, Tally* tally)
    : config_(std::move(config)), history_(history), tally_(tally), random_(config_.seed, "people") {
  submitter_ = std::thread([this] { SubmitLoop(); });
  asker_ = std::thread([this] { AskLoop(); });
}

Clients::~Clients() {
  over_ = true;
  StopSubmitting();
  Finish();
}

void Clients::StopSubmitting() {
  if (!submitter_.joinable()) return;
  stop_.Notify();
  submitter_.join();
  asker_.join();
}

void Clients::Finish() {
  std::vector<std::thread> watchers;
  {
    absl::MutexLock lock(&mutex_);
    watchers.swap(watchers_);
  }
  if (!Eventually([this] { return watching_ == 0; }, kHearsTheEnd)) over_ = true;
  for (std::thread& watcher : watchers) watcher.join();
}

std::vector<Planned> Clients::jobs() const {
  absl::MutexLock lock(&mutex_);
  return jobs_;
}

Planned Clients::Plan(std::uint64_t number) {
  Planned job;
  const std::uint64_t dice = random_.Below(100);
  if (dice < 12) {
    job.kind = Planned::Kind::kDeploy;
  } else if (dice < 18) {
    job.kind = Planned::Kind::kFails;
  } else if (dice < 26) {
    job.kind = Planned::Kind::kCanceled;
  }
  const auto bytes = static_cast<std::uint64_t>(
      random_.Skewed(1'000, static_cast<std::int64_t>(std::max<std::uint64_t>(config_.most_bytes, 2'000))));
  const auto content = static_cast<NoisyContent>(random_.Below(static_cast<int>(NoisyContent::kMixed) + 1));
  const std::uint64_t key = config_.seed * 1'000'003 + number;
  job.printed.out = {key, NoisyStream::kStdout, content, bytes - bytes / 4};
  job.printed.err = {key, NoisyStream::kStderr, content, bytes / 4};
  job.watched = random_.Percent(40);
  planned_bytes_ += bytes;
  return job;
}

// Prints its bytes in a time of its own, so that faults find it in the middle.
std::string Clients::Script(const Planned& job, sim::Random& random) const {
  static constexpr const char* kNames[] = {"no-newline", "long-lines", "short-lines", "nul",
                                           "bad-utf8",   "multibyte",  "ansi",        "mixed"};
  const std::uint64_t bytes = job.printed.out.bytes + job.printed.err.bytes;
  const auto millis = static_cast<std::uint64_t>(random.Skewed(kShortestJob, kLongestJob));
  std::string script =
      absl::StrCat("'", config_.noisy, "' print --key ", job.printed.out.key, " --content ",
                   kNames[static_cast<int>(job.printed.out.content)], " --stdout ", job.printed.out.bytes,
                   " --stderr ", job.printed.err.bytes, " --rate ", bytes * 1000 / millis + 1, "\n");
  if (job.kind == Planned::Kind::kFails) absl::StrAppend(&script, "exit 3\n");
  if (job.kind == Planned::Kind::kCanceled) absl::StrAppend(&script, "sleep ", random.Below(5), "\n");
  return script;
}

v1::SubmitJobRequest Clients::Request(const Planned& job, std::uint64_t number, sim::Random& random) const {
  v1::SubmitJobRequest request;
  request.set_key(absl::StrCat("torture-", number));
  v1::JobDocument& document = *request.mutable_document();
  document.mutable_trigger()->set_timestamp(WallNow());
  document.set_name(absl::StrCat("torture-", number));
  document.add_test()->set_command(
      absl::StrCat(WitnessStart(config_.witness), Script(job, random), WitnessEnd(config_.witness)));
  if (job.kind == Planned::Kind::kDeploy) {
    document.set_type(v1::TEST_AND_DEPLOY);
    document.add_deploy()->set_command(absl::StrCat(WitnessStart(config_.witness), "sleep 0.",
                                                    random.Below(10), "\n", WitnessEnd(config_.witness)));
  }
  return request;
}

std::uint64_t Clients::SubmitUntilTaken(const v1::SubmitJobRequest& request) {
  while (!over_) {
    auto stub = v1::Jobs::NewStub(rpc::OpenChannel(config_.queen));
    grpc::ClientContext context;
    context.set_deadline(Soon());
    v1::Job job;
    const Time began = BootClock::now();
    const grpc::Status status = stub->Submit(&context, request, &job);
    if (status.ok()) {
      HistoryEntry entry{.actor = "submitter", .op = Op::kSubmit, .job = job.id(), .key = request.key()};
      entry.began = began.time_since_epoch().count();
      history_->Append(entry);
      Told("submitter", job, began);
      return job.id();
    }
    if (!IsPassing(status)) {
      tally_->Violation(absl::StrCat("submit with key ", request.key(), ": ", status.error_message()));
      return 0;
    }
    tally_->Repeated();
    std::this_thread::sleep_for(kAgain);
  }
  return 0;
}

void Clients::SubmitLoop() {
  for (std::uint64_t number = 1;; ++number) {
    while (!stop_.HasBeenNotified() && (Early(number) || Open() >= config_.at_once)) {
      stop_.WaitForNotificationWithTimeout(kBetween);
    }
    if (stop_.HasBeenNotified()) return;
    Planned job = Plan(number);
    const v1::SubmitJobRequest request = Request(job, number, random_);
    job.id = SubmitUntilTaken(request);
    if (job.id == 0) return;
    if (random_.OneIn(kRepeatOneIn)) {
      const std::uint64_t again = SubmitUntilTaken(request);
      if (again != 0 && again != job.id) {
        tally_->Violation(absl::StrCat("key ", request.key(), " gave job ", job.id, " and job ", again));
      }
    }
    job.watched = job.watched && watching_ < kWatchers;
    absl::MutexLock lock(&mutex_);
    jobs_.push_back(job);
    if (!job.watched) continue;
    ++watching_;
    watchers_.emplace_back([this, job] { WatchIt(job); });
  }
}

// So that there are jobs until the end.
bool Clients::Early(std::uint64_t number) const {
  const double share = std::chrono::duration<double>(BootClock::now() - begin_).count() /
                       std::chrono::duration<double>(config_.lasts).count();
  const auto part = [share](std::uint64_t whole) { return static_cast<double>(whole) * share; };
  return static_cast<double>(number) > part(config_.most_jobs) + static_cast<double>(config_.at_once) ||
         static_cast<double>(planned_bytes_) >
             part(config_.all_bytes) + static_cast<double>(config_.most_bytes);
}

// Jobs that are not over, by the queen's word. None while she does not say: what is submitted then has to be
// repeated.
std::size_t Clients::Open() {
  auto stub = v1::Jobs::NewStub(rpc::OpenChannel(config_.queen));
  grpc::ClientContext context;
  context.set_deadline(Soon());
  v1::ListJobsRequest request;
  request.set_limit(1'000);
  for (v1::JobState state : {v1::CREATED, v1::QUEUED, v1::RECEIVED, v1::STARTED}) request.add_states(state);
  v1::ListJobsResponse response;
  const grpc::Status status = stub->List(&context, request, &response);
  return status.ok() ? static_cast<std::size_t>(response.jobs_size()) : 0;
}

void Clients::WatchIt(Planned job) {
  const std::string actor = absl::StrCat("watcher of ", job.id);
  Follower follower(config_.watch, job.id, job.printed, "watcher", tally_);
  if (follower.Follow([this] { return !over_; })) {
    follower.Judge(/*whole=*/follower.state() == "passed" || follower.state() == "failed");
    history_->Append({.actor = actor, .op = Op::kState, .job = job.id, .state = follower.state()});
  } else {
    tally_->Violation(absl::StrCat("the ", actor, " has not heard its end"));
  }
  --watching_;
}

// Asks after one job after another, and cancels those that are to be.
void Clients::AskLoop() {
  sim::Random random(config_.seed, "asker");
  std::vector<bool> tried;
  while (!stop_.WaitForNotificationWithTimeout(kBetween)) {
    const std::vector<Planned> known = jobs();
    if (known.empty()) continue;
    const std::size_t at = random.Below(known.size());
    tried.resize(known.size());
    const Planned& job = known[random.OneIn(3) ? known.size() - 1 : at];
    const std::size_t index = static_cast<std::size_t>(&job - known.data());
    if (job.kind == Planned::Kind::kCanceled && !tried[index] && random.OneIn(2)) {
      tried[index] = true;
      Cancel(job.id);
      continue;
    }
    auto stub = v1::Jobs::NewStub(rpc::OpenChannel(config_.queen));
    grpc::ClientContext context;
    context.set_deadline(Soon());
    v1::GetJobRequest request;
    request.set_id(job.id);
    v1::Job answer;
    const Time began = BootClock::now();
    const grpc::Status status = stub->Get(&context, request, &answer);
    if (status.ok()) Told("asker", answer, began);
    if (status.error_code() == grpc::StatusCode::NOT_FOUND) {
      HistoryEntry entry{.actor = "asker", .op = Op::kMissing, .job = job.id};
      entry.began = began.time_since_epoch().count();
      history_->Append(entry);
    }
  }
}

void Clients::Cancel(std::uint64_t id) {
  while (!stop_.HasBeenNotified()) {
    auto stub = v1::Jobs::NewStub(rpc::OpenChannel(config_.queen));
    grpc::ClientContext context;
    context.set_deadline(Soon());
    v1::CancelJobRequest request;
    request.set_id(id);
    request.set_reason("torture");
    v1::Job job;
    const Time began = BootClock::now();
    {  // it may be taken and its answer lost
      absl::MutexLock lock(&mutex_);
      for (Planned& one : jobs_) one.canceled = one.canceled || one.id == id;
    }
    const grpc::Status status = stub->Cancel(&context, request, &job);
    if (status.ok()) Told("canceler", job, began);
    if (!IsPassing(status)) return;  // done, or it is over already
    stop_.WaitForNotificationWithTimeout(absl::FromChrono(kAgain));
  }
}

void Clients::Told(const std::string& actor, const v1::Job& job, Time began) {
  HistoryEntry entry{.actor = actor, .op = Op::kState, .job = job.id(), .state = StateName(job.state())};
  entry.reason = job.reason();
  entry.began = began.time_since_epoch().count();
  history_->Append(entry);
}

bool Clients::Get(std::uint64_t id, v1::Job* job) {
  for (int i = 0; i < 12; ++i) {
    auto stub = v1::Jobs::NewStub(rpc::OpenChannel(config_.queen));
    grpc::ClientContext context;
    context.set_deadline(Soon());
    context.set_wait_for_ready(true);
    v1::GetJobRequest request;
    request.set_id(id);
    const Time began = BootClock::now();
    if (!stub->Get(&context, request, job).ok()) continue;
    Told("judge", *job, began);
    return true;
  }
  return false;
}

}  // namespace waggle::test
