// A deploy that may have begun is never repeated by itself, whoever dies.
#include <gmock/gmock.h>
#include <signal.h>

#include "tests/support/hive_fixture.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;

class DeployOnce : public HiveFixture {
 protected:
  // Each deploy leaves a line. `then` runs behind it.
  Json Deploy(const std::string& then) {
    return {{"type", "DEPLOY"},
            {"name", "release"},
            {"deploy",
             {Step("echo \"deployed by attempt $WAGGLE_ATTEMPT\" | tee -a " + temp_ / "deployed" + "\n" +
                   then)}}};
  }

  // What its drone told when it was back, beside the verdict.
  Json AwaitLateTruth(std::uint64_t job) {
    Json facts;
    EXPECT_TRUE(Eventually([&] {
      facts = Show(job);
      return facts.contains("late");
    })) << facts;
    return facts["late"];
  }

  void ExpectUnknown(std::uint64_t job) {
    const Json facts = WaitForState(job, "errored");
    EXPECT_EQ(facts["reason"], "unknown");
    EXPECT_EQ(facts["deploy_code"], 504);
    EXPECT_EQ(facts["attempts"].size(), 1u);
    EXPECT_THAT(std::string(facts["detail"]), HasSubstr("its deploy may have begun, so it is not repeated"));
    EXPECT_EQ(ReadText(temp_ / "deployed"), "deployed by attempt 1\n");
    EXPECT_THAT(Waggle({"logs", std::to_string(job)}).out, HasSubstr("(504)"));
    EXPECT_THAT(Waggle({"show", std::to_string(job)}).out, HasSubstr("504 (unknown"));
    EXPECT_EQ(Waggle({"watch", std::to_string(job)}).code, 122);
  }
};

TEST_F(DeployOnce, ShimKilledInTheDeployPhase) {
  StartQueen();
  StartDrone("bee");
  StartDrone("other");
  const std::uint64_t job = Submit(Deploy("sleep 0.2; kill -9 $PPID; sleep 60"));
  ExpectUnknown(job);
  EXPECT_EQ(Raw(job), "deployed by attempt 1\n");
  EXPECT_TRUE(Eventually([&] { return JobProcesses("bee").empty() && JobProcesses("other").empty(); }));
}

TEST_F(DeployOnce, DroneLostInTheDeployPhase) {
  StartQueen({"--lease", "2s"});
  StartDrone("bee", 1, {"--speed", "9"});
  StartDrone("other");
  const std::uint64_t job = Submit(Deploy(AwaitFile(Gate("go")) + "echo finished >> " + temp_ / "finished"));
  ASSERT_TRUE(Eventually([&] { return Exists(temp_ / "deployed"); }));
  KillDrone("bee");
  ExpectUnknown(job);
  EXPECT_EQ(Show(job)["attempts"][0]["late_awaited"], true);
  EXPECT_EQ(Waggle({"logs", std::to_string(job), "--late"}).code, 3);
  Open("go");  // the deploy runs on to its end
  EXPECT_TRUE(Eventually([&] { return Exists(temp_ / "finished"); }));
  const std::string log = Raw(job);
  StartDrone("bee", 1, {"--speed", "9"});
  const Json late = AwaitLateTruth(job);
  EXPECT_EQ(late["state"], "passed");
  EXPECT_EQ(late["deploy_code"], 0);
  EXPECT_GT(late["finished_at"], 0);
  EXPECT_TRUE(Eventually([&] { return JobProcesses("bee").empty(); }));
  ExpectUnknown(job);
  EXPECT_EQ(Raw(job), log);
  EXPECT_EQ(Show(job)["attempts"][0]["late_awaited"], false);
  WaitForState(Submit(TestJob({"true"})), "passed");
}

// Frozen or cut off for longer than its lease, and back while the deploy still runs.
TEST_F(DeployOnce, ADroneThatIsBackInTimeBringsTheRestOfTheDeploy) {
  StartQueen({"--lease", "2s"});
  StartDrone("bee");
  const std::uint64_t job = Submit(Deploy(AwaitFile(Gate("more")) + "echo more output\n" +
                                          AwaitFile(Gate("go")) + "echo the end; exit 7"));
  ASSERT_TRUE(Eventually([&] { return Exists(temp_ / "deployed"); }));
  Drone("bee").Signal(SIGSTOP);
  ExpectUnknown(job);
  const std::string log = Raw(job);
  const pid_t shim = JobProcesses("bee").front();
  Open("more");
  Drone("bee").Signal(SIGCONT);
  ASSERT_TRUE(Eventually([&] { return Drones()[0]["used"] == 1; }));  // it runs on and takes its slot
  EXPECT_TRUE(IsAlive(shim));
  const std::uint64_t next = Submit(TestJob({"true"}));
  KillQueen();  // and the next queen knows that it is awaited
  StartQueen({"--lease", "2s"});
  EXPECT_EQ(StateOf(next), "queued");
  Open("go");
  const Json late = AwaitLateTruth(job);
  EXPECT_EQ(late["state"], "failed");
  EXPECT_EQ(late["deploy_code"], 7);
  WaitForState(next, "passed");
  ExpectUnknown(job);
  EXPECT_EQ(Raw(job), log);
  const Outcome rest = Waggle({"logs", std::to_string(job), "--late", "--raw"});
  EXPECT_EQ(rest.code, 0) << rest;
  EXPECT_EQ(log + rest.out, "deployed by attempt 1\nmore output\nthe end\n");
  const Outcome verified = Waggle({"verify", std::to_string(job)});
  EXPECT_EQ(verified.code, 0) << verified;
  EXPECT_THAT(verified.out, HasSubstr("1@1 late log complete: "));
  EXPECT_THAT(Waggle({"jobs"}).out, HasSubstr("unknown; late truth: failed, deploy exit 7, 20"));
  EXPECT_THAT(Waggle({"show", std::to_string(job)}).out, HasSubstr("deploy exit 7, 20"));
  EXPECT_TRUE(Eventually([&] { return JobProcesses("bee").empty(); }));
}

