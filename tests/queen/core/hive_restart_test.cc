// A queen that starts with exactly the rows that were stored.
#include "tests/queen/core/hive_fixture.h"

namespace waggle::queen {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

using HiveRestart = HiveTest;

TEST_F(HiveRestart, QueuedJobsRunInOrder) {
  Submit("a");
  Submit("b", {.priority = 1});
  Submit("c");
  Restart();
  EXPECT_EQ(hive_->waiting(), 3u);
  DroneUp("d1", 3);
  EXPECT_THAT(StartOrder(), testing::ElementsAre("b", "a", "c"));
}

TEST_F(HiveRestart, ARunningJobIsTakenUpAgain) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  Epoch epoch = Current("a");
  Restart();
  Advance(20s);
  DroneUp("d1", 1, {Holds("a")});
  EXPECT_EQ(WelcomedWith("d1", epoch).action, Action::kContinue);
  EXPECT_EQ(View("d1").used, 1u);
  Submit("b");
  ExpectQueued("b");
  Passes("a");
  ExpectState("a", JobState::kPassed);
  ExpectAssigned("b", "d1");
  EXPECT_EQ(Job("a").attempts, 1u);
}

TEST_F(HiveRestart, TheLeaseStartsAnewAndItsEndIsNoticed) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  Advance(config_.LostAfter() - 1s);
  Restart();
  Advance(config_.LostAfter() - 1s);
  ExpectState("a", JobState::kStarted);
  Advance(2s);
  ExpectQueued("a");
  EXPECT_THAT(store_.attempts.begin()->second.detail, HasSubstr("d1 was lost"));
}

TEST_F(HiveRestart, AnAssignmentThatWasNeverAnswered) {
  DroneUp("d1");
  Submit("a");
  Epoch first = Current("a");
  Restart();
  DroneUp("d1");
  EXPECT_EQ(store_.attempts.at(first).reason, Reason::kDroneLost);
  ExpectAssigned("a", "d1");
  EXPECT_NE(Current("a"), first);
}

TEST_F(HiveRestart, AnAttemptThatWasGivenUpIsSealed) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  Epoch first = Current("a");
  AdvancePastLease();
  ASSERT_TRUE(seals_.contains(first));
  Restart();
  ASSERT_TRUE(seals_.contains(first));
  EXPECT_EQ(seals_[first].reason, Reason::kDroneLost);
  EXPECT_EQ(seals_[first].at_least, 0u);
  EXPECT_THAT(seals_[first].text, HasSubstr("d1 was lost"));
  SealsComplete();
  EXPECT_TRUE(store_.attempts.at(first).log_closed);
  ExpectQueued("a");
  Restart();
  EXPECT_THAT(seals_, IsEmpty());
}

TEST_F(HiveRestart, AGrantedDeployThatWasGivenUpStaysUnknown) {
  DroneUp("d1");
  Submit("a", {.type = JobType::kDeploy});
  AsksForGrant("a");
  AdvancePastLease();
  Restart();
  AdvancePastLease();
  SealsComplete();
  ExpectState("a", JobState::kErrored, Reason::kUnknown);
  EXPECT_EQ(Job("a").deploy_code, 504);
  EXPECT_EQ(Job("a").attempts, 1u);
}

TEST_F(HiveRestart, AGrantIsRemembered) {
  DroneUp("d1");
  Submit("a", {.type = JobType::kDeploy});
  AsksForGrant("a");
  Restart();
  DroneUp("d1", 1, {Holds("a", HeldState::kGranted)});
  EXPECT_TRUE(WelcomedWith("d1", Current("a")).granted);
  ShimDies("a", 0);
  SealsComplete();
  ExpectState("a", JobState::kErrored, Reason::kUnknown);
}

TEST_F(HiveRestart, ACancelIsRemembered) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  Cancel("a");
  Restart();
  DroneUp("d1", 1, {Holds("a")});
  EXPECT_TRUE(WelcomedWith("d1", Current("a")).cancel);
}

TEST_F(HiveRestart, ALogThatIsCompleteGetsItsVerdict) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  Restart();
  Passes("a");
  ExpectState("a", JobState::kPassed);
}

