// Drones that are drained, stopped, paused and resized, by signal, on their host and from the queen: no job
// pays for it.
#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <random>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/hive_fixture.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// The first attempt runs until it is killed; later ones pass.
constexpr const char* kPassesTheSecondTime =
    "echo attempt $WAGGLE_ATTEMPT on $WAGGLE_DRONE\n"
    "if [ $WAGGLE_ATTEMPT = 1 ]; then while :; do sleep 0.1; done; fi\n";

class DrainTest : public HiveFixture {
 protected:
  // A drone's own command.
  Outcome Local(const std::string& drone, Words words) {
    words.insert(words.begin(), Binary("drone"));
    words.insert(words.end(), {"--data", DroneData(drone)});
    return Start(std::move(words)).Finish();
  }
  Json Listed(const std::string& name) {
    for (const Json& drone : Drones()) {
      if (drone["name"] == name) return drone;
    }
    return {};
  }
  std::uint64_t SubmitRunning(const std::string& script, const std::string& printed) {
    const std::uint64_t job = Submit(TestJob({script}));
    EXPECT_TRUE(Eventually([&] { return StateOf(job) == "started" && absl::StrContains(Raw(job), printed); }))
        << Show(job).dump(2);
    return job;
  }
  std::string WhyWaiting(std::uint64_t job) { return Show(job)["detail"]; }
};

TEST_F(DrainTest, ADrainLetsTheJobEndAndTakesNoOther) {
  StartQueen();
  StartDrone("bee");
  const std::uint64_t first = SubmitRunning("echo begun\n" + AwaitFile(Gate("go")), "begun");
  const std::uint64_t second = Submit(TestJob({"echo second"}));
  Drone("bee").Signal(SIGINT);
  ASSERT_TRUE(Eventually([&] { return Listed("bee")["state"] == "draining"; }));
  EXPECT_THAT(WhyWaiting(second), HasSubstr("the only matching drone takes no work: bee is draining"));
  EXPECT_THAT(Waggle({"drones"}).out, HasSubstr("draining"));
  Open("go");
  WaitForState(first, "passed");
  EXPECT_EQ(Drone("bee").Wait(10s), 0) << Drone("bee").Err();
  EXPECT_EQ(StateOf(second), "queued");
  StartDrone("other");
  WaitForState(second, "passed");
}

TEST_F(DrainTest, ASecondIntHandsTheJobToAnotherDroneAtOnce) {
  StartQueen();
  StartDrone("bee", 1, {"--speed", "9"});
  StartDrone("spare");
  // What it started stands in its own session, away from its parents.
  const std::uint64_t job =
      SubmitRunning(absl::StrCat("setsid sleep 1000 &\n", kPassesTheSecondTime), "attempt 1 on bee");
  Drone("bee").Signal(SIGINT);
  ASSERT_TRUE(Eventually([&] { return Listed("bee")["state"] == "draining"; }));
  Drone("bee").Signal(SIGINT);
  const Json facts = WaitForState(job, "passed", 10s);
  EXPECT_EQ(Drone("bee").Wait(15s), 0) << Drone("bee").Err();
  EXPECT_THAT(JobProcesses("bee"), IsEmpty());
  EXPECT_TRUE(Eventually([&] { return ProcessesNaming(DroneData("bee")).empty(); }));
  ASSERT_EQ(facts["attempts"].size(), 2u);
  EXPECT_EQ(facts["attempts"][0]["reason"], "handed_back");
  EXPECT_EQ(facts["attempts"][0]["detail"], "bee was stopped and handed the job back");
  EXPECT_EQ(facts["attempts"][1]["drone"], "spare");
  EXPECT_THAT(Raw(job, {"--attempt", "1"}), HasSubstr("attempt 1 on bee"));
  EXPECT_THAT(Waggle({"logs", absl::StrCat(job, "@1")}).out,
              HasSubstr("queued again; it does not count as a failed attempt"));
}

TEST_F(DrainTest, AStopWhileTheQueenIsAwayIsDeliveredByTheNextStart) {
  StartQueen();
  StartDrone("bee");
  const std::uint64_t job = SubmitRunning(kPassesTheSecondTime, "attempt 1 on bee");
  KillQueen();
  Drone("bee").Signal(SIGQUIT);
  EXPECT_EQ(Drone("bee").Wait(30s), 1);
  EXPECT_THAT(Drone("bee").Err(), HasSubstr(absl::StrCat("job ", job, " (epoch ")));
  EXPECT_THAT(JobProcesses("bee"), IsEmpty());
  StartQueen();
  EXPECT_EQ(StateOf(job), "started") << "she has not heard of it";
  StartDrone("bee");
  const Json facts = WaitForState(job, "passed");
  EXPECT_EQ(facts["attempts"][0]["reason"], "handed_back");
  EXPECT_TRUE(Eventually([&] {
    return absl::StrContains(Raw(job, {"--attempt", "1"}), "attempt 1 on bee");
  }));
}

