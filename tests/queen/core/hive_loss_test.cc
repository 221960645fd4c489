// Attempts that are lost: retried, sealed, fenced.
#include "tests/queen/core/hive_fixture.h"

namespace waggle::queen {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class HiveLoss : public HiveTest {};

TEST_F(HiveLoss, ALostTestIsANewAttemptElsewhere) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  Epoch first = Current("a");
  Disconnect("d1");
  DroneUp("d2");
  Advance(20s);
  Heartbeat("d2");
  Advance(15s);
  ExpectAssigned("a", "d2");
  EXPECT_GT(Current("a"), first);
  EXPECT_EQ(AttemptOf("a").number, 2u);
  const AttemptRow& lost = store_.attempts.at(first);
  EXPECT_EQ(lost.state, JobState::kErrored);
  EXPECT_EQ(lost.reason, Reason::kDroneLost);
  EXPECT_THAT(lost.detail, HasSubstr("d1 was lost, last heard of"));
  ASSERT_TRUE(seals_.contains(first));
  EXPECT_THAT(seals_[first].text, HasSubstr("attempt 1 of 3, queued again"));
  SealsComplete();
  EXPECT_TRUE(store_.attempts.at(first).log_closed);
  EXPECT_EQ(store_.attempts.at(first).log_ended, wall_);
  ExpectState("a", JobState::kQueued);
  Passes("a");
  ExpectState("a", JobState::kPassed);
  EXPECT_EQ(Job("a").attempts, 2u);
}

TEST_F(HiveLoss, AJobThatIsQueuedAgainHasNotStarted) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  WallMillis queued = Job("a").times.queued;
  AdvancePastLease();
  ExpectQueued("a");
  EXPECT_EQ(Job("a").times.queued, queued);
  EXPECT_EQ(Job("a").times.received, 0);
  EXPECT_EQ(Job("a").times.started, 0);
  EXPECT_EQ(Job("a").drone_name, "");
}

TEST_F(HiveLoss, TheOldAttemptIsFencedAndCannotTouchTheNewOne) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  HeldAttempt zombie = Holds("a");
  AdvancePastLease();
  DroneUp("d2");
  Starts("a");
  DroneUp("d1", 1, {zombie});
  EXPECT_EQ(WelcomedWith("d1", zombie.epoch).action, Action::kFenced);
  zombie.state = HeldState::kFinished;
  zombie.counter = 99;
  Step(event::Status{ConnectionOf("d1"), zombie});
  EXPECT_THAT(SentTo<to_drone::Fenced>("d1"), SizeIs(1));
  journal::Final passed;
  passed.test_code = 0;
  LogEnds(zombie.epoch, passed);
  ExpectState("a", JobState::kStarted);
  ExpectAssigned("a", "d2");
  EXPECT_EQ(store_.attempts.at(zombie.epoch).state, JobState::kErrored);
  Fails("a", 3);
  ExpectState("a", JobState::kFailed);
}

TEST_F(HiveLoss, RetriesAreBoundedAndTheVerdictWaitsForTheSeal) {
  Submit("a");
  for (int attempt = 1; attempt <= 3; ++attempt) {
    DroneUp("d1");
    ASSERT_EQ(AttemptOf("a").number, static_cast<std::uint32_t>(attempt));
    Starts("a");
    AdvancePastLease();
  }
  ExpectState("a", JobState::kStarted);  // its log is not complete yet
  EXPECT_THAT(seals_, SizeIs(3));
  SealsComplete();
  ExpectState("a", JobState::kErrored, Reason::kDroneLost);
  EXPECT_THAT(Job("a").detail, HasSubstr("d1 was lost"));
  EXPECT_EQ(store_.attempts.size(), 3u);
  DroneUp("d1");
  EXPECT_THAT(SentTo<to_drone::Assign>("d1"), IsEmpty());
}

TEST_F(HiveLoss, NoAnswerToAnAssignmentIsALostAttempt) {
  DroneUp("d1");
  Submit("a");
  Epoch first = Current("a");
  Advance(config_.accept_deadline - 1ms);
  EXPECT_EQ(Current("a"), first);
  Advance(1ms);
  EXPECT_NE(Current("a"), first);
  ExpectQueued("a");
  Advance(kAvoidSilent / 2);  // there is no other drone
  Heartbeat("d1");
  Advance(kAvoidSilent / 2);
  ExpectAssigned("a", "d1");
  ASSERT_THAT(SentTo<to_drone::Fenced>("d1"), SizeIs(1));
  EXPECT_EQ(SentTo<to_drone::Fenced>("d1")[0].epoch, first);
  EXPECT_THAT(store_.attempts.at(first).detail, HasSubstr("did not answer"));
  EXPECT_EQ(View("d1").used, 1u);
  Step(event::Accept{ConnectionOf("d1"), first, wall_});
  EXPECT_THAT(SentTo<to_drone::Fenced>("d1"), SizeIs(2)) << "too late";
}

