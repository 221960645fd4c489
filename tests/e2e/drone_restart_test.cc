// Drones and shims that die under a job: it goes on, or it is tried again elsewhere, and nothing runs for
// ever.
#include <gmock/gmock.h>
#include <signal.h>

#include <cstdlib>

#include "tests/support/hive_fixture.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;

// Prints its shim's number, then numbered lines until the gate opens, then how many there were.
std::string Counter(const std::string& gate) {
  return "echo shim $PPID\ni=0; until [ -e " + gate +
         " ]; do i=$((i+1)); echo \"line $i\"; sleep 0.003; done; echo \"last $i\"\n";
}

// The first attempt runs until it is killed; later ones pass.
std::string PassesTheSecondTime() {
  return "echo attempt $WAGGLE_ATTEMPT on $WAGGLE_DRONE shim $PPID\n"
         "if [ $WAGGLE_ATTEMPT = 1 ]; then while :; do sleep 0.1; done; fi\n";
}

pid_t ShimOf(const std::string& log) {
  return std::atoi(log.c_str() + log.rfind("shim ") + 5);
}

class DroneRestart : public HiveFixture {
 protected:
  // Runs a counter through `interrupt`, which gets the shim's number.
  void ExpectSurvives(const std::function<void(pid_t shim)>& interrupt) {
    StartQueen();
    StartDrone("bee");
    Child watch = StartWaggle({"submit", "--watch", "--job", WriteJob(TestJob({Counter(Gate("end"))}))});
    ASSERT_TRUE(Eventually([&] { return Lines(watch.Out()).size() > 20; }));
    const pid_t shim = ShimOf(watch.Out());
    ASSERT_THAT(CommandLineOf(shim), HasSubstr("waggle-shim"));
    interrupt(shim);
    EXPECT_TRUE(IsAlive(shim));
    const std::size_t before = Lines(watch.Out()).size();
    ASSERT_TRUE(Eventually([&] { return Lines(watch.Out()).size() > before + 20; }));
    Open("end");
    const Outcome outcome = watch.Finish();
    EXPECT_EQ(outcome.code, 0) << outcome;
    const int count = std::atoi(outcome.out.c_str() + outcome.out.rfind("last ") + 5);
    std::string expected = "shim " + std::to_string(shim) + "\n";
    for (int i = 1; i <= count; ++i) expected += "line " + std::to_string(i) + "\n";
    expected += "last " + std::to_string(count) + "\n";
    EXPECT_EQ(outcome.out, expected);
    const Json job = Show(1);
    EXPECT_EQ(job["attempts"].size(), 1u);
    EXPECT_EQ(Raw(1), expected);
    ExpectVerified(1);
    EXPECT_TRUE(Eventually([&] { return JobProcesses("bee").empty(); }));
  }
};

TEST_F(DroneRestart, KilledAndRestartedInMidJob) {
  ExpectSurvives([this](pid_t) {
    KillDrone("bee");
    StartDrone("bee");
  });
}

TEST_F(DroneRestart, DetachedAndRestartedInMidJob) {
  ExpectSurvives([this](pid_t) {
    Child& drone = Drone("bee");
    drone.Signal(SIGTERM);
    EXPECT_EQ(drone.Wait(10s), 0) << drone.Err();
    StartDrone("bee");
  });
}

TEST_F(DroneRestart, QueenAndDroneKilledTogether) {
  ExpectSurvives([this](pid_t) {
    KillQueen();
    KillDrone("bee");
    StartQueen();
    StartDrone("bee");
  });
}

TEST_F(DroneRestart, JobThatEndsWhileTheDroneIsAwayIsReportedAfterwards) {
  StartQueen();
  StartDrone("bee");
  const std::uint64_t job = Submit(TestJob(
      {"echo begun\n" + AwaitFile(Gate("go")) + "echo alone; echo ended > " + temp_ / "ended; exit 6"}));
  ASSERT_TRUE(Eventually([&] { return StateOf(job) == "started" && Raw(job) == "begun\n"; }));
  KillDrone("bee");
  Open("go");
  ASSERT_TRUE(Eventually([&] { return Exists(temp_ / "ended") && JobProcesses("bee").empty(); }));
  EXPECT_EQ(StateOf(job), "started");
  StartDrone("bee");
  const Json facts = WaitForState(job, "failed");
  EXPECT_EQ(facts["failed_code"], 6);
  EXPECT_EQ(facts["attempts"].size(), 1u);
  EXPECT_EQ(Raw(job), "begun\nalone\n");
  ExpectVerified(job);
}

