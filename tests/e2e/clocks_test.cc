// Daemons whose clocks are wrong by a day, or are put right in mid-lease: the wall clock through a library
// that is loaded before the C library, the boot clock in a time namespace. Leases end neither early nor late.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "tests/support/remote_queen.h"

namespace waggle::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::int64_t kDay = 86'400;                                            // seconds
constexpr Duration kLostAfter = std::chrono::milliseconds(2'000 + 100 + 3'000);  // of a lease of 2 s
constexpr Duration kBusyBeat = std::chrono::milliseconds(334);
constexpr Duration kNotice = std::chrono::milliseconds(800);  // to be done, and to be seen by asking
constexpr Millis kGivesUp = 20s;                              // waiting for what should take 5 s

const Words kLease = {"--lease", "2s"};
// The boot clock and the monotonic clock a day ahead.
const Words kAhead = {"unshare", "--time", "--boottime", "86400", "--monotonic", "86400", "--"};

// The first attempt runs until it is killed; later ones pass.
constexpr const char* kPassesTheSecondTime =
    "echo attempt $WAGGLE_ATTEMPT on $WAGGLE_DRONE\n"
    "if [ $WAGGLE_ATTEMPT = 1 ]; then while :; do sleep 0.1; done; fi\n";

// The wall clock of one daemon.
class Wall {
 public:
  explicit Wall(std::string path) : path_(std::move(path)) { Shift(0); }
  void Shift(std::int64_t seconds) {
    char bytes[sizeof seconds];
    std::memcpy(bytes, &seconds, sizeof seconds);
    // In place: the daemon has the file mapped.
    if (!Exists(path_)) return WriteText(path_, {bytes, sizeof bytes});
    const int fd = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    EXPECT_EQ(::pwrite(fd, bytes, sizeof bytes, 0), static_cast<ssize_t>(sizeof bytes));
    ::close(fd);
  }
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

class Clocks : public RemoteFixture {
 protected:
  void SetUp() override {
    if (*WAGGLE_SANITIZERS != '\0')
      GTEST_SKIP() << "SKIPPED: a sanitizer has to be the first library that is loaded";
    if (Start({"unshare", "--time", "true"}).Finish().code != 0) {
      GTEST_SKIP() << "SKIPPED, nothing was tested: time namespaces need root (CAP_SYS_ADMIN)";
    }
  }

  // What is started meanwhile has that wall clock.
  void With(const Wall& wall, const std::function<void()>& start) {
    env_["LD_PRELOAD"] = WAGGLE_WALL_SHIFT_LIBRARY;
    env_["WAGGLE_WALL_SHIFT"] = wall.path();
    start();
    env_.erase("LD_PRELOAD");
    env_.erase("WAGGLE_WALL_SHIFT");
  }
  // As StartDrone, below another program.
  void StartDroneBelow(const Words& before, const std::string& name) {
    Words argv = before;
    argv.insert(argv.end(), {Binary("drone"), "serve", "--queen", QueenData(), "--data", DroneData(name),
                             "--name", name, "--slots", "1", "--speed", "9", "--label", name + "=yes"});
    below_.push_back(std::make_unique<Child>(Start(argv)));
    ASSERT_TRUE(Eventually([&] { return Connected(name) || !below_.back()->Running(); }));
    ASSERT_TRUE(below_.back()->Running()) << below_.back()->Err();
  }
  Child& StartFast(const std::string& name) {
    return StartDrone(name, 1, {"--speed", "9", "--label", name + "=yes"});
  }
  bool Connected(const std::string& name) {
    for (const Json& drone : Drones()) {
      if (drone["name"] == name) return drone["connected_at"] != 0;
    }
    return false;
  }
  // Stands by for the jobs of these.
  void StartSpare(const Words& others) {
    Words flags = {"--speed", "1"};
    for (const std::string& other : others) flags.insert(flags.end(), {"--label", other + "=yes"});
    StartDrone("spare", 8, flags);
  }
  std::uint64_t RunOn(const std::string& drone) {
    Json job = TestJob({kPassesTheSecondTime});
    job["needs"] = {{drone, "yes"}};
    const std::uint64_t id = Submit(job);
    EXPECT_TRUE(Eventually([&] { return Raw(id) == absl::StrCat("attempt 1 on ", drone, "\n"); }));
    return id;
  }
  static void AwaitTime(Time until) {
    Eventually([&] { return BootClock::now() >= until; });
  }
  void ExpectLostInTime(std::uint64_t job, Time frozen) {
    Duration lost{};
    EXPECT_TRUE(Eventually(
        [&] {
          lost = BootClock::now() - frozen;
          return StateOf(job) == "passed";
        },
        kGivesUp))
        << "a lease without end";
    EXPECT_GE(lost, kLostAfter - kBusyBeat) << "early";
    EXPECT_LE(lost, kLostAfter + kNotice) << "late";
    const Json facts = Show(job);
    EXPECT_EQ(facts["attempts"].size(), 2u);
    EXPECT_EQ(facts["drone"], "spare");
  }
  void ExpectKept(std::uint64_t job) {
    const Json facts = Show(job);
    EXPECT_EQ(facts["state"], "started") << facts.dump(2);
    EXPECT_EQ(facts["attempts"].size(), 1u);
  }

