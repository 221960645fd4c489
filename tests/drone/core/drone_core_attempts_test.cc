#include "tests/drone/core/core_fixture.h"

namespace waggle::drone {
namespace {

using testing::HasSubstr;

class AttemptsTest : public CoreTest {};

TEST_F(AttemptsTest, AnAssignmentIsStartedThenAccepted) {
  Connect();
  AssignOnly(7);
  ASSERT_EQ(Count<effect::StartAttempt>(), 1u);
  EXPECT_EQ(All<effect::StartAttempt>()[0].assign.document, "document");
  EXPECT_TRUE(Sent<Accept>().empty()) << "accepted before the shim runs";
  Step(event::Started{Epoch(7), JobId(3)});
  EXPECT_TRUE(Sent<Accept>().empty()) << "a first status would say as much";
  const Time started = now_;
  Sleep();
  EXPECT_EQ(now_, started + kSayWithin);
  ASSERT_EQ(Sent<Accept>().size(), 1u);
  EXPECT_EQ(Sent<Accept>()[0].epoch, Epoch(7));
  EXPECT_EQ(Sent<Accept>()[0].received, 1000);
}

TEST_F(AttemptsTest, AFirstStatusInTimeIsTheAcceptance) {
  Connect();
  AssignOnly(7);
  Step(event::Started{Epoch(7), JobId(3)});
  Status(7, HeldState::kRunning, 0);
  ASSERT_EQ(Sent<Held>().size(), 1u);
  EXPECT_EQ(Sent<Held>()[0].received, 1000);
  const Time said = now_;
  Sleep();
  EXPECT_GT(now_, said + kSayWithin) << "an Accept is still to come";
}

TEST_F(AttemptsTest, TheEndIsSaidUnlessItsVerdictComesFirst) {
  Connect();
  Run(7);
  Run(8);
  Status(7, HeldState::kFinished, 3);
  Status(8, HeldState::kFinished, 3);
  EXPECT_TRUE(Sent<Held>().empty());
  Gone(7, HeldState::kFinished, 3);
  Hear(Verdict{Epoch(7), JobState::kPassed});
  const Time ended = now_;
  Sleep();
  EXPECT_EQ(now_, ended + kSayWithin);
  ASSERT_EQ(Sent<Held>().size(), 1u);
  EXPECT_EQ(Sent<Held>()[0].epoch, Epoch(8));
  EXPECT_EQ(Sent<Held>()[0].state, HeldState::kFinished);
}

TEST_F(AttemptsTest, ACutBeforeTheAcceptanceLeavesItToTheHello) {
  Connect();
  AssignOnly(7);
  Step(event::Started{Epoch(7), JobId(3)});
  Cut();
  ComeBack();
  EXPECT_EQ(LastHello().attempts.at(0).state, HeldState::kAccepted);
  WelcomeWith({{Epoch(7), Disposition::Action::kContinue, Seq(0), false, false}});
  SleepFor(1s);
  EXPECT_TRUE(Sent<Accept>().empty());
}

TEST_F(AttemptsTest, ASecondAssignOfAHeldEpochIsAcceptedAgainAndStartsNothing) {
  Connect();
  Run(7);
  AssignOnly(7);
  EXPECT_EQ(Count<effect::StartAttempt>(), 0u);
  ASSERT_EQ(Sent<Accept>().size(), 1u);
  EXPECT_EQ(core_.held(), 1u);
}

TEST_F(AttemptsTest, ASecondAssignWhileStartingGetsOneAcceptOnly) {
  Connect();
  AssignOnly(7);
  AssignOnly(7);
  EXPECT_TRUE(said_.empty());
  Step(event::Started{Epoch(7), JobId(3)});
  Sleep();
  EXPECT_EQ(Sent<Accept>().size(), 1u);
}

TEST_F(AttemptsTest, AboveCapacityIsRejectedUntilATreeIsGone) {
  Connect();
  Run(1);
  Run(2);
  AssignOnly(3);
  ASSERT_EQ(Sent<Reject>().size(), 1u);
  EXPECT_THAT(Sent<Reject>()[0].reason, HasSubstr("no free slot: 2 of 2"));
  Status(1, HeldState::kFinished, 5);
  EXPECT_EQ(core_.running(), 1u);
  Run(3);
  EXPECT_EQ(core_.held(), 3u);
}

TEST_F(AttemptsTest, AnAssignmentWaitsForTheTreeOfAFencedAttempt) {
  Connect();
  Run(1);
  Run(2);
  Hear(Fenced{Epoch(1)});
  AssignOnly(3);
  AssignOnly(3);
  EXPECT_EQ(Sent<Reject>().size(), 0u);
  EXPECT_EQ(Count<effect::StartAttempt>(), 0u);
  AssignOnly(4);
  EXPECT_EQ(Sent<Reject>().size(), 1u) << "there is one such slot";
  Gone(1, HeldState::kLost, 5);
  ASSERT_EQ(Count<effect::StartAttempt>(), 1u);
  EXPECT_EQ(All<effect::StartAttempt>()[0].assign.epoch, Epoch(3));
}

TEST_F(AttemptsTest, AFailedStartIsRejectedWithItsReasonAndForgotten) {
  Connect();
  AssignOnly(7);
  Step(event::StartFailed{Epoch(7), "the job document cannot be decoded"});
  ASSERT_EQ(Sent<Reject>().size(), 1u);
  EXPECT_EQ(Sent<Reject>()[0].reason, "the job document cannot be decoded");
  EXPECT_EQ(core_.held(), 0u);
}

TEST_F(AttemptsTest, StatusesReachTheQueenWithTheirCounterAndTimes) {
  Connect();
  Run(7);
  Status(7, HeldState::kCleaning, 4);
  ASSERT_EQ(Sent<Held>().size(), 1u);
  const Held held = Sent<Held>()[0];
  EXPECT_EQ(held.state, HeldState::kCleaning);
  EXPECT_EQ(held.received, 1000);
  EXPECT_EQ(held.started, 2000);
  EXPECT_EQ(held.counter, counter_);
}

TEST_F(AttemptsTest, AStaleStatusOfTheShimChangesNothing) {
  Connect();
  Run(7);
  Status(7, HeldState::kCleaning, 4);
  counter_ -= 2;
  Status(7, HeldState::kAccepted, 1);
  EXPECT_TRUE(Sent<Held>().empty());
}

TEST_F(AttemptsTest, VerdictDeletesOnceTheShimIsGone) {
  Connect();
  Run(7);
  Status(7, HeldState::kFinished, 9);
  Hear(Verdict{Epoch(7), JobState::kPassed});
  EXPECT_EQ(Count<effect::DeleteAttempt>(), 0u) << "the shim is still there";
  EXPECT_EQ(Count<effect::KillTree>(), 0u) << "it leaves by itself";
  Gone(7, HeldState::kFinished, 9);
  ASSERT_EQ(Count<effect::DeleteAttempt>(), 1u);
  EXPECT_EQ(core_.held(), 0u);
}

TEST_F(AttemptsTest, AVerdictThatOvertakesTheShimsEndFreesTheSlotAndKillsNothing) {
  Connect();
  Run(1);
  Run(2);
  Hear(Verdict{Epoch(1), JobState::kPassed});
  EXPECT_EQ(Count<effect::KillTree>(), 0u) << "its last moments are its own";
  EXPECT_EQ(core_.running(), 1u);
  Run(3);
  Status(1, HeldState::kFinished, 5);
  Gone(1, HeldState::kFinished, 5);
  EXPECT_EQ(Count<effect::DeleteAttempt>(), 1u);
}

TEST_F(AttemptsTest, AShimThatStaysAfterTheVerdictIsKilled) {
  Connect();
  Run(7);
  Status(7, HeldState::kFinished, 9);
  Hear(Verdict{Epoch(7), JobState::kPassed});
  ASSERT_TRUE(wake_.has_value());
  const Time verdict = now_;
  bool killed = false;
  while (!killed) {
    Sleep();
    killed = Count<effect::KillTree>() > 0;
  }
  EXPECT_EQ(now_, verdict + kShimLeaves);
}

TEST_F(AttemptsTest, FencedKillsThenDeletesAndSaysNothingMore) {
  Connect();
  Run(7);
  Hear(Fenced{Epoch(7)});
  EXPECT_EQ(Count<effect::KillTree>(), 1u);
  EXPECT_EQ(Count<effect::DeleteAttempt>(), 0u);
  Watermark(7, 100);
  EXPECT_EQ(Count<effect::SendRecords>(), 0u);
  Gone(7, HeldState::kLost, 100, "killed");
  EXPECT_TRUE(Sent<ShimLost>().empty());
  EXPECT_EQ(Count<effect::DeleteAttempt>(), 1u);
}

TEST_F(AttemptsTest, FencedWhileStartingKillsAsSoonAsItRuns) {
  Connect();
  AssignOnly(7);
  Hear(Fenced{Epoch(7)});
  EXPECT_EQ(Count<effect::DeleteAttempt>(), 0u);
  Step(event::Started{Epoch(7), JobId(3)});
  EXPECT_TRUE(Sent<Accept>().empty());
  EXPECT_EQ(Count<effect::KillTree>(), 1u);
  Gone(7, HeldState::kLost, 0);
  EXPECT_EQ(Count<effect::DeleteAttempt>(), 1u);
}

TEST_F(AttemptsTest, ForgetOfALiveAttemptEndsIt) {
  Connect();
  Run(7);
  Hear(Forget{Epoch(7)});
  EXPECT_EQ(Count<effect::KillTree>(), 1u);
}

TEST_F(AttemptsTest, MessagesAboutUnknownEpochsChangeNothing) {
  Connect();
  for (ControlDown m : {ControlDown(Cancel{Epoch(99), "a", "b", true}), ControlDown(Grant{Epoch(99)}),
                        ControlDown(Verdict{Epoch(99), JobState::kPassed}), ControlDown(Forget{Epoch(99)}),
                        ControlDown(Fenced{Epoch(99)})}) {
    Hear(m);
    EXPECT_TRUE(said_.empty());
  }
  Status(99, HeldState::kRunning, 1);
  EXPECT_TRUE(said_.empty());
  Watermark(99, 5);
  Gone(99, HeldState::kLost, 5);
  EXPECT_TRUE(said_.empty());
  EXPECT_EQ(core_.held(), 0u);
}

TEST_F(AttemptsTest, CancelBeforeTheShimConnectsIsDeliveredAtConnect) {
  Connect();
  AssignOnly(7);
  Hear(Cancel{Epoch(7), "ada", "typo", false});
  EXPECT_EQ(Count<effect::CancelShim>(), 0u);
  Step(event::Started{Epoch(7), JobId(3)});
  EXPECT_EQ(Count<effect::CancelShim>(), 0u);
  Step(event::ShimConnected{Epoch(7)});
  ASSERT_EQ(Count<effect::CancelShim>(), 1u);
  EXPECT_EQ(All<effect::CancelShim>()[0].cancel.by, "ada");
  Step(event::ShimDisconnected{Epoch(7)});
  Step(event::ShimConnected{Epoch(7)});
  EXPECT_EQ(Count<effect::CancelShim>(), 1u) << "a new connection hears it again";
}

TEST_F(AttemptsTest, CancelNowIsNotWeakenedByALaterPoliteOne) {
  Connect();
  Run(7);
  Hear(Cancel{Epoch(7), "ada", "", true});
  EXPECT_EQ(Count<effect::CancelShim>(), 1u);
  Hear(Cancel{Epoch(7), "ada", "", false});
  EXPECT_EQ(Count<effect::CancelShim>(), 0u);
}

TEST_F(AttemptsTest, AGrantReachesTheShimWhenItWaitsForIt) {
  Connect();
  Run(7);
  Hear(Grant{Epoch(7)});
  EXPECT_EQ(Count<effect::GrantShim>(), 0u);
  Status(7, HeldState::kRunning, 3, /*wants_grant=*/true);
  EXPECT_EQ(Count<effect::GrantShim>(), 1u);
  EXPECT_TRUE(Sent<Held>()[0].wants_grant);
  Status(7, HeldState::kGranted, 4);
  EXPECT_EQ(Count<effect::GrantShim>(), 0u);
}

TEST_F(AttemptsTest, AShimThatDiesIsReportedLostOnce) {
  Connect();
  Run(7);
  Watermark(7, 6);
  Gone(7, HeldState::kLost, 4, "the shim was killed by signal 9 (Killed)");
  ASSERT_EQ(Sent<ShimLost>().size(), 1u);
  EXPECT_EQ(Sent<ShimLost>()[0].last, Seq(4));
  EXPECT_THAT(Sent<ShimLost>()[0].detail, HasSubstr("signal 9"));
  EXPECT_EQ(core_.running(), 0u);
  Gone(7, HeldState::kLost, 4);
  EXPECT_TRUE(said_.empty());
}

TEST_F(AttemptsTest, AShimThatLeftItsFinalIsFinishedWithACounterAboveItsOwn) {
  Connect();
  Run(7);
  Gone(7, HeldState::kFinished, 12);
  Sleep();
  ASSERT_EQ(Sent<Held>().size(), 1u);
  EXPECT_EQ(Sent<Held>()[0].state, HeldState::kFinished);
  EXPECT_EQ(Sent<Held>()[0].counter, kCounterAfterShim);
  EXPECT_EQ(Sent<Held>()[0].last, Seq(12));
}

// Found by the simulation: the queen's verdict on an attempt that she had fenced freed a slot whose tree
// still lived.
TEST_F(AttemptsTest, AVerdictOnAFencedAttemptDoesNotFreeItsSlot) {
  Connect();
  Run(1);
  Run(2);
  Hear(Fenced{Epoch(1)});
  EXPECT_EQ(Count<effect::KillTree>(), 1u);
  Hear(Verdict{Epoch(1), JobState::kErrored});
  EXPECT_EQ(core_.running(), 2u);
  AssignOnly(3);
  EXPECT_EQ(Count<effect::StartAttempt>(), 0u);  // waits for the slot
  Gone(1, HeldState::kLost, 3);
  EXPECT_EQ(Count<effect::StartAttempt>(), 1u);
}

}  // namespace
}  // namespace waggle::drone