TEST_F(HiveLoss, AnAcceptedJobHasNoAcceptDeadline) {
  DroneUp("d1");
  Submit("a");
  Accept("a");
  Advance(config_.accept_deadline + 1s);
  ExpectState("a", JobState::kReceived);
}

TEST_F(HiveLoss, ARefusalIsRetriedAndThenFinal) {
  DroneUp("d1");
  Submit("a");
  for (int i = 0; i < 3; ++i) {
    ExpectAssigned("a", "d1");
    Reject("a", "disk full");
    Advance(kAvoidRefusing * 4);
  }
  SealsComplete();
  ExpectState("a", JobState::kErrored, Reason::kRejected);
  EXPECT_THAT(Job("a").detail, HasSubstr("d1 refused the job: disk full"));
  EXPECT_EQ(View("d1").used, 0u);
}

TEST_F(HiveLoss, ADroneBackWithoutTheAttemptLostIt) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  Epoch first = Current("a");
  DroneUp("d1");
  EXPECT_THAT(store_.attempts.at(first).detail, HasSubstr("came back without this attempt"));
  ExpectAssigned("a", "d1");
  EXPECT_NE(Current("a"), first);
}

TEST_F(HiveLoss, ADeadShimIsRetriedAndItsRecordsAreWaitedFor) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  Epoch first = Current("a");
  ShimDies("a", 7);
  EXPECT_EQ(seals_[first].at_least, 7u);
  EXPECT_EQ(seals_[first].reason, Reason::kShimLost);
  EXPECT_EQ(store_.attempts.at(first).reason, Reason::kShimLost);
  ExpectAssigned("a", "d1");
  EXPECT_NE(Current("a"), first);
  // Its records still come, even over a new session.
  HeldAttempt lost;
  lost.epoch = first;
  lost.state = HeldState::kLost;
  DroneUp("d1", 1, {lost, Holds("a", HeldState::kAccepted)});
  EXPECT_EQ(WelcomedWith("d1", first).action, Action::kSendFinal);
  EXPECT_EQ(log_sessions_[first], drones_["d1"].session);
  EXPECT_EQ(seals_[first].at_least, 7u);
  // With the drone gone nobody will bring them.
  AdvancePastLease();
  EXPECT_EQ(seals_[first].at_least, 0u);
}

TEST_F(HiveLoss, RecordsOfADeadShimAreNotWaitedForForEver) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  Epoch first = Current("a");
  ShimDies("a", 7);
  for (Duration waited{}; waited < limits::kSealDeadline; waited += 10s) {
    EXPECT_EQ(seals_[first].at_least, 7u);
    Advance(10s);
    Heartbeat("d1");
  }
  EXPECT_EQ(seals_[first].at_least, 0u);
  EXPECT_EQ(seals_[first].reason, Reason::kShimLost);
}

// A copy of the drone's data directory spoke in between: to it the shim was gone.
TEST_F(HiveLoss, OneThatRunsAfterItWasSaidToBeLostIsFenced) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  const HeldAttempt running = Holds("a");
  ShimDies("a", 7);
  EXPECT_EQ(seals_[running.epoch].at_least, 7u);
  DroneUp("d1", 1, {running});
  EXPECT_EQ(WelcomedWith("d1", running.epoch).action, Action::kFenced)
      << "it runs in a slot that is given to somebody else";
}

TEST_F(HiveLoss, AShimThatDiedWhileTheDroneWasAway) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  HeldAttempt held = Holds("a", HeldState::kLost);
  held.last_seq = 5;
  DroneUp("d1", 1, {held});
  EXPECT_EQ(seals_[held.epoch].at_least, 5u);
  EXPECT_EQ(store_.attempts.at(held.epoch).reason, Reason::kShimLost);
  EXPECT_NE(Current("a"), held.epoch);
}

TEST_F(HiveLoss, AnAttemptHandedBackIsQueuedAgainAtOnceAndDoesNotCount) {
  DroneUp("d1");
  Submit("a");
  for (std::uint32_t i = 0; i < limits::kExcusedAttempts; ++i) {
    Starts("a");
    Epoch handed = Current("a");
    Step(event::ShimLost{ConnectionOf("d1"), handed, 3, "", false, /*handed_back=*/true});
    EXPECT_EQ(store_.attempts.at(handed).reason, Reason::kHandedBack);
    EXPECT_THAT(seals_[handed].text, HasSubstr("d1 was stopped and handed the job back (queued again; it"));
    ExpectAssigned("a", "d1");
    EXPECT_EQ(Job("a").excused, i + 1);
    Restart();  // the count is stored
    DroneUp("d1", 1, {Holds("a", HeldState::kAccepted)});
  }
  // From here on they count like any other.
  for (int i = 0; i <= config_.infrastructure_retries; ++i) {
    Starts("a");
    Step(event::ShimLost{ConnectionOf("d1"), Current("a"), 3, "", false, /*handed_back=*/true});
  }
  SealsComplete();
  ExpectState("a", JobState::kErrored, Reason::kHandedBack);
}