  std::vector<std::unique_ptr<Child>> below_;
};

// Nobody says anything meanwhile, so that only her own timer can wake her.
TEST_F(Clocks, TheQueensWallClockIsSteppedWhileALeaseRuns) {
  Wall wall(temp_ / "wall");
  With(wall, [&] { StartQueen(kLease); });
  StartFast("bee");
  for (const std::int64_t step : {-kDay, kDay}) {
    const std::uint64_t job = RunOn("bee");
    Drone("bee").Signal(SIGSTOP);
    const Time frozen = BootClock::now();
    wall.Shift(step);
    AwaitTime(frozen + kLostAfter - kBusyBeat - kNotice);
    EXPECT_EQ(StateOf(job), "started") << "early";
    AwaitTime(frozen + kLostAfter + kNotice);
    EXPECT_EQ(StateOf(job), "queued") << "late";
    Drone("bee").Signal(SIGCONT);
    EXPECT_EQ(WaitForState(job, "passed")["attempts"].size(), 2u);
  }
}

// Everybody has clocks of his own: of each kind one drone is frozen and loses its job in time, and one works
// on.
TEST_F(Clocks, LeasesHoldAcrossClocksThatAreADayApart) {
  Words queen = kAhead;
  queen.insert(queen.end(), {Binary("queen"), "serve", "--data", QueenData(), kLease[0], kLease[1]});
  below_.push_back(std::make_unique<Child>(Start(queen)));
  ASSERT_TRUE(Eventually([&] { return absl::StrContains(below_[0]->Err(), " ready on "); }))
      << below_[0]->Err();
  Wall fast(temp_ / "fast"), slow(temp_ / "slow"), stepped(temp_ / "stepped");
  fast.Shift(kDay);
  slow.Shift(-kDay);
  Words frozen, steady;
  auto start_pair = [&](const std::string& kind, const std::function<void(const std::string&)>& start) {
    for (Words* group : {&frozen, &steady}) {
      group->push_back(absl::StrCat(kind, group == &frozen ? "-frozen" : "-steady"));
      start(group->back());
    }
  };
  start_pair("right", [&](const std::string& name) { StartDroneBelow({}, name); });
  start_pair("ahead", [&](const std::string& name) { StartDroneBelow(kAhead, name); });
  const std::pair<const char*, const Wall*> walls[] = {
      {"fast", &fast}, {"slow", &slow}, {"stepped", &stepped}};
  for (const auto& wall : walls) {
    With(*wall.second,
         [&] { start_pair(wall.first, [&](const std::string& name) { StartDroneBelow({}, name); }); });
  }
  Words all = frozen;
  all.insert(all.end(), steady.begin(), steady.end());
  StartSpare(all);
  std::map<std::string, std::uint64_t> jobs;
  for (const std::string& name : all) jobs[name] = RunOn(name);
  std::map<std::string, Time> when;
  for (std::size_t i = 0; i < frozen.size(); ++i) {
    below_[1 + 2 * i]->Signal(SIGSTOP);
    when[frozen[i]] = BootClock::now();
  }
  stepped.Shift(-kDay);
  for (const std::string& name : frozen) ExpectLostInTime(jobs[name], when[name]);
  stepped.Shift(kDay);
  AwaitTime(BootClock::now() + kBusyBeat);
  for (std::size_t i = 0; i < steady.size(); ++i) {
    const Json facts = Show(jobs[steady[i]]);
    EXPECT_EQ(facts["state"], "started") << facts.dump(2);
    EXPECT_EQ(facts["attempts"].size(), 1u) << facts.dump(2);
    EXPECT_THAT(below_[2 + 2 * i]->Err(), Not(HasSubstr("lost the queen"))) << steady[i];
    EXPECT_EQ(Waggle({"cancel", std::to_string(jobs[steady[i]]), "--now"}).code, 0);
  }
  for (std::size_t i = 0; i < frozen.size(); ++i) below_[1 + 2 * i]->Signal(SIGCONT);
  for (const std::string& name : all) {
    EXPECT_TRUE(Eventually([&] { return JobProcesses(name).empty(); })) << name;
  }
}

// What a wrong wall clock does to certificates: an error that says so, at once, and no hang.
TEST_F(Clocks, CertificatesOfAnotherTimeAreAClearError) {
  const RemoteQueen at = StartRemoteQueen();
  EnrolDrone(at.https, "bee");
  const Words serve = {Binary("drone"), "serve", "--data", DroneData("bee"), "--slots", "1"};
  Wall wall(temp_ / "wall");
  auto end_with = [&](std::int64_t shift, const Words& argv) {
    wall.Shift(shift);
    Outcome outcome;
    With(wall, [&] { outcome = Start(argv).Finish(10s); });
    EXPECT_NE(outcome.code, 0);
    return outcome.err;
  };
  EXPECT_THAT(end_with(-kDay, serve),
              AllOf(HasSubstr("the certificate of `bee` is not valid before"), HasSubstr("clock")));
  EXPECT_THAT(end_with(60 * kDay, serve), HasSubstr("the certificate of `bee` has been expired since"));

  Child drone = Start(serve);
  ASSERT_TRUE(Eventually([&] { return Connected("bee"); })) << drone.Err();
  KillQueen();
  EXPECT_THAT(end_with(-kDay, {Binary("queen"), "serve", "--data", QueenData(), "--listen", at.grpc}),
              AllOf(HasSubstr("is not valid before"), HasSubstr("clock")));
  // The certificate she makes for herself then is of another time.
  wall.Shift(60 * kDay);
  With(wall, [&] { StartRemoteQueen(at); });
  EXPECT_TRUE(Eventually(
      [&] { return absl::StrContains(drone.Err(), "certificate verify failed (another queen than "); }));
  EXPECT_THAT(drone.Err(), HasSubstr("or a wrong clock here or there); trying again"));
  EXPECT_TRUE(drone.Running());
  KillQueen();
  StartRemoteQueen(at);
  EXPECT_TRUE(Eventually([&] { return Connected("bee"); })) << drone.Err();
}

}  // namespace
}  // namespace waggle::test
