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
  Open("go");  // the deploy runs on to its end
  EXPECT_TRUE(Eventually([&] { return Exists(temp_ / "finished"); }));
  StartDrone("bee", 1, {"--speed", "9"});
  EXPECT_TRUE(Eventually([&] { return JobProcesses("bee").empty(); }));
  ExpectUnknown(job);
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