TEST_F(DroneRestart, LostDronesJobIsTriedAgainElsewhere) {
  StartQueen({"--lease", "2s"});
  StartDrone("doomed", 1, {"--speed", "9"});
  StartDrone("spare");
  const std::uint64_t job = Submit(TestJob({PassesTheSecondTime()}));
  Child watch = StartWaggle({"watch", std::to_string(job)});
  ASSERT_TRUE(Eventually([&] { return watch.Out().starts_with("attempt 1 on doomed"); }));
  const pid_t shim = ShimOf(watch.Out());
  KillDrone("doomed");
  const Outcome outcome = watch.Finish();
  EXPECT_EQ(outcome.code, 0) << outcome;
  const Json facts = WaitForState(job, "passed");
  EXPECT_EQ(facts["drone"], "spare");
  ASSERT_EQ(facts["attempts"].size(), 2u);
  EXPECT_EQ(facts["attempts"][0]["state"], "errored");
  EXPECT_EQ(facts["attempts"][0]["reason"], "drone_lost");
  EXPECT_EQ(facts["attempts"][0]["drone"], "doomed");
  EXPECT_EQ(facts["attempts"][1]["state"], "passed");
  const std::string first = "attempt 1 on doomed shim " + std::to_string(shim) + "\n";
  EXPECT_EQ(Waggle({"logs", "--raw", "1@1"}).out, first);
  const std::string second = Waggle({"logs", "--raw", "1@2"}).out;
  EXPECT_THAT(second, ::testing::StartsWith("attempt 2 on spare shim "));
  EXPECT_EQ(Raw(job), second);
  EXPECT_EQ(outcome.out, first + second);
  ExpectVerified(job);
  const Outcome sealed = Waggle({"verify", "1@1"});
  EXPECT_EQ(sealed.code, 0) << sealed;
  EXPECT_EQ(Waggle({"watch", "1@1"}).code, 122);

  // The old attempt still runs under its shim. Its drone comes back and hears that it was given up.
  EXPECT_TRUE(IsAlive(shim));
  StartDrone("doomed", 1, {"--speed", "9"});
  EXPECT_TRUE(Eventually([&] { return JobProcesses("doomed").empty(); }));
  EXPECT_EQ(Waggle({"logs", "--raw", "1@1"}).out, first);
  EXPECT_EQ(StateOf(job), "passed");
}

TEST_F(DroneRestart, WithoutAnotherDroneTheJobWaitsAndSaysWhy) {
  StartQueen({"--lease", "2s"});
  StartDrone("bee");
  const std::uint64_t job = Submit(TestJob({PassesTheSecondTime()}));
  ASSERT_TRUE(Eventually([&] { return StateOf(job) == "started"; }));
  KillDrone("bee");
  Json facts = WaitForState(job, "queued");
  EXPECT_EQ(facts["attempts"].size(), 1u);
  EXPECT_EQ(facts["attempts"][0]["reason"], "drone_lost");
  EXPECT_THAT(std::string(facts["detail"]), HasSubstr("no drone is connected"));
  const Json drones = Drones();
  EXPECT_EQ(drones[0]["state"], "lost");
  StartDrone("bee");
  EXPECT_EQ(WaitForState(job, "passed")["attempts"].size(), 2u);
  EXPECT_TRUE(Eventually([&] { return JobProcesses("bee").empty(); }));
}