TEST_F(HiveRestart, NumbersAreNeverReused) {
  DroneUp("d1", 5);
  Submit("a");
  Submit("b");
  Passes("b");
  Epoch highest = Current("b");
  SessionId session = drones_["d1"].session;
  Restart();
  DroneUp("d1", 5);
  Submit("c");
  EXPECT_GT(Id("c"), Id("b"));
  EXPECT_GT(Current("c"), highest);
  EXPECT_GT(drones_["d1"].session, session);
}

TEST_F(HiveRestart, AMissingAttemptRowQueuesTheJobAgain) {
  DroneUp("d1");
  Submit("a");
  Epoch lost = Current("a");
  store_.attempts.clear();
  Restart();
  ExpectQueued("a");
  DroneUp("d1", 1, {HeldAttempt{.epoch = lost, .state = HeldState::kRunning}});
  EXPECT_EQ(WelcomedWith("d1", lost).action, Action::kFenced);
  ExpectAssigned("a", "d1");
}

TEST_F(HiveRestart, AMissingAttemptRowOfACanceledJobEndsIt) {
  DroneUp("d1");
  Submit("a");
  Cancel("a", false, "wrong branch");
  store_.attempts.clear();
  Restart();
  ExpectState("a", JobState::kCanceled, Reason::kCanceled);
  EXPECT_EQ(Job("a").detail, "canceled by alice: wrong branch");
  DroneUp("d1");
  EXPECT_THAT(SentTo<to_drone::Assign>("d1"), IsEmpty());
}

// An attempt row that was set aside: whether its deploy was granted is not known any more.
TEST_F(HiveRestart, ADeployWhoseAttemptIsGoneDoesNotBeginAgain) {
  DroneUp("d1", 3);
  for (const auto& [name, type] : std::vector<std::pair<std::string, JobType>>{
           {"deploy", JobType::kDeploy}, {"both", JobType::kTestAndDeploy}, {"test", JobType::kTest}}) {
    Submit(name, {.type = type});
    Starts(name);
  }
  AsksForGrant("deploy");
  Snapshot snapshot = store_.Load();
  snapshot.attempts.clear();
  Boot(std::move(snapshot));
  DroneUp("d2", 3);
  for (const char* name : {"deploy", "both"}) {
    ExpectState(name, JobState::kErrored, Reason::kUnknown);
    EXPECT_THAT(Job(name).detail, HasSubstr("its deploy may have run"));
  }
  ExpectAssigned("test", "d2");
}

// A drone row that was set aside: nobody can bring this attempt back, and that is no pass.
TEST_F(HiveRestart, AMissingDroneRowIsALostAttempt) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  Epoch first = Current("a");
  store_.drones.clear();
  Restart();
  EXPECT_EQ(store_.attempts.at(first).state, JobState::kErrored);
  EXPECT_EQ(store_.attempts.at(first).reason, Reason::kDroneLost);
  ASSERT_TRUE(seals_.contains(first));
  EXPECT_EQ(seals_[first].reason, Reason::kDroneLost);
  SealsComplete();
  ExpectQueued("a");
}

TEST_F(HiveRestart, AMissingDroneRowOfAGrantedDeployIsUnknown) {
  DroneUp("d1");
  Submit("a", {.type = JobType::kDeploy});
  AsksForGrant("a");
  store_.drones.clear();
  Restart();
  SealsComplete();
  ExpectState("a", JobState::kErrored, Reason::kUnknown);
}

TEST_F(HiveRestart, AnAttemptWhoseJobIsGoneIsSealedAsLost) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  Epoch epoch = Current("a");
  store_.jobs.clear();
  Restart();
  ASSERT_TRUE(seals_.contains(epoch));
  EXPECT_EQ(seals_[epoch].reason, Reason::kDroneLost);
  SealsComplete();
  EXPECT_TRUE(store_.attempts.at(epoch).log_closed);
  EXPECT_EQ(store_.attempts.at(epoch).state, JobState::kErrored);
  DroneUp("d1");
  EXPECT_EQ(View("d1").used, 0u);
}

TEST_F(HiveRestart, DronesAreListedBeforeTheyAreBack) {
  DroneUp("d1", 4, 7);
  Restart();
  DroneView view = View("d1");
  EXPECT_FALSE(view.connected);
  EXPECT_EQ(view.row.capacity, 4u);
  EXPECT_EQ(view.row.speed, 7);
}

}  // namespace
}  // namespace waggle::queen