TEST_F(DrainTest, AGrantedDeployThatIsStoppedIsUnknown) {
  StartQueen();
  StartDrone("bee");
  const Json deploy = {
      {"type", "DEPLOY"},
      {"name", "release"},
      {"deploy", {Step("echo shipping >> " + temp_ / "shipped" + "; while :; do sleep 0.1; done")}}};
  const std::uint64_t job = Submit(deploy);
  ASSERT_TRUE(Eventually([&] { return Exists(temp_ / "shipped"); }));
  Drone("bee").Signal(SIGQUIT);
  EXPECT_EQ(Drone("bee").Wait(15s), 0) << Drone("bee").Err();
  const Json facts = WaitForState(job, "errored");
  EXPECT_EQ(facts["reason"], "unknown");
  EXPECT_EQ(facts["deploy_code"], 504);
  EXPECT_EQ(facts["attempts"].size(), 1u);
  EXPECT_EQ(ReadText(temp_ / "shipped"), "shipping\n");
  EXPECT_THAT(JobProcesses("bee"), IsEmpty());
}

// 12 drains at random instants under a stream of short jobs, every third while the queen is away.
TEST_F(DrainTest, AtRandomInstantsNothingIsLostAndNoJobPays) {
  constexpr int kRounds = 12;
  const Words lease = {"--lease", "3s"};
  StartQueen(lease);
  StartDrone("spare");
  std::mt19937 random(20261121);
  std::vector<std::uint64_t> jobs;
  for (int round = 0; round < kRounds; ++round) {
    StartDrone("bee", 2, {"--speed", "9"});
    for (int n = 0; n < 3; ++n) jobs.push_back(Submit(TestJob({"echo $WAGGLE_DRONE; sleep 0.05"})));
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 60'000));
    const bool outage = round % 3 == 2;
    if (outage) KillQueen();
    Drone("bee").Signal(SIGINT);
    if (outage) StartQueen(lease);
    EXPECT_EQ(Drone("bee").Wait(30s), 0) << Drone("bee").Err();
    EXPECT_THAT(Drone("bee").Err(), Not(HasSubstr("not delivered")));
    EXPECT_THAT(JobProcesses("bee"), IsEmpty());
  }
  for (std::uint64_t job : jobs) WaitForState(job, "passed");
}

// Four drones are restarted one after the other while 60 jobs run.
TEST_F(DrainTest, ARollingRestartFailsNoJob) {
  const Words names = {"b1", "b2", "b3", "b4"};
  StartQueen();
  for (const std::string& name : names) StartDrone(name, 2);
  std::vector<std::uint64_t> jobs;
  for (int n = 0; n < 60; ++n) jobs.push_back(Submit(TestJob({"echo $WAGGLE_DRONE; sleep 0.2"})));
  for (const std::string& name : names) {
    Drone(name).Signal(SIGINT);
    EXPECT_EQ(Drone(name).Wait(30s), 0) << Drone(name).Err();
    StartDrone(name, 2);
  }
  for (std::uint64_t job : jobs) {
    const Json facts = WaitForState(job, "passed");
    for (std::size_t n = 0; n + 1 < facts["attempts"].size(); ++n) {
      EXPECT_EQ(facts["attempts"][n]["reason"], "handed_back") << "job " << job;
    }
  }
}

TEST_F(DrainTest, APausedDroneTakesNothingUntilItIsResumed) {
  StartQueen();
  StartDrone("bee");
  const pid_t pid = Drone("bee").pid();
  const std::uint64_t running = SubmitRunning("echo begun\n" + AwaitFile(Gate("go")), "begun");
  EXPECT_EQ(Local("bee", {"pause", "--reason", "the owner plays"}).code, 0);
  ASSERT_TRUE(Eventually([&] { return Listed("bee")["state"] == "paused"; }));
  EXPECT_EQ(Listed("bee")["note"], "the owner plays");
  EXPECT_THAT(Local("bee", {"status"}).out, HasSubstr("running"));
  const std::uint64_t waiting = Submit(TestJob({"echo second"}));
  Open("go");
  WaitForState(running, "passed");
  EXPECT_THAT(WhyWaiting(waiting), HasSubstr("bee is paused (the owner plays)"));
  EXPECT_EQ(Local("bee", {"resume"}).code, 0);
  WaitForState(waiting, "passed");
  EXPECT_EQ(Drone("bee").pid(), pid);
  EXPECT_TRUE(Drone("bee").Running());
}

TEST_F(DrainTest, ALowerCapacityInterruptsNothing) {
  StartQueen();
  StartDrone("bee", 3);
  std::vector<std::uint64_t> running;
  for (int n = 0; n < 3; ++n) {
    running.push_back(SubmitRunning("echo begun\n" + AwaitFile(Gate(absl::StrCat("go", n))), "begun"));
  }
  EXPECT_EQ(Local("bee", {"resize", "1"}).out, "bee has 1 slot, 3 in use\n");
  std::vector<std::uint64_t> later;
  for (int n = 0; n < 3; ++n) {
    later.push_back(
        Submit(TestJob({"mkdir " + temp_ / "alone" + " && sleep 0.1 && rmdir " + temp_ / "alone"})));
  }
  Open("go0");
  WaitForState(running[0], "passed");
  Open("go1");
  WaitForState(running[1], "passed");
  EXPECT_EQ(StateOf(running[2]), "started");
  for (std::uint64_t job : later) EXPECT_EQ(StateOf(job), "queued");
  Open("go2");
  WaitForState(running[2], "passed");
  for (std::uint64_t job : later) WaitForState(job, "passed");  // two at a time would fail
}

