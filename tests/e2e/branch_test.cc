// Runs of one branch go one after the other, and no other branch waits for them.
#include <gmock/gmock.h>

#include "tests/support/hive_fixture.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;

class BranchRuns : public HiveFixture {
 protected:
  void Start(const Words& flags = {}) {
    StartQueen(flags);
    StartDrone("bee", 4);
    repo_.Write(".waggle.yml", "test: until [ -e " + Gate("$WAGGLE_JOB") + " ]; do sleep 0.02; done\n");
    repo_.Commit("Wait for a gate");
    repo_.Branch("A");
    repo_.Branch("B");
  }

  // Submits what the branch holds; the run's one job.
  std::uint64_t Push(const std::string& branch) {
    const Outcome outcome = Waggle({"submit", branch, "--repo", repo_.path(), "-o", "json"});
    EXPECT_EQ(outcome.code, 0) << outcome;
    return Json::parse(outcome.out)["jobs"].at(0)["id"];
  }
  void Finish(std::uint64_t job) {
    Open(std::to_string(job));
    WaitForState(job, "passed");
  }

  GitRepo repo_ = MakeRepo("p");
};

TEST_F(BranchRuns, ABusyBranchIsPassedByAndKeepsItsOrder) {
  Start();
  const std::uint64_t a1 = Push("A");
  WaitForState(a1, "started");
  const std::uint64_t a2 = Push("A"), b1 = Push("B");
  WaitForState(b1, "started");
  EXPECT_EQ(StateOf(a2), "queued");
  EXPECT_EQ(Show(a2)["detail"], "r1 on branch A is not finished; runs of one branch go one at a time");
  Finish(b1);
  EXPECT_EQ(StateOf(a2), "queued");
  // A restarted queen knows it too.
  KillQueen();
  StartQueen();
  EXPECT_THAT(std::string(Show(a2)["detail"]), HasSubstr("r1 on branch A"));
  Finish(a1);
  WaitForState(a2, "started");
  Finish(a2);
}

TEST_F(BranchRuns, ACanceledRunLetsTheNextOneGo) {
  Start();
  const std::uint64_t a1 = Push("A");
  WaitForState(a1, "started");
  const std::uint64_t a2 = Push("A"), a3 = Push("A");
  EXPECT_EQ(Waggle({"cancel", std::to_string(a2)}).code, 0);
  EXPECT_EQ(Waggle({"cancel", "--now", std::to_string(a1)}).code, 0);
  WaitForState(a3, "started");
  EXPECT_EQ(StateOf(a1), "canceled");
  Finish(a3);
}

TEST_F(BranchRuns, TheQueenMayBeToldToLetThemOverlap) {
  Start({"--scheduler-branch-runs", "parallel"});
  const std::uint64_t a1 = Push("A"), a2 = Push("A");
  WaitForState(a1, "started");
  WaitForState(a2, "started");
  Finish(a1);
  Finish(a2);
}

}  // namespace
}  // namespace waggle::test