TEST_F(DroneRestart, CancelWhileTheDroneIsAwayIsToldWhenItComesBack) {
  StartQueen();
  StartDrone("bee");
  const std::uint64_t job = Submit(TestJob({"trap '' INT TERM; echo ready; while :; do sleep 0.1; done"}));
  ASSERT_TRUE(Eventually([&] { return StateOf(job) == "started" && Raw(job) == "ready\n"; }));
  KillDrone("bee");
  EXPECT_EQ(Waggle({"cancel", "1", "--reason", "wrong branch", "--now", "--no-wait"}).code, 0);
  EXPECT_EQ(StateOf(job), "started");
  StartDrone("bee");
  const Json facts = WaitForState(job, "canceled", 8s);  // it is not asked politely first
  EXPECT_EQ(facts["detail"], "canceled by a local user: wrong branch");
  EXPECT_TRUE(Eventually([&] { return JobProcesses("bee").empty(); }));
  EXPECT_EQ(Raw(job), "ready\n");
}

TEST_F(DroneRestart, KilledShimEndsItsProcessesAndTheJobIsTriedAgain) {
  StartQueen();
  StartDrone("bee");
  const std::uint64_t job = Submit(TestJob(
      {"(setsid sh -c 'echo $$ > " + temp_ / "child" + "; exec sleep 100' > /dev/null 2>&1 &)\nuntil [ -s " +
       temp_ / "child" + " ]; do sleep 0.02; done\n" + PassesTheSecondTime()}));
  ASSERT_TRUE(Eventually([&] { return StateOf(job) == "started" && Raw(job).starts_with("attempt 1"); }));
  const pid_t child = std::atoi(ReadText(temp_ / "child").c_str());
  const std::string first = Raw(job);
  ASSERT_TRUE(IsAlive(child));
  ::kill(ShimOf(first), SIGKILL);
  const Json facts = WaitForState(job, "passed");
  ASSERT_EQ(facts["attempts"].size(), 2u);
  EXPECT_EQ(facts["attempts"][0]["state"], "errored");
  EXPECT_EQ(facts["attempts"][0]["reason"], "shim_lost");
  EXPECT_FALSE(IsAlive(child));
  EXPECT_TRUE(Eventually([&] { return JobProcesses("bee").empty(); }));
  EXPECT_EQ(Waggle({"logs", "--raw", "1@1"}).out, first);
  EXPECT_EQ(Waggle({"verify", "1@1"}).code, 0);
  ExpectVerified(job);
}

TEST_F(DroneRestart, ShimKilledWhileTheDroneIsAway) {
  StartQueen();
  StartDrone("bee");
  const std::uint64_t job = Submit(TestJob({PassesTheSecondTime()}));
  ASSERT_TRUE(Eventually([&] { return StateOf(job) == "started" && Raw(job).starts_with("attempt 1"); }));
  const pid_t shim = ShimOf(Raw(job));
  KillDrone("bee");
  ::kill(shim, SIGKILL);
  ASSERT_TRUE(Eventually([&] { return !IsAlive(shim); }));
  StartDrone("bee");
  const Json facts = WaitForState(job, "passed");
  ASSERT_EQ(facts["attempts"].size(), 2u);
  EXPECT_EQ(facts["attempts"][0]["reason"], "shim_lost");
  EXPECT_TRUE(Eventually([&] { return JobProcesses("bee").empty(); }));
}

TEST_F(DroneRestart, JobThatKillsItsShimEachTimeIsGivenUpAfterThreeAttempts) {
  StartQueen();
  StartDrone("bee");
  const Outcome outcome =
      Waggle({"submit", "--watch", "--job",
              WriteJob(TestJob({"echo try $WAGGLE_ATTEMPT; sleep 0.1; kill -9 $PPID; sleep 60"}))});
  EXPECT_EQ(outcome.code, 122) << outcome;
  EXPECT_EQ(outcome.out, "try 1\ntry 2\ntry 3\n");
  const Json facts = Show(1);
  EXPECT_EQ(facts["state"], "errored");
  EXPECT_EQ(facts["reason"], "shim_lost");
  EXPECT_EQ(facts["attempts"].size(), 3u);
  EXPECT_TRUE(Eventually([&] { return JobProcesses("bee").empty(); }));
  for (const char* attempt : {"1@1", "1@2", "1@3"}) EXPECT_EQ(Waggle({"verify", attempt}).code, 0) << attempt;
}

}  // namespace
}  // namespace waggle::test
