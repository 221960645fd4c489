// Drones that take no work: by their owner's word, or because the queen was asked.
#include "tests/queen/core/hive_fixture.h"

namespace waggle::queen {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class HiveDrains : public HiveTest {
 protected:
  DroneView Drain(const std::string& name, std::optional<Duration> deadline = std::nullopt) {
    event::DrainDrone drain{NewRequest(), name, "anna", "kernel update", deadline};
    Step(drain);
    return AnswerTo<DroneView>(drain.request);
  }
  DroneView Undrain(const std::string& name) {
    event::UndrainDrone undrain{NewRequest(), name};
    Step(undrain);
    return AnswerTo<DroneView>(undrain.request);
  }
  void OwnerSays(const std::string& name, Intake intake, const std::string& reason = "",
                 std::uint32_t capacity = 1) {
    DroneInfo info{.speed = 1, .capacity = capacity};
    info.intake = intake;
    info.intake_reason = reason;
    Step(event::Info{ConnectionOf(name), info});
  }
  void HandsBack(const std::string& job) {
    Step(event::ShimLost{DroneOf(job).connection, Current(job), 3, "", false, /*handed_back=*/true});
  }
};

TEST_F(HiveDrains, WhatItsOwnerClosesGetsNothingAndIsNamed) {
  DroneUp("d1");
  OwnerSays("d1", Intake::kPaused, "office hours");
  EXPECT_EQ(View("d1").intake, Intake::kPaused);
  EXPECT_EQ(View("d1").intake_reason, "office hours");
  Submit("a");
  ExpectQueued("a");
  EXPECT_EQ(WhyWaiting("a"), "the only matching drone takes no work: d1 is paused (office hours)");
  OwnerSays("d1", Intake::kDraining);
  EXPECT_EQ(WhyWaiting("a"), "the only matching drone takes no work: d1 is draining");
  OwnerSays("d1", Intake::kOpen);
  ExpectAssigned("a", "d1");
}

TEST_F(HiveDrains, AHelloClosesIt) {
  event::Hello hello = HelloOf("d1", 2, 1);
  hello.info->intake = Intake::kPaused;
  SayHello("d1", hello);
  Submit("a");
  ExpectQueued("a");
  Disconnect("d1");
  EXPECT_EQ(View("d1").intake, Intake::kOpen) << "of a drone that is away nobody knows";
}

TEST_F(HiveDrains, ADrainIsStoredSaidAndKeepsWorkAway) {
  DroneUp("d1", 2);
  Submit("a");
  Starts("a");
  const DroneView view = Drain("d1");
  EXPECT_EQ(view.used, 1u);
  EXPECT_EQ(view.row.drained, wall_);
  EXPECT_EQ(store_.drones.at(view.row.id).drain_reason, "kernel update");
  ASSERT_THAT(SentTo<to_drone::Drain>("d1"), SizeIs(1));
  EXPECT_EQ(SentTo<to_drone::Drain>("d1")[0].by, "anna");
  EXPECT_FALSE(SentTo<to_drone::Drain>("d1")[0].hand_back);
  Submit("b");
  ExpectQueued("b");
  EXPECT_EQ(WhyWaiting("b"), "the only matching drone takes no work: d1 is drained by anna: kernel update");
  Passes("a");
  ExpectState("a", JobState::kPassed);
  ExpectQueued("b");
  Undrain("d1");
  EXPECT_FALSE(SentTo<to_drone::Drain>("d1").at(1).on);
  ExpectAssigned("b", "d1");
}

TEST_F(HiveDrains, ItOutlivesTheQueenAndTheSession) {
  DroneUp("d1");
  Drain("d1");
  Restart();
  DroneUp("d1");
  ASSERT_TRUE(SentTo<to_drone::Welcome>("d1")[0].drain.has_value());
  EXPECT_EQ(SentTo<to_drone::Welcome>("d1")[0].drain->reason, "kernel update");
  Submit("a");
  ExpectQueued("a");
  Disconnect("d1");
  Undrain("d1");
  DroneUp("d1");
  EXPECT_FALSE(SentTo<to_drone::Welcome>("d1")[0].drain.has_value());
  ExpectAssigned("a", "d1");
}

TEST_F(HiveDrains, AfterTheDeadlineWhatRunsIsHandedBackOnce) {
  DroneUp("d1", 2);
  Submit("a");
  Starts("a");
  Drain("d1", 60s);
  EXPECT_EQ(View("d1").row.drain_deadline, wall_ + 60'000);
  for (int i = 0; i < 4; ++i) {
    Heartbeat("d1");
    Advance(14s);
  }
  EXPECT_THAT(SentTo<to_drone::Drain>("d1"), SizeIs(1));
  Heartbeat("d1");
  Advance(14s);
  ASSERT_THAT(SentTo<to_drone::Drain>("d1"), SizeIs(2));
  EXPECT_TRUE(SentTo<to_drone::Drain>("d1")[1].hand_back);
  const Epoch handed = Current("a");
  HandsBack("a");
  EXPECT_THAT(store_.attempts.at(handed).detail, HasSubstr("d1 was drained and handed the job back"));
  ExpectQueued("a");
  DroneUp("d2");
  ExpectAssigned("a", "d2");
}

TEST_F(HiveDrains, ADeadlineThatPassedWhileEitherWasAwayHoldsToo) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  Drain("d1", 5s);
  Disconnect("d1");
  Advance(6s);
  DroneUp("d1", 1, {Holds("a")});
  EXPECT_TRUE(SentTo<to_drone::Welcome>("d1")[0].drain->hand_back);
  Drain("d1", 5s);  // anew
  EXPECT_FALSE(SentTo<to_drone::Drain>("d1").back().hand_back);
  now_ += 60s;
  wall_ += 60'000;
  Restart();
  DroneUp("d1", 1, {Holds("a")});
  Advance(1s);
  const bool in_welcome = SentTo<to_drone::Welcome>("d1")[0].drain->hand_back;
  const auto said = SentTo<to_drone::Drain>("d1");
  EXPECT_TRUE(in_welcome || (!said.empty() && said.back().hand_back));
}

TEST_F(HiveDrains, AnUndrainForgetsTheDeadline) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  Drain("d1", 5s);
  Undrain("d1");
  Advance(6s);
  EXPECT_THAT(SentTo<to_drone::Drain>("d1"), SizeIs(2)) << "on and off";
}

