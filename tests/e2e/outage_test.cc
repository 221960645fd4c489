// Many drones and watchers while their queen is killed again and again: the same processes go on, nothing is
// tried again, and every watcher has every byte once. WAGGLE_EVERY_OUTAGE=1 is the full size: 20 drones, a
// kill every 15 s for 10 minutes, an outage of 10 minutes, 10,000 reconnects.
#include <gmock/gmock.h>

#include <cstdlib>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "tests/sim/random.h"
#include "tests/support/chaos_proxy.h"
#include "tests/support/hive_fixture.h"

namespace waggle::test {
namespace {

bool EveryOutage() {
  const char* every = std::getenv("WAGGLE_EVERY_OUTAGE");
  return every != nullptr && *every == '1';
}
const int kDrones = EveryOutage() ? 20 : 5, kKills = EveryOutage() ? 40 : 4;
constexpr int kSlots = 4;
const Duration kBetween = EveryOutage() ? 15s : 1s, kOutage = EveryOutage() ? Duration(10min) : Duration(4s);
constexpr Duration kReconnect = 3s;  // of all drones, after the port is open
const std::uint64_t kReconnects = EveryOutage() ? 10'000 : 1'000;
constexpr int kWatchers = 10;

// Prints its own number and that of its shim, then numbered lines until the gate opens, then how many there
// were.
std::string Counter(const std::string& gate) {
  return "echo self $$ shim $PPID\ni=0; until [ -e " + gate +
         " ]; do i=$((i+1)); echo \"line $i\"; sleep 0.02; done; echo \"last $i\"\n";
}
// What a counter that printed `log` must have printed.
std::string Counted(const std::string& log) {
  const std::size_t last = log.rfind("last ");
  const int count = last == std::string::npos ? 0 : std::atoi(log.c_str() + last + 5);
  std::string expected = log.substr(0, log.find('\n') + 1);
  for (int i = 1; i <= count; ++i) absl::StrAppend(&expected, "line ", i, "\n");
  return absl::StrCat(expected, "last ", count, "\n");
}

class Outage : public HiveFixture {
 protected:
  static void Pass(Duration time) {
    const Time until = BootClock::now() + time;
    Eventually([&] { return BootClock::now() >= until; },
               std::chrono::duration_cast<Millis>(time) + kPatience);
  }
  std::size_t Connected() {
    std::size_t connected = 0;
    for (const Json& drone : Drones()) connected += drone["connected_at"] != 0 ? 1 : 0;
    return connected;
  }
  // How long until every drone is back.
  Duration StartAgain() {
    StartQueen();
    const Time open = BootClock::now();
    EXPECT_TRUE(Eventually([&] { return Connected() == static_cast<std::size_t>(kDrones); }));
    return BootClock::now() - open;
  }
};

TEST_F(Outage, JobsOfManyDronesNoticeNothing) {
  StartQueen();
  for (int i = 0; i < kDrones; ++i) StartDrone(absl::StrCat("bee", i), kSlots);
  std::map<std::uint64_t, std::string> begun;  // first line, by job
  for (int i = 0; i < kDrones * kSlots; ++i) begun[Submit(TestJob({Counter(Gate("end"))}))];
  for (auto& [job, line] : begun) {
    ASSERT_TRUE(
        Eventually([&, id = job] { return StateOf(id) == "started" && absl::StrContains(Raw(id), "\n"); }));
    const std::string log = Raw(job);
    line = log.substr(0, log.find('\n') + 1);
  }
  Duration longest{};
  for (int kill = 0; kill < kKills; ++kill) {
    KillQueen();
    longest = std::max(longest, StartAgain());
    Pass(kBetween);
  }
  KillQueen();
  Pass(kOutage);
  longest = std::max(longest, StartAgain());
  EXPECT_LE(longest, kReconnect);
  Open("end");
  for (const auto& [job, line] : begun) {
    EXPECT_EQ(WaitForState(job, "passed")["attempts"].size(), 1u);
    const std::string log = Raw(job);
    EXPECT_TRUE(log.starts_with(line)) << "the same processes";
    EXPECT_EQ(log, Counted(log));
  }
  std::printf(
      "[ figures  ] %d jobs on %d drones, %d kills, an outage of %.0f s: all back after %.2f s at most\n",
      kDrones * kSlots, kDrones, kKills, std::chrono::duration<double>(kOutage).count(),
      std::chrono::duration<double>(longest).count());
}

TEST_F(Outage, WatchersReconnectAtRandomAndMissNothing) {
  StartQueen();
  StartDrone("bee");
  auto proxy = *ChaosProxy::Create({"unix:" + temp_ / "watch.sock"},
                                   absl::StrCat("unix:", QueenData(), "/queen.sock"), 1);
  const std::uint64_t job = Submit(TestJob({Counter(Gate("end"))}));
  std::vector<Child> watchers;
  env_["WAGGLE_QUEEN"] = "unix:" + temp_ / "watch.sock";
  for (int i = 0; i < kWatchers; ++i) watchers.push_back(StartWaggle({"watch", std::to_string(job)}));
  env_["WAGGLE_QUEEN"] = QueenData();
  for (const Child& watcher : watchers)
    ASSERT_TRUE(Eventually([&] { return Lines(watcher.Out()).size() > 2; }));

  sim::Random random(20'261'122, "reconnects");
  int restarts = 0;
  const std::uint64_t at_first = proxy->counts().accepted;
  auto reconnects = [&] { return proxy->counts().accepted - at_first; };
  while (reconnects() < kReconnects) {
    // Each a byte further on, and with all others now and then; again when they are back.
    const std::uint64_t before = reconnects();
    if (random.Percent(50)) {
      proxy->CutAll();
    } else {
      proxy->CutAfter(Way::kDown, static_cast<std::uint64_t>(random.Skewed(1, 3'000)));
    }
    ASSERT_TRUE(Eventually([&] { return reconnects() > before; }));
    if (reconnects() * 5 / kReconnects > static_cast<std::uint64_t>(restarts)) {
      ++restarts;
      KillQueen();
      StartQueen();
    }
  }
  proxy->Heal();
  Open("end");
  WaitForState(job, "passed");
  const std::string stored = Raw(job);
  EXPECT_EQ(stored, Counted(stored));
  for (Child& watcher : watchers) {
    const Outcome outcome = watcher.Finish();
    EXPECT_EQ(outcome.code, 0) << outcome.err.substr(0, 2000);
    EXPECT_TRUE(outcome.out == stored) << outcome.out.size() << " of " << stored.size();
  }
  std::printf("[ figures  ] %llu reconnects of %d watchers through %d kills of the queen, %zu lines\n",
              static_cast<unsigned long long>(reconnects()), kWatchers, restarts, Lines(stored).size());
}

}  // namespace
}  // namespace waggle::test
