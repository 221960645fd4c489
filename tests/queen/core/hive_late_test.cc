// A deploy whose drone was lost behind the grant, and what it tells when it is back.
#include "tests/queen/core/hive_fixture.h"

namespace waggle::queen {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class HiveLate : public HiveTest {
 protected:
  // A deploy of job "a" on d1 that was granted; then d1 was lost, and the verdict is unknown.
  void UnknownDeploy(HeldState reached = HeldState::kGranted) {
    DroneUp("d1");
    Submit("a", {.type = JobType::kTestAndDeploy});
    Accept("a");
    AsksForGrant("a", 0);
    epoch_ = Current("a");
    held_ = Holds("a", reached);
    held_.test_code = 0;
    AdvancePastLease();
    SealsComplete();
    ExpectState("a", JobState::kErrored, Reason::kUnknown);
    EXPECT_TRUE(AttemptOf("a").late_awaited);
  }

  static journal::Final Deployed(std::int32_t code = 0) {
    journal::Final final;
    final.test_code = 0;
    final.deploy_code = final.failed_code = code;
    if (code != 0) final.failed_step = "deploy/push";
    final.finished = 1'600'000'000'000;
    return final;
  }

  // Whatever came later: this is what was said at first.
  void ExpectTheVerdictStands() {
    ExpectState("a", JobState::kErrored, Reason::kUnknown);
    EXPECT_EQ(Job("a").deploy_code, 504);
    EXPECT_EQ(AttemptOf("a").state, JobState::kErrored);
    EXPECT_EQ(AttemptOf("a").deploy_code, 504);
    EXPECT_EQ(AttemptOf("a").last_seq, 9u);
    EXPECT_EQ(Job("a").attempts, 1u);
  }