TEST_F(HiveDrains, QueenAndOwnerDoNotUndoEachOther) {
  DroneUp("d1");
  Drain("d1");
  OwnerSays("d1", Intake::kPaused);
  OwnerSays("d1", Intake::kOpen);
  Submit("a");
  ExpectQueued("a");
  OwnerSays("d1", Intake::kPaused);
  Undrain("d1");
  ExpectQueued("a");
  OwnerSays("d1", Intake::kOpen);
  ExpectAssigned("a", "d1");
}

TEST_F(HiveDrains, AHostThatIsSetUpAnewIsStillDrained) {
  DroneUp("d1");
  Drain("d1");
  Disconnect("d1");
  drones_["d1"].identity = "another identity";
  DroneUp("d1");
  Submit("a");
  ExpectQueued("a");
  EXPECT_EQ(View("d1").row.drained_by, "anna");
  Restart();
  DroneUp("d1");
  ExpectQueued("a");
  Undrain("d1");
  ExpectAssigned("a", "d1");
}

TEST_F(HiveDrains, NoSuchDrone) {
  event::DrainDrone drain{NewRequest(), "nobody", "anna", "", std::nullopt};
  Step(drain);
  EXPECT_TRUE(absl::IsNotFound(AnswerTo<absl::Status>(drain.request)));
  event::UndrainDrone undrain{NewRequest(), "nobody"};
  Step(undrain);
  EXPECT_TRUE(absl::IsNotFound(AnswerTo<absl::Status>(undrain.request)));
}

TEST_F(HiveDrains, RepeatsChangeNothing) {
  DroneUp("d1");
  const WallMillis since = Drain("d1").row.drained;
  Advance(5s);
  EXPECT_EQ(Drain("d1").row.drained, since);
  Undrain("d1");
  const std::size_t said = SentTo<to_drone::Drain>("d1").size();
  Undrain("d1");
  EXPECT_THAT(SentTo<to_drone::Drain>("d1"), SizeIs(said));
}

TEST_F(HiveDrains, ClosedDronesBesideOpenOnesAreNamedToo) {
  DroneUp("d1");
  DroneUp("d2");
  Drain("d2");
  Submit("a");
  Submit("b");
  ExpectAssigned("a", "d1");
  EXPECT_EQ(WhyWaiting("b"),
            "all 1 slots of 1 matching drone are in use; 1 job waits; d2 is drained by anna: kernel update");
}

}  // namespace
}  // namespace waggle::queen
