// Every byte a drone sent in earlier sessions is sent once more: to the queen's socket, where whoever may
// open it may speak for the drone, and to her port, where TLS makes it noise.
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <list>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "tests/e2e/stored.h"
#include "tests/support/remote_queen.h"
#include "tests/support/stream_socket.h"

namespace waggle::test {
namespace {

// Passes connections on to a target and writes down what came from whoever connected. A thread of its own for
// each way.
class Recorder {
 public:
  Recorder(const std::string& listen, const std::string& target)
      : address_(*SocketAddress::Parse(listen)),
        target_(*SocketAddress::Parse(target)),
        door_(*ListenAt(address_)) {
    accepter_ = std::thread([this] { Accept(); });
  }
  ~Recorder() {
    over_ = true;
    accepter_.join();
    for (Tape& tape : tapes_) {
      ::shutdown(tape.client.get(), SHUT_RDWR);
      ::shutdown(tape.server.get(), SHUT_RDWR);
      tape.up.join();
      tape.down.join();
    }
  }

  std::uint16_t port() const { return PortOf(door_); }
  // Of each connection so far, in their order.
  std::vector<std::string> Said() {
    absl::MutexLock lock(&mutex_);
    std::vector<std::string> said;
    for (const Tape& tape : tapes_) said.push_back(tape.said);
    return said;
  }

 private:
  struct Tape {
    UniqueFd client, server;
    std::string said;
    std::thread up, down;
  };