TEST_F(DrainTest, TheQueensDrainWaitsOutlivesHerAndIsUndone) {
  StartQueen();
  StartDrone("bee");
  const std::uint64_t running = SubmitRunning("echo begun\n" + AwaitFile(Gate("go")), "begun");
  Child drain = StartWaggle({"drain", "bee", "--reason", "kernel update"});
  ASSERT_TRUE(Eventually([&] { return absl::StrContains(drain.Out(), "Ctrl-C stops waiting"); }));
  EXPECT_THAT(drain.Out(), HasSubstr("bee takes no new jobs. Waiting for 1:"));
  EXPECT_THAT(drain.Out(), HasSubstr("Undo: waggle undrain bee"));
  const std::uint64_t waiting = Submit(TestJob({"echo second"}));
  EXPECT_EQ(Listed("bee")["state"], "draining");
  EXPECT_THAT(Waggle({"drones"}).out, HasSubstr("kernel update ("));
  EXPECT_THAT(WhyWaiting(waiting), HasSubstr("bee is drained by "));
  EXPECT_TRUE(
      Eventually([&] { return absl::StrContains(Local("bee", {"status"}).out, "waggle undrain bee"); }));
  Open("go");
  const Outcome drained = drain.Finish();
  EXPECT_EQ(drained.code, 0) << drained;
  EXPECT_THAT(drained.out, HasSubstr("bee is empty after "));
  KillQueen();
  StartQueen();
  EXPECT_TRUE(Eventually([&] { return Listed("bee")["state"] == "draining"; }));
  EXPECT_EQ(Local("bee", {"resume"}).code, 0) << "does not undo it";
  EXPECT_EQ(StateOf(waiting), "queued");
  const Outcome undrained = Waggle({"undrain", "bee"});
  EXPECT_EQ(undrained.out, "bee takes jobs again\n") << undrained;
  WaitForState(waiting, "passed");
  WaitForState(running, "passed");
}

TEST_F(DrainTest, WhatRunsAtTheDeadlineGoesToAnotherDrone) {
  StartQueen();
  StartDrone("bee", 1, {"--speed", "9"});
  StartDrone("spare");
  const std::uint64_t job = SubmitRunning(kPassesTheSecondTime, "attempt 1 on bee");
  const Outcome drained = Waggle({"drain", "bee", "--deadline", "1s"});
  EXPECT_EQ(drained.code, 0) << drained;
  const Json facts = WaitForState(job, "passed");
  EXPECT_EQ(facts["attempts"][0]["detail"], "bee was drained and handed the job back");
  EXPECT_EQ(facts["attempts"][1]["drone"], "spare");
  EXPECT_TRUE(Drone("bee").Running()) << "it stays";
  EXPECT_TRUE(Eventually([&] { return JobProcesses("bee").empty(); }));
}

TEST_F(DrainTest, ADocumentThatSaysDownDrainsAndHooksRun) {
  StartQueen();
  WriteText(temp_ / "health", "up\n");
  StartDrone("bee", 1,
             {"--health-url", temp_ / "health", "--hooks-start", "echo $WAGGLE_DRONE >> " + temp_ / "started",
              "--hooks-exit", "echo $WAGGLE_HOOK >> " + temp_ / "left; exit 3"});
  EXPECT_EQ(ReadText(temp_ / "started"), "bee\n");
  const std::uint64_t job = SubmitRunning("echo begun\n" + AwaitFile(Gate("go")), "begun");
  std::filesystem::remove(temp_ / "health");  // an error drains nothing
  WriteText(temp_ / "health", "{\"state\": \"down\"}");
  ASSERT_TRUE(Eventually([&] { return Listed("bee")["state"] == "draining"; }));
  Open("go");
  WaitForState(job, "passed");
  EXPECT_EQ(Drone("bee").Wait(15s), 0) << "a hook that fails changes nothing";
  EXPECT_EQ(ReadText(temp_ / "left"), "exit\n");
  EXPECT_THAT(Drone("bee").Err(), HasSubstr("the exit hook failed with code 3"));
}

TEST_F(DrainTest, DrainOfNobodyAndBadWords) {
  StartQueen();
  const Outcome nobody = Waggle({"drain", "nobody"});
  EXPECT_EQ(nobody.code, 3) << nobody;
  EXPECT_THAT(nobody.err, HasSubstr("there is no drone nobody"));
  EXPECT_EQ(Waggle({"undrain", "nobody"}).code, 3);
  EXPECT_EQ(Waggle({"drain", "bee", "--deadline", "soon"}).code, 2);
  EXPECT_EQ(Waggle({"drain"}).code, 2);
}

}  // namespace
}  // namespace waggle::test