// The shim died while the drone was away: that is the truth as far as anybody can tell it.
TEST_F(DeployOnce, ADeployThatDiedWhileItsDroneWasAwayStaysUnknown) {
  StartQueen({"--lease", "2s"});
  StartDrone("bee");
  const std::uint64_t job = Submit(Deploy("sleep 1000"));
  ASSERT_TRUE(Eventually([&] { return Exists(temp_ / "deployed"); }));
  KillDrone("bee");
  ExpectUnknown(job);
  for (pid_t pid : JobProcesses("bee")) ::kill(pid, SIGKILL);
  StartDrone("bee");
  const Json late = AwaitLateTruth(job);
  EXPECT_EQ(late["state"], "errored");
  EXPECT_EQ(late["reason"], "shim_lost");
  EXPECT_EQ(late["deploy_code"], 504);
  ExpectUnknown(job);
  EXPECT_EQ(Waggle({"verify", std::to_string(job)}).code, 0);
}

TEST_F(DeployOnce, DroneRestartedInTheDeployPhaseLosesNothing) {
  StartQueen();
  StartDrone("bee");
  const std::uint64_t job = Submit(Deploy(AwaitFile(Gate("go")) + "echo finished"));
  ASSERT_TRUE(Eventually([&] { return Exists(temp_ / "deployed"); }));
  KillDrone("bee");
  StartDrone("bee");
  Open("go");
  const Json facts = WaitForState(job, "passed");
  EXPECT_EQ(facts["attempts"].size(), 1u);
  EXPECT_EQ(facts["deploy_code"], 0);
  EXPECT_EQ(Raw(job), "deployed by attempt 1\nfinished\n");
  EXPECT_EQ(ReadText(temp_ / "deployed"), "deployed by attempt 1\n");
}

TEST_F(DeployOnce, QueenKilledInTheDeployPhaseLosesNothing) {
  StartQueen();
  StartDrone("bee");
  const std::uint64_t job = Submit(Deploy(AwaitFile(Gate("go")) + "echo finished"));
  ASSERT_TRUE(Eventually([&] { return Exists(temp_ / "deployed"); }));
  KillQueen();
  StartQueen();
  Open("go");
  EXPECT_EQ(WaitForState(job, "passed")["attempts"].size(), 1u);
  EXPECT_EQ(ReadText(temp_ / "deployed"), "deployed by attempt 1\n");
}

TEST_F(DeployOnce, LossBeforeTheDeployPhaseIsTriedAgain) {
  StartQueen();
  StartDrone("bee");
  Json job = Deploy("echo finished");
  job["prepare"] = {Step("if [ $WAGGLE_ATTEMPT = 1 ]; then kill -9 $PPID; sleep 60; fi")};
  const Json facts = WaitForState(Submit(job), "passed");
  ASSERT_EQ(facts["attempts"].size(), 2u);
  EXPECT_EQ(facts["attempts"][0]["reason"], "shim_lost");
  EXPECT_EQ(ReadText(temp_ / "deployed"), "deployed by attempt 2\n");
}

TEST_F(DeployOnce, DeployWaitsForTheQueensGrant) {
  StartQueen();
  StartDrone("bee");
  Json document = Deploy("true");
  document["prepare"] = {Step("echo ready\n" + AwaitFile(Gate("go")) + "echo going")};
  const std::uint64_t job = Submit(document);
  ASSERT_TRUE(Eventually([&] { return StateOf(job) == "started" && Raw(job) == "ready\n"; }));
  KillQueen();
  Open("go");
  const std::string spool = DroneData("bee") + "/attempts";
  ASSERT_TRUE(Eventually([&] { return !FilesContaining(spool, "going\n").empty(); }));
  EXPECT_FALSE(Exists(temp_ / "deployed"));  // nobody has said that it may
  StartQueen();
  WaitForState(job, "passed");
  EXPECT_EQ(ReadText(temp_ / "deployed"), "deployed by attempt 1\n");
}

}  // namespace
}  // namespace waggle::test
