#include <gmock/gmock.h>

#include "tests/drone/core/core_fixture.h"

namespace waggle::drone {
namespace {

using testing::HasSubstr;

class LinkTest : public CoreTest {};

TEST_F(LinkTest, HelloComesFirstAndBulkOpensWithTheSessionOfTheWelcome) {
  Begin();
  ASSERT_EQ(Count<effect::OpenControl>(), 1u);
  EXPECT_EQ(LastHello().info.capacity, 2u);
  EXPECT_EQ(LastHello().info.labels.at("os"), "linux");
  session_ = 41;
  WelcomeWith();
  ASSERT_EQ(Count<effect::OpenBulk>(), 1u);
  EXPECT_EQ(All<effect::OpenBulk>()[0].session, SessionId(42));
}

TEST_F(LinkTest, BackoffIsFullJitterFrom50MsDoublingToASecond) {
  EXPECT_EQ(Backoff(0, 0.0), 0ns);
  Duration ceiling = 50ms;
  for (int tries = 0; tries < 10; ++tries) {
    EXPECT_LT(Backoff(tries, 0.999), ceiling);
    EXPECT_GT(Backoff(tries, 0.999), ceiling * 9 / 10);
    EXPECT_EQ(Backoff(tries, 0.5), ceiling / 2);
    ceiling = std::min<Duration>(ceiling * 2, 1s);
  }
  EXPECT_LE(Backoff(1'000'000, 1.0), 1s);
}

TEST_F(LinkTest, TriesForEverAndComplainsOnce) {
  Begin();
  std::size_t complaints = 0;
  for (int i = 0; i < 50; ++i) {
    Cut("no such file", 0.999);
    complaints += Count<effect::Note>();
    const Time cut = now_;
    ComeBack();
    EXPECT_LE(now_ - cut, 1s);
  }
  EXPECT_EQ(complaints, 1u);
}

TEST_F(LinkTest, AWelcomeResetsTheBackoff) {
  Begin();
  for (int i = 0; i < 8; ++i) {
    Cut("refused", 0.9);
    ComeBack();
  }
  WelcomeWith();
  Cut("reset", 0.9);
  const Time cut = now_;
  ComeBack();
  EXPECT_LE(now_ - cut, 50ms);
}

TEST_F(LinkTest, AQueenThatDoesNotAnswerTheHelloIsTriedAgain) {
  Begin();
  const Time asked = now_;
  Sleep();
  EXPECT_EQ(now_, asked + limits::kHelloDeadline);
  EXPECT_EQ(Count<effect::CloseControl>(), 1u);
  ComeBack();
}

TEST_F(LinkTest, HeartbeatsEvery15SecondsIdleAndEvery5WithWork) {
  Connect();
  Time last = now_;
  for (int i = 0; i < 3; ++i) {
    Sleep();
    ASSERT_EQ(Sent<Heartbeat>().size(), 1u);
    EXPECT_EQ(now_ - last, 15s);
    EXPECT_EQ(Sent<Heartbeat>()[0].nonce, static_cast<std::uint64_t>(i + 1));
    last = now_;
    Hear(HeartbeatAck{static_cast<std::uint64_t>(i + 1)});
  }
  Run(7);
  Sleep();
  ASSERT_EQ(Sent<Heartbeat>().size(), 1u);
  EXPECT_EQ(now_ - last, 5s);
  EXPECT_EQ(Sent<Heartbeat>()[0].running, 1u);
}

TEST_F(LinkTest, SilenceForALeaseIsALostLink) {
  Connect();
  const Time heard = now_;
  while (Count<effect::CloseControl>() == 0) Sleep();
  EXPECT_EQ(now_, heard + 30s);
  EXPECT_EQ(Count<effect::CloseBulk>(), 1u);
  EXPECT_FALSE(core_.connected());
  ComeBack();
}

// Found by the simulation: counted from the answer, a late one let the drone believe in a lease that its
// queen had long seen end.
TEST_F(LinkTest, TheLeaseCountsFromWhenTheAnsweredHeartbeatWasSent) {
  Connect();
  SleepFor(15s);
  ASSERT_EQ(Sent<Heartbeat>().size(), 1u);
  const Time sent = now_;
  const std::uint64_t nonce = Sent<Heartbeat>()[0].nonce;
  SleepFor(12s);
  Hear(HeartbeatAck{nonce});
  SleepFor(10s);
  EXPECT_TRUE(core_.connected());
  Hear(QueryInfo{});  // says nothing about what the queen heard of this drone
  while (Count<effect::CloseControl>() == 0) Sleep();
  EXPECT_EQ(now_, sent + 30s);
}

TEST_F(LinkTest, AnsweredHeartbeatsKeepTheLease) {
  Connect();
  for (int i = 0; i < 10; ++i) {
    while (Sent<Heartbeat>().empty()) Sleep();
    Hear(HeartbeatAck{Sent<Heartbeat>()[0].nonce});
  }
  EXPECT_TRUE(core_.connected());
}

TEST_F(LinkTest, ReconnectListsEverythingHeldAndAppliesTheAnswers) {
  Connect();
  Run(1);
  Watermark(1, 10);
  Step(event::RecordsSent{Epoch(1), Seq(10), 1000});
  Run(2);
  Status(2, HeldState::kFinished, 5);
  Gone(2, HeldState::kFinished, 5);
  Cut();
  Watermark(1, 20);
  EXPECT_EQ(Count<effect::SendRecords>(), 0u) << "nothing is sent without a session";
  ComeBack();
  ASSERT_EQ(LastHello().attempts.size(), 2u);
  EXPECT_EQ(LastHello().highest_epoch, Epoch(2));
  EXPECT_EQ(LastHello().attempts[0].last, Seq(20));
  EXPECT_EQ(LastHello().attempts[1].state, HeldState::kFinished);
  using A = Disposition::Action;
  WelcomeWith({{Epoch(1), A::kContinue, Seq(6), /*cancel=*/true, false},
               {Epoch(2), A::kForget, Seq(5), false, false}});
  EXPECT_EQ(Count<effect::CancelShim>(), 0u)
      << "who cancels, and how urgently, comes in a message of its own";
  EXPECT_EQ(All<effect::DeleteAttempt>().at(0).epoch, Epoch(2));
  Hear(Cancel{Epoch(1), "ada", "typo", true});
  ASSERT_EQ(Count<effect::CancelShim>(), 1u);
  EXPECT_TRUE(All<effect::CancelShim>()[0].cancel.now);
  Step(event::BulkReady{});
  ASSERT_EQ(Count<effect::SendRecords>(), 1u);
  EXPECT_EQ(All<effect::SendRecords>()[0].from, Seq(7));
  EXPECT_EQ(All<effect::SendRecords>()[0].to, Seq(20));
}

TEST_F(LinkTest, AGrantGivenBeforeTheCutIsDeliveredAfterIt) {
  Connect();
  Run(1);
  Status(1, HeldState::kRunning, 3, /*wants_grant=*/true);
  Cut();
  ComeBack();
  EXPECT_TRUE(LastHello().attempts.at(0).wants_grant);
  WelcomeWith({{Epoch(1), Disposition::Action::kContinue, Seq(0), false, /*granted=*/true}});
  EXPECT_EQ(Count<effect::GrantShim>(), 1u);
}

TEST_F(LinkTest, FencedInTheWelcomeKillsUnknownKeeps) {
  Connect();
  Run(1);
  Run(2);
  Cut();
  ComeBack();
  using A = Disposition::Action;
  WelcomeWith({{Epoch(1), A::kFenced}, {Epoch(2), A::kUnknown}});
  EXPECT_EQ(All<effect::KillTree>().at(0).epoch, Epoch(1));
  Step(event::BulkReady{});
  Watermark(2, 9);
  EXPECT_EQ(Count<effect::SendRecords>(), 0u);
  Status(2, HeldState::kCleaning, 9);
  EXPECT_TRUE(Sent<Held>().empty());
  Cut();
  ComeBack();
  ASSERT_EQ(LastHello().attempts.size(), 1u) << "a restored queen might want what is being killed";
  EXPECT_EQ(LastHello().attempts[0].epoch, Epoch(2)) << "asked again at the next Hello";
}

TEST_F(LinkTest, WhatChangedBetweenHelloAndWelcomeIsSaidAfterIt) {
  Connect();
  Run(1);
  Cut();
  ComeBack();
  Status(1, HeldState::kCleaning, 4);
  EXPECT_TRUE(Sent<Held>().empty()) << "nothing but Hello before Welcome";
  WelcomeWith({{Epoch(1), Disposition::Action::kContinue, Seq(0), false, false}});
  ASSERT_EQ(Sent<Held>().size(), 1u);
  EXPECT_EQ(Sent<Held>()[0].state, HeldState::kCleaning);
}

TEST_F(LinkTest, ALossWhileAwayIsToldWithItsDetail) {
  Connect();
  Run(1);
  Cut();
  Gone(1, HeldState::kLost, 4, "killed by signal 9");
  ComeBack();
  EXPECT_EQ(LastHello().attempts.at(0).state, HeldState::kLost);
  WelcomeWith({{Epoch(1), Disposition::Action::kContinue, Seq(0), false, false}});
  ASSERT_EQ(Sent<ShimLost>().size(), 1u);
  EXPECT_THAT(Sent<ShimLost>()[0].detail, HasSubstr("signal 9"));
}

TEST_F(LinkTest, RecoveredAttemptsAreInTheFirstHelloOnceTheirShimsHaveSpoken) {
  Held dead;
  dead.epoch = Epoch(5);
  dead.state = HeldState::kLost;
  dead.counter = kCounterAfterShim;
  Step(event::Recovered{JobId(50), dead, false, "gone"});
  Held alive;
  alive.epoch = Epoch(6);
  Step(event::Recovered{JobId(60), alive, true, ""});
  Step(event::ShimConnected{Epoch(6)});
  Step(event::Begin{Epoch(11)});
  EXPECT_EQ(Count<effect::OpenControl>(), 0u);
  Status(6, HeldState::kRunning, 33);
  ASSERT_EQ(Count<effect::OpenControl>(), 1u);
  EXPECT_EQ(LastHello().highest_epoch, Epoch(11));
  ASSERT_EQ(LastHello().attempts.size(), 2u);
  EXPECT_EQ(LastHello().attempts[0].state, HeldState::kLost);
  EXPECT_EQ(LastHello().attempts[1].last, Seq(33));
}

TEST_F(LinkTest, WhatWasAcknowledgedOfASilentShimIsNotSentAgain) {
  Held alive;
  alive.epoch = Epoch(6);
  Step(event::Recovered{JobId(60), alive, true, ""});
  Begin();
  Sleep();
  ASSERT_EQ(Count<effect::OpenControl>(), 1u);
  WelcomeWith({{Epoch(6), Disposition::Action::kContinue, Seq(12), false, false}});
  Step(event::BulkReady{});
  EXPECT_EQ(Count<effect::SendRecords>(), 0u);
  EXPECT_EQ(Count<effect::TrimSpool>(), 0u) << "how far it is, only the shim can say";
  Status(6, HeldState::kRunning, 20);
  ASSERT_EQ(Count<effect::SendRecords>(), 1u);
  EXPECT_EQ(All<effect::SendRecords>()[0].from, Seq(13)) << "the ones before may be deleted";
}

TEST_F(LinkTest, AShimThatStaysSilentDelaysTheHelloByItsBoundOnly) {
  Held alive;
  alive.epoch = Epoch(6);
  Step(event::Recovered{JobId(60), alive, true, ""});
  Begin();
  const Time begun = now_;
  Sleep();
  EXPECT_EQ(Count<effect::OpenControl>(), 1u);
  EXPECT_EQ(now_, begun + kFirstStatusWait);
}

TEST_F(LinkTest, ADeposedSessionExitsNamingItsRival) {
  Connect();
  Run(1);
  Step(event::ControlLost{event::ControlLost::Why::kDeposed, "a newer session from host bee-2", 0.5});
  EXPECT_EQ(All<effect::Exit>().at(0).code, 1);
  EXPECT_THAT(All<effect::Note>().at(0).text, HasSubstr("bee-2"));
  EXPECT_EQ(Count<effect::KillTree>(), 0u);
  EXPECT_FALSE(wake_.has_value());
  Step(event::Timer{});
  EXPECT_TRUE(said_.empty());
}

TEST_F(LinkTest, ARefusalAtHelloExitsWithTheQueensWords) {
  Begin();
  Step(event::ControlLost{event::ControlLost::Why::kRefused, "the name bee-1 is in use by another drone",
                          0.5});
  EXPECT_EQ(All<effect::Exit>().at(0).code, 1);
  EXPECT_THAT(All<effect::Note>().at(0).text, HasSubstr("in use"));
}

TEST_F(LinkTest, ARefusalInMidSessionIsACutNotAnEnd) {
  Connect();
  Step(event::ControlLost{event::ControlLost::Why::kRefused, "a field out of bounds", 0.5});
  EXPECT_EQ(Count<effect::Exit>(), 0u);
  ComeBack();
}

TEST_F(LinkTest, AnotherProtocolIsAnErrorAndNotALoop) {
  Begin();
  Hear(Welcome{9, SessionId(1)});
  EXPECT_EQ(All<effect::Exit>().at(0).code, 1);
}

TEST_F(LinkTest, AMessageBeforeWelcomeEndsTheSession) {
  Begin();
  AssignOnly(3);
  EXPECT_EQ(Count<effect::StartAttempt>(), 0u);
  EXPECT_EQ(Count<effect::CloseControl>(), 1u);
  EXPECT_FALSE(core_.connected());
  EXPECT_EQ(wake_, now_ + limits::kBackoffMax) << "a queen that always does so is not asked in a tight loop";
  ComeBack();
  WelcomeWith();
  EXPECT_TRUE(core_.connected());
}

TEST_F(LinkTest, ASecondWelcomeEndsTheSessionAndTheAttemptsGoOn) {
  Connect();
  Run(3);
  WelcomeWith();
  EXPECT_EQ(Count<effect::CloseControl>(), 1u);
  EXPECT_EQ(Count<effect::KillTree>(), 0u);
  EXPECT_EQ(Count<effect::OpenBulk>(), 0u);
  EXPECT_FALSE(core_.connected());
  EXPECT_EQ(core_.running(), 1u);
}

TEST_F(LinkTest, AnAssignmentWithoutAnEpochEndsTheSession) {
  Connect();
  AssignOnly(0);
  EXPECT_EQ(Count<effect::StartAttempt>(), 0u);
  EXPECT_FALSE(core_.connected());
}

TEST_F(LinkTest, AnOldEpochIsNotStartedAgain) {
  Connect();
  Run(7);
  for (std::uint64_t old : {1, 6}) {
    AssignOnly(old);
    EXPECT_EQ(Count<effect::StartAttempt>(), 0u);
    ASSERT_EQ(Sent<Reject>().size(), 1u);
    EXPECT_THAT(Sent<Reject>()[0].reason, testing::HasSubstr("not newer than 7"));
  }
  AssignOnly(8);
  EXPECT_EQ(Count<effect::StartAttempt>(), 1u);
}

TEST_F(LinkTest, ZeroAndNegativeTimesOfAWelcomeFallBackToTheDefaults) {
  Begin();
  Hear(Welcome{1, SessionId(1), 0s, -1s, 0s, {}});
  const Time start = now_;
  Sleep();
  EXPECT_EQ(now_, start + limits::kHeartbeatIdle);
}

}  // namespace
}  // namespace waggle::drone
