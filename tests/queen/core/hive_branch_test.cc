// Runs of one repository and branch go one after the other; nobody waits for another branch.
#include "tests/queen/core/hive_fixture.h"

namespace waggle::queen {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using HiveBranch = HiveTest;

TEST_F(HiveBranch, ABusyBranchDoesNotHoldUpTheOthers) {
  DroneUp("d1", 2);
  SubmitRun("repo", "A", {"a1"});
  SubmitRun("repo", "A", {"a2"});
  SubmitRun("repo", "B", {"b1"});
  EXPECT_THAT(StartOrder(), ElementsAre("a1", "b1"));
  ExpectQueued("a2");
  EXPECT_THAT(WhyWaiting("a2"), HasSubstr("r1 on branch A is not finished"));
  EXPECT_EQ(hive_->waiting(), 1u);
  EXPECT_EQ(Fleet().queued, 1u);
  Passes("b1");
  ExpectQueued("a2");
  Passes("a1");
  ExpectAssigned("a2", "d1");
  EXPECT_EQ(hive_->waiting(), 0u);
}

TEST_F(HiveBranch, JobsOfOneRunGoTogetherAndTheNextRunWaitsForTheLastOfThem) {
  DroneUp("d1", 4);
  SubmitRun("repo", "A", {"a1", "a1'"});
  SubmitRun("repo", "A", {"a2", "a2'"});
  EXPECT_THAT(StartOrder(), ElementsAre("a1", "a1'"));
  Fails("a1");
  ExpectQueued("a2");
  Passes("a1'");
  EXPECT_THAT(StartOrder(), ElementsAre("a1", "a1'", "a2", "a2'"));
}

TEST_F(HiveBranch, TheSameBranchOfAnotherRepositoryIsAnotherOne) {
  DroneUp("d1", 4);
  SubmitRun("one", "main", {"a"});
  SubmitRun("two", "main", {"b"});
  SubmitRun("one", "", {"c"});
  SubmitRun("one", "", {"d"});
  EXPECT_THAT(StartOrder(), ElementsAre("a", "b", "c", "d"));
}

TEST_F(HiveBranch, ADocumentOfABranchIsARunOfItsOwn) {
  DroneUp("d1", 4);
  Submit("a", {.repo = "repo", .branch = "main"});
  Submit("b", {.repo = "repo", .branch = "main"});
  Submit("c", {.repo = "repo"});
  EXPECT_THAT(StartOrder(), ElementsAre("a", "c"));
  EXPECT_THAT(WhyWaiting("b"), HasSubstr("job 1 on branch main is not finished"));
}

TEST_F(HiveBranch, TheOldestRunGoesFirstWhateverThePriorities) {
  DroneUp("d1", 4);
  SubmitRun("repo", "main", {"a"});
  Submit("b", {.repo = "repo", .branch = "main"});
  Submit("c", {.priority = 5, .repo = "repo", .branch = "main"});
  Passes("a");
  Passes("b");
  Passes("c");
  EXPECT_THAT(StartOrder(), ElementsAre("a", "b", "c"));
}

TEST_F(HiveBranch, ACanceledRunLetsTheNextOneGo) {
  DroneUp("d1", 4);
  for (const char* job : {"a1", "a2", "a3"}) SubmitRun("repo", "main", {job});
  Cancel("a2");  // while it is held
  ExpectState("a2", JobState::kCanceled, Reason::kCanceled);
  ExpectQueued("a3");
  Cancel("a1");  // while it runs: not over before its processes are
  ExpectQueued("a3");
  LogEnds(Current("a1"), {.reason = Reason::kCanceled});
  ExpectAssigned("a3", "d1");
}

TEST_F(HiveBranch, ALostRunKeepsItsPlace) {
  DroneUp("d1", 1);
  SubmitRun("repo", "main", {"a1"});
  SubmitRun("repo", "main", {"a2"});
  Starts("a1");
  Disconnect("d1");
  AdvancePastLease();
  ExpectQueued("a1");
  SealsComplete();
  DroneUp("d2", 2);
  EXPECT_THAT(StartOrder(), ElementsAre("a1", "a1"));
  ExpectQueued("a2");
  Passes("a1");
  ExpectAssigned("a2", "d2");
}

TEST_F(HiveBranch, ARestartedQueenHoldsTheSameRuns) {
  DroneUp("d1", 3);
  SubmitRun("repo", "main", {"a1", "a1'"});
  SubmitRun("repo", "main", {"a2"});
  SubmitRun("repo", "main", {"a3"});
  Starts("a1");
  Passes("a1'");
  Restart();
  EXPECT_EQ(hive_->waiting(), 2u);
  DroneUp("d1", 3, {Holds("a1")});
  ExpectQueued("a2");
  EXPECT_THAT(WhyWaiting("a3"), HasSubstr("r1 on branch main"));
  Passes("a1");
  ExpectAssigned("a2", "d1");
  EXPECT_THAT(WhyWaiting("a3"), HasSubstr("r2 on branch main"));
}

TEST_F(HiveBranch, ACancelStoredBeforeTheRestartFreesTheBranch) {
  SubmitRun("repo", "main", {"a1"});
  SubmitRun("repo", "main", {"a2"});
  JobRow canceled = Job("a1");
  canceled.cancel_requested = true;
  canceled.canceled_by = "alice";
  store_.jobs[canceled.id] = canceled;
  Restart();
  ExpectState("a1", JobState::kCanceled, Reason::kCanceled);
  DroneUp("d1", 2);
  ExpectAssigned("a2", "d1");
}

TEST_F(HiveBranch, WhenItIsSwitchedOffRunsOverlap) {
  config_.serial_branches = false;
  Boot(Snapshot{});
  DroneUp("d1", 3);
  SubmitRun("repo", "main", {"a1"});
  SubmitRun("repo", "main", {"a2"});
  EXPECT_THAT(StartOrder(), ElementsAre("a1", "a2"));
  Starts("a1");
  Starts("a2");
  // Switched on while both run: both go on, the third waits.
  config_.serial_branches = true;
  Restart();
  DroneUp("d1", 3, {Holds("a1"), Holds("a2")});
  SubmitRun("repo", "main", {"a3"});
  ExpectQueued("a3");
  EXPECT_EQ(hive_->waiting(), 1u);
  Passes("a1");
  Passes("a2");
  ExpectAssigned("a3", "d1");
}

TEST_F(HiveBranch, TwoHundredBranchesFillAllSlots) {
  DroneUp("d1", 10);
  for (int i = 0; i < 200; ++i) SubmitRun("repo", "b" + std::to_string(i), {"j" + std::to_string(i)});
  EXPECT_EQ(View("d1").used, 10u);
  EXPECT_EQ(hive_->waiting(), 190u);
}

}  // namespace
}  // namespace waggle::queen