TEST_F(HiveLoss, ACanceledJobThatIsHandedBackIsCanceled) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  Cancel("a");
  Step(event::ShimLost{ConnectionOf("d1"), Current("a"), 3, "", false, /*handed_back=*/true});
  SealsComplete();
  ExpectState("a", JobState::kCanceled, Reason::kCanceled);
}

TEST_F(HiveLoss, AnAssignmentThatCrossedADrainDoesNotCount) {
  DroneUp("d1");
  Submit("a");
  Step(event::Reject{ConnectionOf("d1"), Current("a"), "the drone is draining", /*withdrawn=*/true});
  EXPECT_EQ(Job("a").excused, 1u);
  EXPECT_EQ(Job("a").attempts, 1u);
  ExpectQueued("a");
}

TEST_F(HiveLoss, AHelloSaysWhyAnAttemptIsLostAndARepeatCostsNoRecords) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  HeldAttempt held = Holds("a", HeldState::kLost);
  held.last_seq = 5;
  held.handed_back = true;
  DroneUp("d1", 1, {held});
  EXPECT_EQ(store_.attempts.at(held.epoch).reason, Reason::kHandedBack);
  Step(event::ShimLost{ConnectionOf("d1"), held.epoch, 5, "", false, /*handed_back=*/true});
  EXPECT_THAT(SentTo<to_drone::Fenced>("d1"), IsEmpty());
  EXPECT_EQ(seals_[held.epoch].at_least, 5u);
}

TEST_F(HiveLoss, AReportedCodeIsStoredWhenItIsReported) {
  DroneUp("d1");
  Submit("a", {.type = JobType::kTestAndDeploy});
  Starts("a");
  HeldAttempt held = Holds("a");
  held.test_code = 0;
  Report("a", held);
  EXPECT_EQ(AttemptOf("a").test_code, 0);
}

TEST_F(HiveLoss, AReceiptIsOnlyWhatAShimCounted) {
  DroneUp("d1");
  Submit("a");
  Submit("b");
  journal::Final final;
  final.reason = Reason::kCanceled;
  final.processes_killed = 3;
  final.kill_nanos = 6'100'000'000;
  LogEnds(Current("a"), final);
  for (const Receipt& receipt : {Job("a").receipt, AttemptOf("a").receipt}) {
    EXPECT_EQ(receipt.left, 0);
    EXPECT_EQ(receipt.killed, 3u);
    EXPECT_EQ(receipt.took_ms, 6100);
  }
  final.processes_left = journal::kNobodyCounted;  // of a log that the queen sealed
  LogEnds(Current("b"), final);
  EXPECT_EQ(Job("b").receipt.left, -1);
}

TEST_F(HiveLoss, ALogThatCannotBeCompletedIsNotAPass) {
  DroneUp("d1");
  Submit("a");
  journal::Final passed;
  passed.test_code = 0;
  LogEnds(Current("a"), passed, "stored are 3 + 0 bytes");
  ExpectState("a", JobState::kErrored, Reason::kLogIncomplete);
  EXPECT_EQ(Job("a").detail, "stored are 3 + 0 bytes");
}

TEST_F(HiveLoss, ANameIsNotTakenFromADroneWhoseLogIsNotSealedYet) {
  DroneUp("d1");
  Submit("a");
  AdvancePastLease();
  SealsComplete();
  drones_["d1"].identity = "another";
  DroneUp("d1");
  ExpectAssigned("a", "d1");
}

// Found by the simulation: a queen that was stopped for longer than a lease lost every drone when she went
// on, because her timer came before what they had said meanwhile.
TEST_F(HiveTest, WhenTheQueenWasAwayNoLeaseIsLost) {
  DroneUp("d1", 2);
  Submit("a");
  Accept("a");
  Starts("a");
  Submit("b");  // assigned and not yet answered
  now_ += config_.LostAfter() + 60s;
  Step(event::Tick{});
  ExpectState("a", JobState::kStarted);
  ExpectAssigned("b", "d1");
  Accept("b");
  Heartbeat("d1");
  ExpectState("b", JobState::kReceived);
  AdvancePastLease();  // silence that the queen was there for
  ExpectQueued("a");
}

}  // namespace
}  // namespace waggle::queen
