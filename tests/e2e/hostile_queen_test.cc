// A drone in front of something that is not its queen, or a queen that breaks the protocol: it says what it
// sees, does not spin, keeps its attempts, and works again when a queen is there.
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "tests/e2e/hostile_fixture.h"
#include "waggle/v1/queen.grpc.pb.h"

namespace waggle::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// A Unix socket that treats everybody who comes alike.
class Impostor {
 public:
  enum class Manner { kGarbage, kClose, kSilent };
  Impostor(const std::string& path, Manner manner) : manner_(manner), fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    ::unlink(path.c_str());
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd_, 64), 0);
    thread_ = std::thread([this] { Serve(); });
  }
  ~Impostor() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    for (int fd : held_) ::close(fd);
    ::close(fd_);
  }
  int visits() const { return visits_; }

 private:
  void Serve() {
    for (;;) {
      const int fd = ::accept(fd_, nullptr, nullptr);
      if (fd < 0) return;
      ++visits_;
      if (manner_ == Manner::kGarbage) {
        const std::string garbage = NoiseBytes(4096, 1);
        (void)!::send(fd, garbage.data(), garbage.size(), MSG_NOSIGNAL);
      }
      manner_ == Manner::kSilent ? held_.push_back(fd) : static_cast<void>(::close(fd));
    }
  }

  const Manner manner_;
  const int fd_;
  std::atomic<int> visits_{0};
  std::vector<int> held_;
  std::thread thread_;
};

class HostileQueen : public HiveFixture {
 protected:
  void SetUp() override { fs::create_directories(QueenData()); }
  std::string Socket() const { return QueenData() + "/queen.sock"; }
  Child StartBee() {
    return Start(
        {Binary("drone"), "serve", "--queen", QueenData(), "--data", DroneData("bee"), "--name", "bee"});
  }
  static double CpuSeconds(pid_t pid) {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    std::getline(stat, line);
    std::istringstream fields(line.substr(line.rfind(')') + 2));
    std::string word;
    double ticks = 0;
    for (int field = 3; field <= 15 && fields >> word; ++field) {
      if (field >= 14) ticks += std::stod(word);
    }
    return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  // A real queen takes the place of what was there, and the same drone serves it.
  void ExpectItServesARealQueen(Child& bee) {
    ::unlink(Socket().c_str());
    StartQueen();
    WaitForState(Submit(TestJob({"true"})), "passed");
    EXPECT_TRUE(bee.Running()) << bee.Err();
  }
};

TEST_F(HostileQueen, WhatIsNoQueenAtAll) {
  for (Impostor::Manner manner :
       {Impostor::Manner::kGarbage, Impostor::Manner::kClose, Impostor::Manner::kSilent}) {
    const bool silent = manner == Impostor::Manner::kSilent;
    auto impostor = std::make_unique<Impostor>(Socket(), manner);
    Child bee = StartBee();
    // Three tries within full jitter up to a second; the silent one holds the first until the Hello is
    // overdue.
    ASSERT_TRUE(Eventually([&] { return impostor->visits() >= (silent ? 1 : 3); })) << bee.Err();
    ASSERT_TRUE(silent ||
                Eventually([&] { return bee.Err().find("cannot reach the queen") != std::string::npos; }))
        << bee.Err();
    EXPECT_TRUE(bee.Running());
    EXPECT_LT(Lines(bee.Err()).size(), 20u) << bee.Err();
    EXPECT_LT(CpuSeconds(bee.pid()), 1.0);
    impostor.reset();
    if (silent) continue;
    ExpectItServesARealQueen(bee);
    StopQueen();
  }
}

TEST_F(HostileQueen, AServerOfSomethingElse) {
  class Other final : public v1::Jobs::Service {};
  Other other;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + Socket(), grpc::InsecureServerCredentials());
  builder.RegisterService(&other);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  Child bee = StartBee();
  ASSERT_TRUE(Eventually([&] { return bee.Err().find("is no queen") != std::string::npos; })) << bee.Err();
  EXPECT_TRUE(bee.Running());
  EXPECT_LT(CpuSeconds(bee.pid()), 1.0);
  server->Shutdown(std::chrono::system_clock::now());
  server.reset();
  ExpectItServesARealQueen(bee);
}

// Speaks Control as a test tells it to.
class BadQueen final : public v1::Hive::Service {
 public:
  using Stream = grpc::ServerReaderWriter<v1::FromQueen, v1::FromDrone>;
  explicit BadQueen(const std::string& socket) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~BadQueen() override { server_->Shutdown(std::chrono::system_clock::now()); }

  std::function<grpc::Status(Stream&, int visit)> on_hello;
  int visits() const { return visits_; }
  std::vector<v1::FromDrone> Heard() {
    absl::MutexLock lock(&mutex_);
    return heard_;
  }

  static v1::FromQueen WelcomeOf(std::uint64_t session, std::uint32_t protocol = 1) {
    v1::FromQueen message;
    message.mutable_welcome()->set_protocol(protocol);
    message.mutable_welcome()->set_session(session);
    return message;
  }
  static v1::FromQueen AssignOf(std::uint64_t epoch, const std::string& document) {
    v1::FromQueen message;
    message.mutable_assign()->set_epoch(epoch);
    message.mutable_assign()->set_attempt(1);
    message.mutable_assign()->set_document(document);
    return message;
  }

