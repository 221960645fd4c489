#include "tests/drone/core/core_fixture.h"

namespace waggle::drone {
namespace {

using testing::HasSubstr;

// Two slots.
class IntakeTest : public CoreTest {};

TEST_F(IntakeTest, APauseTakesNoWorkKeepsRunningAndEndsByItself) {
  Connect();
  Run(7);
  Step(event::Pause{"kernel update", now_ + 20s, 123});
  ASSERT_EQ(Sent<Info>().size(), 1u);
  EXPECT_EQ(Sent<Info>()[0].intake, Intake::kPaused);
  EXPECT_EQ(Sent<Info>()[0].intake_reason, "kernel update");
  EXPECT_EQ(Sent<Info>()[0].intake_until, 123);
  EXPECT_EQ(Sent<Info>()[0].capacity, 2u);
  EXPECT_EQ(core_.view().pause->until_wall, 123);
  AssignOnly(8);
  EXPECT_THAT(Sent<Reject>().at(0).reason, HasSubstr("paused and takes no new work: kernel update"));
  EXPECT_TRUE(Sent<Reject>()[0].withdrawn);
  Gone(7, HeldState::kFinished, 3);
  Hear(Verdict{Epoch(7), JobState::kPassed});
  EXPECT_EQ(Count<effect::Exit>(), 0u) << "a paused drone stays";
  SleepFor(19s);
  EXPECT_TRUE(core_.view().pause.has_value());
  SleepFor(1s);
  EXPECT_FALSE(core_.view().pause.has_value());
  EXPECT_EQ(Sent<Info>().at(0).intake, Intake::kOpen);
  AssignOnly(9);
  EXPECT_EQ(Count<effect::StartAttempt>(), 1u);
}

TEST_F(IntakeTest, APauseWithoutTheQueenIsInTheNextHello) {
  Begin();
  Step(event::Pause{"", std::nullopt, 0});
  EXPECT_TRUE(said_.size() == 1u) << "a log line, and no queen to tell";
  Cut();
  ComeBack();
  EXPECT_EQ(LastHello().info.intake, Intake::kPaused);
}

TEST_F(IntakeTest, ResumeTakesWorkAgain) {
  Connect();
  Step(event::Pause{"", std::nullopt, 0});
  Step(event::Resume{});
  EXPECT_EQ(Sent<Info>().at(0).intake, Intake::kOpen);
  Step(event::Resume{});
  EXPECT_TRUE(said_.empty()) << "there is nothing to resume from";
}

TEST_F(IntakeTest, ResumeUndoesADrainButNoStop) {
  Connect();
  Run(7);
  Step(event::Drain{});
  Step(event::Resume{});
  EXPECT_EQ(Sent<Info>().at(0).intake, Intake::kOpen);
  EXPECT_FALSE(core_.view().draining);
  Step(event::Stop{});
  Step(event::Resume{});
  EXPECT_TRUE(said_.empty());
  EXPECT_TRUE(core_.view().stopping);
}

TEST_F(IntakeTest, WhatCrossesADrainIsRefusedBeforeItLeaves) {
  Connect();
  Step(event::Drain{});
  ASSERT_EQ(Sent<Heartbeat>().size(), 1u);
  const std::uint64_t farewell = Sent<Heartbeat>()[0].nonce;
  EXPECT_EQ(Count<effect::Exit>(), 0u);
  AssignOnly(7);
  EXPECT_TRUE(Sent<Reject>().at(0).withdrawn);
  EXPECT_EQ(Count<effect::Exit>(), 0u);
  Hear(HeartbeatAck{farewell});
  ASSERT_EQ(Count<effect::Exit>(), 1u);
  EXPECT_EQ(All<effect::Exit>()[0].code, 0);
}

TEST_F(IntakeTest, AQueenThatDoesNotAnswerHoldsNoDrainUp) {
  Connect();
  Step(event::Drain{});
  const Time asked = now_;
  while (Count<effect::Exit>() == 0) Sleep();
  EXPECT_LE(now_, asked + kFarewellWait);
}

TEST_F(IntakeTest, ADrainBehindTheHelloIsSaidBehindTheWelcome) {
  Begin();
  ASSERT_EQ(Count<effect::OpenControl>(), 1u);
  Step(event::Drain{});
  EXPECT_EQ(Count<effect::Exit>(), 0u) << "she may have assigned something";
  WelcomeWith();
  EXPECT_EQ(Sent<Info>().at(0).intake, Intake::kDraining);
  Hear(HeartbeatAck{Sent<Heartbeat>().at(0).nonce});
  EXPECT_EQ(Count<effect::Exit>(), 1u);
}

TEST_F(IntakeTest, WithoutAQueenADrainOfNothingLeavesAtOnce) {
  Begin();
  Cut();
  Step(event::Drain{});
  EXPECT_EQ(Count<effect::Exit>(), 1u);
}

TEST_F(IntakeTest, AHigherCapacityIsUsedAtOnce) {
  Connect();
  Run(7);
  Run(8);
  Step(event::Resize{3});
  EXPECT_EQ(Sent<Info>().at(0).capacity, 3u);
  Run(9);
}

TEST_F(IntakeTest, ALowerCapacityInterruptsNothing) {
  Connect();
  Run(7);
  Run(8);
  Step(event::Resize{1});
  EXPECT_EQ(Sent<Info>().at(0).capacity, 1u);
  EXPECT_EQ(Count<effect::KillTree>() + Count<effect::CancelShim>(), 0u);
  AssignOnly(9);  // was on its way
  EXPECT_TRUE(Sent<Reject>().at(0).withdrawn) << "no fault of the job";
  Gone(7, HeldState::kFinished, 3);
  AssignOnly(10);
  EXPECT_EQ(Sent<Reject>().size(), 1u) << "one still runs";
  Gone(8, HeldState::kFinished, 3);
  AssignOnly(11);
  EXPECT_EQ(Count<effect::StartAttempt>(), 1u);
}

TEST_F(IntakeTest, SenselessSizesChangeNothing) {
  Connect();
  for (std::uint32_t capacity : {0u, 2u, limits::kMaxCapacity + 1}) {
    Step(event::Resize{capacity});
    EXPECT_TRUE(said_.empty()) << capacity;
  }
}

TEST_F(IntakeTest, TheQueensDrainIsShownUntilSheSaysOtherwise) {
  Connect();
  Run(7);
  Hear(Drain{true, "anna", "kernel update", 99, false});
  ASSERT_TRUE(core_.view().queens_drain.has_value());
  EXPECT_EQ(core_.view().queens_drain->reason, "kernel update");
  EXPECT_TRUE(Sent<Info>().empty()) << "she knows";
  Step(event::Pause{"", std::nullopt, 0});
  Step(event::Resume{});
  EXPECT_TRUE(core_.view().queens_drain.has_value()) << "it is hers to end";
  Cut();
  EXPECT_TRUE(core_.view().queens_drain.has_value());
  ComeBack();
  WelcomeWith();
  EXPECT_FALSE(core_.view().queens_drain.has_value());
}

TEST_F(IntakeTest, AtHerDeadlineWhatRunsIsHandedBackAndTheDroneStays) {
  Connect();
  Run(7);
  Hear(Drain{true, "anna", "", 99, /*hand_back=*/true});
  ASSERT_EQ(Count<effect::KillTree>(), 1u);
  EXPECT_TRUE(All<effect::KillTree>()[0].hand_back);
  Gone(7, HeldState::kLost, 3);
  Hear(Verdict{Epoch(7), JobState::kErrored});
  EXPECT_EQ(Count<effect::Exit>(), 0u);
}

TEST_F(IntakeTest, TheViewShowsWhatIsHeld) {
  Connect();
  Run(7);
  Watermark(7, 9);
  HearBulk(Ack{Epoch(7), Seq(4)});
  const View view = core_.view();
  EXPECT_TRUE(view.connected);
  EXPECT_EQ(view.running, 1u);
  EXPECT_EQ(view.capacity, 2u);
  ASSERT_EQ(view.jobs.size(), 1u);
  EXPECT_EQ(view.jobs[0].job, JobId(107));
  EXPECT_LE(view.jobs[0].undelivered, 9u);
  Cut("connection refused");
  EXPECT_FALSE(core_.view().connected);
  EXPECT_EQ(core_.view().trouble, "connection refused");
}

}  // namespace
}  // namespace waggle::drone