  Epoch epoch_;
  HeldAttempt held_;
};

TEST_F(HiveLate, TheDeployRunsOnAndItsEndIsKeptBesideTheVerdict) {
  UnknownDeploy();
  DroneUp("d1", 1, {held_});
  const Disposition told = WelcomedWith("d1", epoch_);
  EXPECT_EQ(told.action, Action::kContinue);
  EXPECT_FALSE(told.granted) << "it has it already, and nobody else is to have it";
  EXPECT_EQ(told.late, Seq(7)) << "two records are the queen's";
  EXPECT_EQ(late_logs_[epoch_], Seq(7));
  EXPECT_EQ(log_sessions_[epoch_], drones_["d1"].session);
  EXPECT_EQ(View("d1").used, 1u) << "it runs there";
  Submit("b");
  ExpectQueued("b");

  LateLogEnds(epoch_, Deployed());  // that it has ended comes with it, and frees the slot
  ExpectAssigned("b", "d1");
  ExpectTheVerdictStands();
  for (const LateTruth& late : {Job("a").late, AttemptOf("a").late}) {
    EXPECT_EQ(late.state, JobState::kPassed);
    EXPECT_EQ(late.deploy_code, 0);
    EXPECT_EQ(late.test_code, 0);
    EXPECT_EQ(late.finished, 1'600'000'000'000);
    EXPECT_EQ(late.arrived, wall_);
    EXPECT_EQ(late.last_seq, 20u);
  }
  EXPECT_FALSE(AttemptOf("a").late_awaited);
  EXPECT_EQ(AttemptOf("a").log_ended, wall_) << "by the queen's clock, whatever the drone says";
  EXPECT_THAT(SentTo<to_drone::Verdict>("d1"), SizeIs(1));
  EXPECT_THAT(SentTo<to_drone::Fenced>("d1"), IsEmpty());
  EXPECT_TRUE(closed_logs_.contains(epoch_));
  ExpectNothingChanges([&] { LateLogEnds(epoch_, Deployed(3)); });
}

TEST_F(HiveLate, ItsSlotIsFreeAsSoonAsItsDroneSaysSo) {
  UnknownDeploy();
  DroneUp("d1", 1, {held_});
  Submit("b");
  ExpectQueued("b");
  held_.state = HeldState::kFinished;
  Report("a", held_);
  ExpectAssigned("b", "d1");
}

TEST_F(HiveLate, AFailedDeploySaysSo) {
  UnknownDeploy(HeldState::kFinished);
  DroneUp("d1", 1, {held_});
  EXPECT_EQ(WelcomedWith("d1", epoch_).action, Action::kSendFinal);
  EXPECT_EQ(View("d1").used, 0u);
  LateLogEnds(epoch_, Deployed(3));
  EXPECT_EQ(Job("a").late.state, JobState::kFailed);
  EXPECT_EQ(Job("a").late.failed_step, "deploy/push");
  ExpectTheVerdictStands();
}

TEST_F(HiveLate, AHarmedLateLogIsNotAPass) {
  UnknownDeploy(HeldState::kFinished);
  DroneUp("d1", 1, {held_});
  LateLogEnds(epoch_, Deployed(), "the log before it ends at record 3");
  EXPECT_EQ(Job("a").late.state, JobState::kErrored);
  EXPECT_EQ(Job("a").late.reason, Reason::kLogIncomplete);
  EXPECT_EQ(Job("a").late.deploy_code, 0) << "its word is kept";
  ExpectTheVerdictStands();
}

TEST_F(HiveLate, ItIsAwaitedAcrossRestartsOfTheQueenAndLossesOfTheDrone) {
  UnknownDeploy();
  Restart();
  DroneUp("d1", 1, {held_});
  EXPECT_EQ(WelcomedWith("d1", epoch_).action, Action::kContinue);
  AdvancePastLease();  // lost once more
  EXPECT_EQ(log_sessions_[epoch_], SessionId()) << "nobody writes to it, but it is not closed";
  EXPECT_FALSE(closed_logs_.contains(epoch_));
  Restart();
  DroneUp("d2");
  DroneUp("d1", 1, {held_});
  Disconnect("d1");
  DroneUp("d1", 1, {held_});  // the same, within its lease
  EXPECT_EQ(WelcomedWith("d1", epoch_).late, Seq(7));
  LateLogEnds(epoch_, Deployed());
  EXPECT_EQ(Job("a").late.state, JobState::kPassed);
  EXPECT_THAT(SentTo<to_drone::Assign>("d2"), IsEmpty()) << "never a second one";
  ExpectTheVerdictStands();
}

TEST_F(HiveLate, AnEndThatWasStoredBeforeARestartCountsWithoutItsDrone) {
  UnknownDeploy();
  DroneUp("d1", 1, {held_});
  Restart();
  LateLogEnds(epoch_, Deployed());
  EXPECT_EQ(Job("a").late.state, JobState::kPassed);
  held_.state = HeldState::kFinished;
  DroneUp("d1", 1, {held_});
  EXPECT_EQ(WelcomedWith("d1", epoch_).action, Action::kForget);
  ExpectTheVerdictStands();
}

// Somebody may have deployed in its place since.
TEST_F(HiveLate, ADeployThatHadNotBegunDoesNotBeginAnyMore) {
  UnknownDeploy(HeldState::kRunning);
  held_.wants_grant = true;
  DroneUp("d1", 1, {held_});
  EXPECT_FALSE(WelcomedWith("d1", epoch_).granted);
  EXPECT_THAT(SentTo<to_drone::Grant>("d1"), IsEmpty());
  ASSERT_THAT(SentTo<to_drone::Cancel>("d1"), SizeIs(1));
  EXPECT_THAT(SentTo<to_drone::Cancel>("d1")[0].reason, HasSubstr("had not begun"));
  journal::Final canceled;
  canceled.reason = Reason::kCanceled;
  canceled.test_code = 0;
  LateLogEnds(epoch_, canceled);
  EXPECT_EQ(Job("a").late.state, JobState::kCanceled);
  EXPECT_EQ(Job("a").late.deploy_code, -1);
  ExpectTheVerdictStands();
}

TEST_F(HiveLate, AShimThatHasNotSpokenYetIsNotTakenForOneThatHasNotBegun) {
  UnknownDeploy(HeldState::kAccepted);
  held_.counter = 0;
  DroneUp("d1", 1, {held_});
  EXPECT_THAT(SentTo<to_drone::Cancel>("d1"), IsEmpty());
  held_.state = HeldState::kGranted;
  held_.counter = 7;
  Report("a", held_);
  EXPECT_THAT(SentTo<to_drone::Cancel>("d1"), IsEmpty());
}

TEST_F(HiveLate, ADeadShimIsTheTruthAsFarAsItGoes) {
  UnknownDeploy(HeldState::kLost);
  held_.last_seq = 12;
  DroneUp("d1", 1, {held_});
  EXPECT_EQ(WelcomedWith("d1", epoch_).action, Action::kSendFinal);
  EXPECT_EQ(seals_[epoch_].at_least, 12u);
  EXPECT_EQ(seals_[epoch_].reason, Reason::kShimLost);
  journal::Final lost;
  lost.reason = Reason::kShimLost;
  lost.deploy_code = 504;
  LateLogEnds(epoch_, lost);
  EXPECT_EQ(Job("a").late.state, JobState::kErrored);
  EXPECT_EQ(Job("a").late.reason, Reason::kShimLost);
  ExpectTheVerdictStands();
}

// Its drone comes once more before that is stored: it is not told to delete what is still waited for.
TEST_F(HiveLate, ADeadShimIsKeptUntilTheTruthIsStored) {
  UnknownDeploy(HeldState::kLost);
  held_.last_seq = 0;
  DroneUp("d1", 1, {held_});
  DroneUp("d1", 1, {held_});
  const ConnectionId now = ConnectionOf("d1");
  EXPECT_EQ(WelcomedWith("d1", epoch_).action, Action::kUnknown);
  journal::Final lost;
  lost.reason = Reason::kShimLost;
  LateLogEnds(epoch_, lost);
  EXPECT_EQ(Job("a").late.reason, Reason::kShimLost);
  ASSERT_TRUE(closed_.contains(now)) << "it shall ask again";
  DroneUp("d1", 1, {held_});
  EXPECT_EQ(WelcomedWith("d1", epoch_).action, Action::kForget);
}

// A copy of its data directory said before that its shim was gone.
TEST_F(HiveLate, AnEndBehindTheWordOfACloneIsTheTruth) {
  DroneUp("d1");
  Submit("a", {.type = JobType::kTestAndDeploy});
  Accept("a");
  AsksForGrant("a", 0);
  epoch_ = Current("a");
  HeldAttempt lost = Holds("a", HeldState::kLost);
  lost.last_seq = 6;
  DroneUp("d1", 1, {lost});
  EXPECT_EQ(seals_[epoch_].at_least, 6u);
  HeldAttempt ended = Holds("a", HeldState::kFinished);
  ended.last_seq = 26;
  DroneUp("d1", 1, {ended});
  EXPECT_EQ(WelcomedWith("d1", epoch_).action, Action::kUnknown) << "kept, until the verdict is out";
  SealsComplete();
  ExpectState("a", JobState::kErrored, Reason::kUnknown);
  DroneUp("d1", 1, {ended});
  EXPECT_EQ(WelcomedWith("d1", epoch_).action, Action::kSendFinal);
  EXPECT_TRUE(WelcomedWith("d1", epoch_).late.has_value());
}

TEST_F(HiveLate, ADroneThatIsBackWithoutItHasNothingToTell) {
  UnknownDeploy();
  DroneUp("d1");
  EXPECT_FALSE(AttemptOf("a").late_awaited);
  EXPECT_EQ(AttemptOf("a").log_ended, wall_);
  EXPECT_FALSE(Job("a").late.known());
  DroneUp("d1", 1, {held_});
  EXPECT_EQ(WelcomedWith("d1", epoch_).action, Action::kFenced);
  ExpectTheVerdictStands();
}

TEST_F(HiveLate, AnotherDroneIsFenced) {
  UnknownDeploy();
  DroneUp("d2", 1, {held_});
  EXPECT_EQ(WelcomedWith("d2", epoch_).action, Action::kFenced);
  EXPECT_TRUE(AttemptOf("a").late_awaited);
}

// Back after it was given up and before the verdict is out: it is kept, and asked for again.
TEST_F(HiveLate, ADroneThatIsBackTooEarlyKeepsIt) {
  DroneUp("d1");
  Submit("a", {.type = JobType::kDeploy});
  Accept("a");
  AsksForGrant("a");
  epoch_ = Current("a");
  held_ = Holds("a", HeldState::kGranted);
  AdvancePastLease();
  DroneUp("d1", 1, {held_});
  EXPECT_EQ(WelcomedWith("d1", epoch_).action, Action::kUnknown);
  const ConnectionId first = ConnectionOf("d1");
  SealsComplete();
  ExpectState("a", JobState::kErrored, Reason::kUnknown);
  ASSERT_TRUE(closed_.contains(first)) << "it shall say hello again";
  EXPECT_TRUE(absl::IsUnavailable(closed_.at(first)));
  DroneUp("d1", 1, {held_});
  EXPECT_EQ(WelcomedWith("d1", epoch_).action, Action::kContinue);
  LateLogEnds(epoch_, Deployed());
  EXPECT_EQ(Job("a").late.state, JobState::kPassed);
}

// Its own final record was on its way to the disk when it was given up.
TEST_F(HiveLate, OneThatIsKeptAndHasEndedAfterAllIsForgotten) {
  DroneUp("d1");
  Submit("a", {.type = JobType::kDeploy});
  Accept("a");
  AsksForGrant("a");
  epoch_ = Current("a");
  held_ = Holds("a", HeldState::kFinished);
  AdvancePastLease();
  DroneUp("d1", 1, {held_});
  EXPECT_EQ(WelcomedWith("d1", epoch_).action, Action::kUnknown);
  const ConnectionId first = ConnectionOf("d1");
  LogEnds(epoch_, Deployed());
  ExpectState("a", JobState::kPassed);
  ASSERT_TRUE(closed_.contains(first)) << "it shall say hello again";
  DroneUp("d1", 1, {held_});
  EXPECT_EQ(WelcomedWith("d1", epoch_).action, Action::kForget);
}

TEST_F(HiveLate, ACanceledOneIsNotAwaited) {
  DroneUp("d1");
  Submit("a", {.type = JobType::kDeploy});
  Accept("a");
  AsksForGrant("a");
  held_ = Holds("a", HeldState::kGranted);
  Cancel("a");
  AdvancePastLease();
  SealsComplete();
  ExpectState("a", JobState::kCanceled, Reason::kCanceled);
  DroneUp("d1", 1, {held_});
  EXPECT_EQ(WelcomedWith("d1", held_.epoch).action, Action::kFenced);
}

// Its key is never welcome again, so it cannot bring the truth, and nobody is told to wait for it.
TEST_F(HiveLate, ARevokedDroneIsNotAwaited) {
  EnrolDrone("d1");
  UnknownDeploy();
  Step(event::Revoke{NewRequest(), PeerKind::kDrone, "d1"});
  EXPECT_FALSE(AttemptOf("a").late_awaited);
  ExpectTheVerdictStands();
}

TEST_F(HiveLate, OneThatIsRevokedInTheMiddleOfItIsNotAwaitedEither) {
  EnrolDrone("d1");
  DroneUp("d1");
  Submit("a", {.type = JobType::kDeploy});
  Accept("a");
  AsksForGrant("a");
  Step(event::Revoke{NewRequest(), PeerKind::kDrone, "d1"});
  SealsComplete();
  ExpectState("a", JobState::kErrored, Reason::kUnknown);
  EXPECT_FALSE(AttemptOf("a").late_awaited);
}

}  // namespace
}  // namespace waggle::queen