 private:
  grpc::Status Control(grpc::ServerContext*, Stream* stream) override {
    v1::FromDrone message;
    if (!stream->Read(&message)) return grpc::Status::OK;
    grpc::Status status = on_hello(*stream, ++visits_);
    if (!status.ok()) return status;
    while (stream->Read(&message)) {
      absl::MutexLock lock(&mutex_);
      heard_.push_back(message);
    }
    return grpc::Status::OK;
  }
  std::atomic<int> visits_{0};
  absl::Mutex mutex_;
  std::vector<v1::FromDrone> heard_;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(HostileQueen, ANewerProtocolIsAnErrorWithTheQueensWords) {
  BadQueen queen(Socket());
  queen.on_hello = [](auto&, int) {
    return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION,
                        "this queen speaks 2 to 3\nnext: upgrade the drone");
  };
  Child refused = StartBee();
  EXPECT_EQ(refused.Wait(), 1);
  EXPECT_THAT(refused.Err(), HasSubstr("this queen speaks 2 to 3"));
  queen.on_hello = [](BadQueen::Stream& stream, int) {
    stream.Write(BadQueen::WelcomeOf(1, /*protocol=*/7));
    return grpc::Status::OK;
  };
  Child puzzled = StartBee();
  EXPECT_EQ(puzzled.Wait(), 1);
  EXPECT_THAT(puzzled.Err(), HasSubstr("the queen speaks protocol 7"));
}

TEST_F(HostileQueen, BreachesOfTheProtocolEndTheSession) {
  const std::vector<std::pair<std::string, std::vector<v1::FromQueen>>> breaches = {
      {"a message before its Welcome", {BadQueen::AssignOf(5, "")}},
      {"a second Welcome", {BadQueen::WelcomeOf(1), BadQueen::WelcomeOf(2)}},
      {"larger than max", {BadQueen::WelcomeOf(1), BadQueen::AssignOf(9, std::string(1 << 20, 'x'))}},
  };
  BadQueen queen(Socket());
  queen.on_hello = [&](BadQueen::Stream& stream, int visit) {
    const std::size_t which = static_cast<std::size_t>(visit) - 1;
    if (which >= breaches.size()) stream.Write(BadQueen::WelcomeOf(visit));
    if (which >= breaches.size()) return grpc::Status::OK;
    for (const v1::FromQueen& message : breaches[which].second) stream.Write(message);
    return grpc::Status::OK;
  };
  Child bee = StartBee();
  ASSERT_TRUE(Eventually([&] { return queen.visits() > static_cast<int>(breaches.size()); })) << bee.Err();
  for (const auto& [text, messages] : breaches) EXPECT_THAT(bee.Err(), HasSubstr(text));
  EXPECT_TRUE(bee.Running());
  EXPECT_LT(CpuSeconds(bee.pid()), 2.0);
}

TEST_F(HostileQueen, AssignmentsThatCannotBeMeant) {
  BadQueen queen(Socket());
  const std::string garbage = "\xff\xfe../../etc";
  queen.on_hello = [&](BadQueen::Stream& stream, int) {
    stream.Write(BadQueen::WelcomeOf(1));
    v1::FromQueen unknown, grant, cancel, verdict;
    grant.mutable_grant()->set_epoch(77);
    cancel.mutable_cancel()->set_epoch(~0ull);
    verdict.mutable_verdict()->set_epoch(1);
    verdict.mutable_verdict()->set_state(static_cast<v1::JobState>(99));
    v1::JobDocument strange;
    strange.set_job_id(3);
    strange.set_type(static_cast<v1::JobType>(99));
    strange.add_test()->set_command("true");
    v1::JobDocument outside = strange;
    outside.set_type(v1::TEST);
    outside.mutable_test(0)->set_cwd("../../../etc");
    for (const v1::FromQueen& message :
         {unknown, BadQueen::AssignOf(0, garbage), BadQueen::AssignOf(~0ull, garbage), grant, cancel, verdict,
          BadQueen::AssignOf(5, garbage), BadQueen::AssignOf(6, strange.SerializeAsString()),
          BadQueen::AssignOf(7, outside.SerializeAsString()),
          BadQueen::AssignOf(4, outside.SerializeAsString())}) {
      stream.Write(message);
    }
    return grpc::Status::OK;
  };
  Child bee = StartBee();
  auto rejected = [&](std::uint64_t epoch) {
    return Eventually([&] {
      for (const v1::FromDrone& m : queen.Heard()) {
        if (m.has_reject() && m.reject().epoch() == epoch && !m.reject().reason().empty()) return true;
      }
      return false;
    });
  };
  for (std::uint64_t epoch : {4, 5, 6, 7}) EXPECT_TRUE(rejected(epoch)) << epoch << bee.Err();
  EXPECT_EQ(queen.visits(), 1);
  EXPECT_TRUE(bee.Running());
  EXPECT_TRUE(JobProcesses("bee").empty());
}

}  // namespace
}  // namespace waggle::test