  void Accept() {
    while (!over_) {
      pollfd ready{door_.get(), POLLIN, 0};
      if (::poll(&ready, 1, 20) != 1) continue;
      UniqueFd client(::accept4(door_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      auto server = ConnectTo(target_);
      if (!client.valid() || !server.ok()) continue;
      absl::MutexLock lock(&mutex_);
      Tape& tape = tapes_.emplace_back();
      tape.client = std::move(client);
      tape.server = *std::move(server);
      tape.up = std::thread([this, &tape] { Pass(tape.client.get(), tape.server.get(), &tape.said); });
      tape.down = std::thread([this, &tape] { Pass(tape.server.get(), tape.client.get(), nullptr); });
    }
  }
  void Pass(int from, int to, std::string* said) {
    char bytes[65'536];
    for (ssize_t n = 0; (n = ::recv(from, bytes, sizeof bytes, 0)) > 0;) {
      if (said != nullptr) {
        absl::MutexLock lock(&mutex_);
        said->append(bytes, static_cast<std::size_t>(n));
      }
      if (::send(to, bytes, static_cast<std::size_t>(n), MSG_NOSIGNAL) != n) break;
    }
    ::shutdown(to, SHUT_WR);
  }

  const SocketAddress address_, target_;
  const UniqueFd door_;
  std::atomic<bool> over_{false};
  std::thread accepter_;
  absl::Mutex mutex_;
  std::list<Tape> tapes_;  // of Accept's thread; `said` under the mutex
};

class Replay : public RemoteFixture {
 protected:
  // On a connection of its own; what is answered until nothing comes for a moment, or the end.
  static std::string Say(const std::string& where, const std::string& bytes) {
    const UniqueFd socket = *ConnectTo(*SocketAddress::Parse(where));
    ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    std::string heard;
    char piece[65'536];
    pollfd ready{socket.get(), POLLIN, 0};
    while (::poll(&ready, 1, 1000) == 1) {
      const ssize_t n = ::recv(socket.get(), piece, sizeof piece, 0);
      if (n <= 0) break;
      heard.append(piece, static_cast<std::size_t>(n));
    }
    return heard;
  }
  // A job of each end, and its noise.
  void RunJobs() {
    WaitForState(Submit(TestJob({"seq 1 20000"})), "passed");
    WaitForState(Submit(TestJob({"echo no >&2; exit 3"})), "failed");
    const std::uint64_t job = Submit(TestJob({"echo begun; sleep 1000"}));
    ASSERT_TRUE(Eventually([&] { return StateOf(job) == "started" && Raw(job) == "begun\n"; }));
    EXPECT_EQ(Waggle({"cancel", std::to_string(job), "--now"}).code, 0);
    WaitForState(job, "canceled");
  }
};

TEST_F(Replay, OfWholeSessionsOverTheSocketChangesNothing) {
  StartQueen();
  const std::string queen = absl::StrCat("unix:", QueenData(), "/queen.sock");
  std::vector<std::string> said;
  {
    Recorder recorder("unix:" + temp_ / "tape.sock", queen);
    Child bee = Start({Binary("drone"), "serve", "--queen", "unix:" + temp_ / "tape.sock", "--data",
                       DroneData("bee"), "--name", "bee", "--slots", "1"});
    ASSERT_TRUE(Eventually([&] { return !Drones().empty(); }));
    RunJobs();
    ASSERT_TRUE(Eventually([&] { return JobProcesses("bee").empty(); }));
    bee.Signal(SIGTERM);
    EXPECT_EQ(bee.Wait(10s), 0);
    said = recorder.Said();
  }
  ASSERT_GE(said.size(), 2u) << "control and bulk";
  ASSERT_TRUE(Eventually([&] { return Drones()[0]["connected_at"] == 0; }));
  StartDrone("other", 1);
  const std::uint64_t running = Submit(TestJob({"echo mine\n" + AwaitFile(Gate("go"))}));
  ASSERT_TRUE(Eventually([&] { return StateOf(running) == "started" && Raw(running) == "mine\n"; }));

  const auto before = StoredIn(QueenData());
  std::size_t greeted = 0;
  for (int round = 0; round < 3; ++round) {
    for (const std::string& tape : said) greeted += Say(queen, tape).size() > 200 ? 1 : 0;
    for (auto tape = said.rbegin(); tape != said.rend(); ++tape) Say(queen, *tape);
  }
  EXPECT_GE(greeted, 3u) << "she has understood it: a Welcome each time";
  ExpectSameStored(before, StoredIn(QueenData()));
  Open("go");
  WaitForState(running, "passed");
  StartDrone("bee");
  WaitForState(Submit(TestJob({"echo again"})), "passed");
}

TEST_F(Replay, OverTlsIsNoiseEvenWhileTheDroneWorks) {
  const RemoteQueen at = StartRemoteQueen();
  EnrolDrone(at.https, "bee");
  Recorder recorder("tcp:127.0.0.1:0", "tcp:" + at.grpc);
  // Where it is enrolled is the first line.
  const std::string file = DroneData("bee") + "/tls/enrolled";
  const std::string rest = ReadText(file).substr(ReadText(file).find('\n'));
  WriteText(file, absl::StrCat("127.0.0.1:", recorder.port(), rest));
  Child bee = Start({Binary("drone"), "serve", "--data", DroneData("bee"), "--slots", "1"});
  ASSERT_TRUE(Eventually([&] { return !Drones().empty() && Drones()[0]["connected_at"] != 0; })) << bee.Err();
  RunJobs();
  const std::uint64_t running = Submit(TestJob({"echo mine\n" + AwaitFile(Gate("go"))}));
  ASSERT_TRUE(Eventually([&] { return StateOf(running) == "started" && Raw(running) == "mine\n"; }));
  const std::vector<std::string> said = recorder.Said();
  ASSERT_GE(said.size(), 2u);
  const auto before = StoredIn(QueenData());
  const Json session = Drones()[0]["connected_at"];
  for (const std::string& tape : said) Say("tcp:" + at.grpc, tape);
  ExpectSameStored(before, StoredIn(QueenData()));
  EXPECT_EQ(Drones()[0]["connected_at"], session) << "nobody took its place";
  Open("go");
  WaitForState(running, "passed");
  EXPECT_FALSE(absl::StrContains(bee.Err(), "lost the queen")) << bee.Err();
}

}  // namespace
}  // namespace waggle::test
