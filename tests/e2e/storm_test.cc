// A thousand drones that come back at once after the queen was killed (P24).
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/rpc/channel.h"
#include "tests/support/hive_fixture.h"
#include "waggle/v1/hive.grpc.pb.h"
#include "waggle/v1/queen.grpc.pb.h"

namespace waggle::test {
namespace {

constexpr int kDrones = 1000;

// A drone that is nothing but its control stream and one attempt that runs for ever. It comes back as real
// ones do: a new channel for each try, behind a jittered wait that doubles.
class Session {
 public:
  Session(std::string target, int number) : target_(std::move(target)), number_(number) {
    thread_ = std::thread([this] { Run(); });
  }
  ~Session() {
    stopping_ = true;
    {
      absl::MutexLock lock(&mutex_);
      if (context_ != nullptr) context_->TryCancel();
    }
    thread_.join();
  }

  int welcomes() const { return welcomes_; }
  bool running() const { return epoch_ != 0; }
  bool lost() const { return lost_; }
  void Beat() {
    v1::FromDrone message;
    message.mutable_heartbeat()->set_running(running() ? 1 : 0);
    absl::MutexLock lock(&mutex_);
    if (stream_ != nullptr) stream_->Write(message);
  }

 private:
  using Stream = grpc::ClientReaderWriter<v1::FromDrone, v1::FromQueen>;

  void Run() {
    std::mt19937 random(static_cast<unsigned>(number_));
    auto wait = std::chrono::duration_cast<Millis>(limits::kBackoffMin);
    while (!stopping_) {
      const int before = welcomes_;
      Live();
      wait = welcomes_ > before ? limits::kBackoffMin : std::min<Millis>(2 * wait, limits::kBackoffMax);
      absl::MutexLock lock(&mutex_);
      auto stops = [this] { return stopping_.load(); };
      mutex_.AwaitWithTimeout(
          absl::Condition(&stops),
          absl::Milliseconds(std::uniform_int_distribution<std::int64_t>(0, wait.count())(random)));
    }
  }

  // One connection, to its end.
  void Live() {
    auto stub = v1::Hive::NewStub(rpc::OpenChannel(target_));
    grpc::ClientContext context;
    {
      absl::MutexLock lock(&mutex_);
      context_ = &context;
    }
    const std::unique_ptr<Stream> stream = stub->Control(&context);
    if (stream->Write(Hello())) {
      {
        absl::MutexLock lock(&mutex_);
        stream_ = stream.get();
      }
      for (v1::FromQueen message; stream->Read(&message);) Hear(message);
    }
    {
      absl::MutexLock lock(&mutex_);
      stream_ = nullptr;
      context_ = nullptr;
    }
    stream->Finish();
  }

  v1::FromDrone Hello() const {
    v1::FromDrone message;
    v1::Hello* hello = message.mutable_hello();
    hello->set_protocol_min(1);
    hello->set_protocol_max(1);
    hello->set_identity(absl::StrFormat("%032x", number_ + 1));
    hello->set_name(absl::StrCat("storm-", number_));
    hello->set_host("storm");
    hello->set_version("0");
    hello->mutable_info()->set_speed(1);
    hello->mutable_info()->set_capacity(1);
    if (epoch_ != 0) Fill(hello->add_attempts());
    return message;
  }
  void Fill(v1::HeldAttempt* held) const {
    held->set_epoch(epoch_);
    held->set_state(v1::HeldAttempt::RUNNING);
    held->set_phase(v1::TEST_PHASE);
    held->set_counter(1);
    held->set_received_at(1);
    held->set_started_at(1);
    held->set_test_code(-1);
    held->set_deploy_code(-1);
  }

  void Hear(const v1::FromQueen& message) {
    if (message.has_welcome()) {
      ++welcomes_;
      for (const v1::Disposition& attempt : message.welcome().attempts())
        lost_ = lost_ || attempt.action() != v1::Disposition::CONTINUE;
    }
    if (!message.has_assign()) return;
    epoch_ = message.assign().epoch();
    v1::FromDrone accept, status;
    accept.mutable_accept()->set_epoch(epoch_);
    Fill(status.mutable_status()->mutable_attempt());
    absl::MutexLock lock(&mutex_);
    stream_->Write(accept);
    stream_->Write(status);
  }

