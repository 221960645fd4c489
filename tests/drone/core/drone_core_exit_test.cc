#include "tests/drone/core/core_fixture.h"

namespace waggle::drone {
namespace {

using testing::HasSubstr;

// How the drone leaves: a drain, a stop, a detach.
class ExitTest : public CoreTest {};

TEST_F(ExitTest, DrainTakesNoWorkAndExitsWhenNothingIsHeld) {
  Connect();
  Run(7);
  Step(event::Drain{});
  ASSERT_EQ(Sent<Info>().size(), 1u);
  EXPECT_EQ(Sent<Info>()[0].intake, Intake::kDraining);
  Hear(HeartbeatAck{Sent<Heartbeat>().at(0).nonce});
  AssignOnly(8);
  EXPECT_THAT(Sent<Reject>().at(0).reason, HasSubstr("draining"));
  EXPECT_TRUE(Sent<Reject>()[0].withdrawn);
  Status(7, HeldState::kFinished, 3);
  EXPECT_EQ(Count<effect::Exit>(), 0u) << "its log is not delivered";
  Gone(7, HeldState::kFinished, 3);
  Hear(Verdict{Epoch(7), JobState::kPassed});
  ASSERT_EQ(Count<effect::Exit>(), 1u);
  EXPECT_EQ(All<effect::Exit>()[0].code, 0);
}

TEST_F(ExitTest, ASecondDrainEndsAllAndLeavesWithinItsBound) {
  Connect();
  Run(7);
  Step(event::Drain{});
  const Time asked = now_;
  Step(event::Drain{});
  ASSERT_EQ(Count<effect::KillTree>(), 1u);
  EXPECT_TRUE(All<effect::KillTree>()[0].hand_back);
  while (Count<effect::Exit>() == 0) {
    Sleep();
    ASSERT_LE(now_, asked + kStopWait);
  }
  EXPECT_EQ(All<effect::Exit>()[0].code, 1);
  EXPECT_THAT(All<effect::Note>().at(0).text, HasSubstr("job 107 (epoch 7)"));
}

TEST_F(ExitTest, WhatAStopEndsIsHandedBackAndDelivered) {
  Connect();
  Run(7);
  Step(event::Stop{});
  Hear(HeartbeatAck{Sent<Heartbeat>().at(0).nonce});
  Held lost;
  lost.epoch = Epoch(7);
  lost.state = HeldState::kLost;
  lost.last = Seq(5);
  lost.handed_back = true;
  Step(event::ShimGone{lost, ""});
  ASSERT_EQ(Sent<ShimLost>().size(), 1u);
  EXPECT_TRUE(Sent<ShimLost>()[0].handed_back);
  EXPECT_EQ(Sent<ShimLost>()[0].last, Seq(5));
  EXPECT_EQ(Count<effect::Exit>(), 0u) << "its records are not delivered";
  Hear(Verdict{Epoch(7), JobState::kErrored});
  EXPECT_EQ(All<effect::Exit>().at(0).code, 0);
}

TEST_F(ExitTest, WhatCouldNotBeHandedBackIsAfterTheNextStart) {
  Held lost;
  lost.epoch = Epoch(7);
  lost.state = HeldState::kLost;
  lost.last = Seq(5);
  lost.handed_back = true;
  Step(event::Recovered{JobId(107), lost, /*alive=*/false, ""});
  Begin();
  ASSERT_EQ(LastHello().attempts.size(), 1u);
  EXPECT_TRUE(LastHello().attempts[0].handed_back);
}

TEST_F(ExitTest, AnAttemptThatIsStartedIntoAStopIsHandedBack) {
  Connect();
  AssignOnly(7);
  Step(event::Stop{});
  EXPECT_EQ(Count<effect::KillTree>(), 0u);
  Step(event::Started{Epoch(7), JobId(107)});
  ASSERT_EQ(Count<effect::KillTree>(), 1u);
  EXPECT_TRUE(All<effect::KillTree>()[0].hand_back);
}

TEST_F(ExitTest, StopWithEverythingDeliveredExitsClean) {
  Connect();
  Run(7);
  Step(event::Stop{});
  EXPECT_EQ(Sent<Info>().at(0).intake, Intake::kDraining);
  Hear(HeartbeatAck{Sent<Heartbeat>().at(0).nonce});
  Status(7, HeldState::kFinished, 3);
  Gone(7, HeldState::kFinished, 3);
  Hear(Verdict{Epoch(7), JobState::kCanceled});
  EXPECT_EQ(All<effect::Exit>().at(0).code, 0);
}

TEST_F(ExitTest, NothingFollowsTheExit) {
  Connect();
  Run(7);
  Hear(Fenced{Epoch(7)});
  ASSERT_EQ(Count<effect::KillTree>(), 1u);
  now_ += kShimLeaves;  // due again
  Step(event::Detach{});
  ASSERT_FALSE(said_.empty());
  EXPECT_TRUE(std::holds_alternative<effect::Exit>(said_.back()));
}

TEST_F(ExitTest, DetachLeavesAtOnceAndTouchesNothing) {
  Connect();
  Run(7);
  Step(event::Detach{});
  EXPECT_EQ(All<effect::Exit>().at(0).code, 0);
  EXPECT_EQ(Count<effect::KillTree>(), 0u);
  EXPECT_EQ(Count<effect::CancelShim>(), 0u);
  Step(event::Timer{});
  EXPECT_TRUE(said_.empty());
}

}  // namespace
}  // namespace waggle::drone