  const std::string target_;
  const int number_;
  std::atomic<bool> stopping_ = false, lost_ = false;
  std::atomic<int> welcomes_ = 0;
  std::atomic<std::uint64_t> epoch_ = 0;
  absl::Mutex mutex_;  // of all writes behind Hello
  Stream* stream_ ABSL_GUARDED_BY(mutex_) = nullptr;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::thread thread_;
};

class Storm : public HiveFixture {
 protected:
  void SetUp() override {
    rlimit files{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
    ASSERT_GE(files.rlim_max, 4u * kDrones) << "raise the hard limit of open files";
  }
  void TearDown() override {
    stopping_ = true;
    if (heart_.joinable()) heart_.join();
    sessions_.clear();
    HiveFixture::TearDown();
  }

  std::string Target() const { return absl::StrCat("unix:", QueenData(), "/queen.sock"); }
  void StartSessions() {
    for (int i = 0; i < kDrones; ++i) sessions_.push_back(std::make_unique<Session>(Target(), i));
    heart_ = std::thread([this] {
      while (!stopping_) {
        for (const auto& session : sessions_) session->Beat();
        Eventually([this] { return stopping_.load(); }, 2s);
      }
    });
  }
  template <typename Condition>
  bool All(Condition&& condition, Millis patience = kPatience) {
    return Eventually([&] { return std::all_of(sessions_.begin(), sessions_.end(), condition); }, patience);
  }
  // The time until the queen said that she has it.
  Millis TimedSubmit(v1::Jobs::Stub& stub) {
    v1::SubmitJobRequest request;
    request.mutable_document()->mutable_trigger()->set_timestamp(WallNow());
    request.mutable_document()->add_test()->set_command("true");
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    v1::Job job;
    const auto before = std::chrono::steady_clock::now();
    const grpc::Status status = stub.Submit(&context, request, &job);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - before);
  }
  int QueenMib(const std::string& figure) {
    const std::string status = ReadText(absl::StrCat("/proc/", Queen().pid(), "/status"));
    return std::atoi(status.c_str() + status.find(figure) + figure.size()) / 1024;
  }

  std::atomic<bool> stopping_ = false;
  std::vector<std::unique_ptr<Session>> sessions_;
  std::thread heart_;
};

TEST_F(Storm, AThousandDronesComeBackAtOnce) {
  StartQueen();
  auto stub = v1::Jobs::NewStub(rpc::OpenChannel(Target()));
  StartSessions();
  ASSERT_TRUE(All([](const auto& session) { return session->welcomes() == 1; }));
  for (int i = 0; i < kDrones; ++i) TimedSubmit(*stub);
  ASSERT_TRUE(All([](const auto& session) { return session->running(); }));

  KillQueen();
  StartQueen();
  const auto back = std::chrono::steady_clock::now();
  std::vector<Millis> submits;
  std::atomic<bool> all_back = false;
  std::thread submitter([&] {
    auto fresh = v1::Jobs::NewStub(rpc::OpenChannel(Target()));
    while (!all_back || submits.size() < 300) submits.push_back(TimedSubmit(*fresh));
  });
  EXPECT_TRUE(All([](const auto& session) { return session->welcomes() == 2; }, 30s));
  const auto took = std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - back);
  all_back = true;
  submitter.join();
  std::sort(submits.begin(), submits.end());
  const Millis p99 = submits[submits.size() * 99 / 100];
  std::printf("[ figures  ] %d sessions resumed in %d ms; %zu submits, p99 %d ms; queen at most %d MiB\n",
              kDrones, static_cast<int>(took.count()), submits.size(), static_cast<int>(p99.count()),
              QueenMib("VmHWM:"));
  EXPECT_LE(p99, 1s);
  EXPECT_LE(QueenMib("VmHWM:"), 512);

  EXPECT_TRUE(All([](const auto& session) { return !session->lost(); })) << "a lease was lost";
  grpc::ClientContext context;
  v1::ListJobsRequest started;
  started.set_limit(1000);
  started.add_states(v1::STARTED);
  v1::ListJobsResponse jobs;
  ASSERT_TRUE(stub->List(&context, started, &jobs).ok());
  EXPECT_EQ(jobs.jobs_size(), kDrones);
  for (const v1::Job& job : jobs.jobs()) EXPECT_EQ(job.attempt(), 1u) << job.id();
}

}  // namespace
}  // namespace waggle::test
