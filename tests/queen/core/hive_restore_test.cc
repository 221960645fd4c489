// A queen that was restored from a backup.
#include "tests/queen/core/hive_fixture.h"

namespace waggle::queen {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class HiveRestore : public HiveTest {
 protected:
  void BackUp() { backup_ = store_; }
  // Everything since BackUp() is forgotten, and the database of that time cannot be read.
  void GoBack() {
    store_.Restore(backup_, Counters{});
    wall_ += 1000;
    Restart();
  }
  static HeldAttempt Held(Epoch epoch, HeldState state = HeldState::kRunning) {
    HeldAttempt held;
    held.epoch = epoch;
    held.state = state;
    held.counter = 1;
    return held;
  }
  // An attempt of the time that was lost, with which d1 comes back.
  Epoch ComesBackWithAForgottenOne() {
    BackUp();
    DroneUp("d1");
    Submit("lost");
    const Epoch epoch = Current("lost");
    GoBack();
    DroneUp("d1", 1, {Held(epoch)});
    return epoch;
  }
  // Of which so much is left when it returns; connected drones are heard.
  void Listens(Duration left = Duration::zero()) {
    const Duration length = config_.LostAfter() - left;
    for (int part = 0; part < 4; ++part) {
      Advance(length / 4);
      for (const auto& [name, drone] : drones_) {
        if (drone.connection) Heartbeat(name);
      }
    }
    Advance(length % 4);
  }

  ShadowStore backup_ = store_;
};

TEST_F(HiveRestore, GivesNothingForOneLeaseAndEveryWaitingJobSaysSo) {
  DroneUp("d1");
  BackUp();
  GoBack();
  DroneUp("d1");
  Submit("a");
  ExpectQueued("a");
  EXPECT_THAT(WhyWaiting("a"),
              HasSubstr("the queen was restored from a backup and listens to her drones for"));
  Listens(1s);
  ExpectQueued("a");
  Advance(1s);
  ExpectAssigned("a", "d1");
}

TEST_F(HiveRestore, EpochsGoOnBehindTheHighestThatAnyDroneHasSeen) {
  DroneUp("d1", 4);
  BackUp();
  GoBack();
  event::Hello hello = HelloOf("d1", 4, 1);
  hello.highest_epoch = Epoch(5'000'000'000'000);  // above what the clock says
  SayHello("d1", hello);
  Listens();
  Submit("a");
  EXPECT_GT(Current("a"), Epoch(5'000'000'000'000 + 1'000'000));
}

// The drones that saw what was given in between are not there.
TEST_F(HiveRestore, TheSameBackupTwiceGivesNothingTwice) {
  DroneUp("d1");
  BackUp();
  GoBack();
  DroneUp("d1");
  Listens();
  Submit("a");
  const Epoch first = Current("a");
  const SessionId session = drones_["d1"].session;
  GoBack();
  DroneUp("d1");
  Listens();
  Submit("a");
  EXPECT_GT(Current("a"), first);
  EXPECT_GT(drones_["d1"].session, session);
}

TEST_F(HiveRestore, NumbersOfJobsAreNotGivenAgain) {
  BackUp();
  const JobId before = Submit("a");
  GoBack();
  EXPECT_GT(Submit("b").value(), before.value() + 9'000);
}

TEST_F(HiveRestore, WhatADroneHoldsOfTheMissingTimeIsKeptAndListedAndTakesItsSlot) {
  BackUp();
  DroneUp("d1", 2);
  Submit("lost");
  Starts("lost");
  const Epoch epoch = Current("lost");
  GoBack();
  DroneUp("d1", 2, {Held(epoch)});
  EXPECT_EQ(WelcomedWith("d1", epoch).action, Action::kUnknown);
  EXPECT_THAT(View("d1").forgotten, ElementsAre(epoch));
  EXPECT_EQ(View("d1").used, 1u);
  Listens();
  Submit("a");
  Submit("b");
  ExpectAssigned("a", "d1");
  ExpectQueued("b");

  Disconnect("d1");
  HeldAttempt a = Holds("a");
  DroneUp("d1", 2, {a, Held(epoch)});
  EXPECT_EQ(WelcomedWith("d1", epoch).action, Action::kUnknown) << "again and again, not once";
  Restart();
  DroneUp("d1", 2, {a, Held(epoch)});
  EXPECT_EQ(WelcomedWith("d1", epoch).action, Action::kUnknown) << "also of the next queen";
}

TEST_F(HiveRestore, AnotherDroneThatRaisedTheNumbersChangesNothingForIt) {
  BackUp();
  DroneUp("d1");
  Submit("lost");
  const Epoch epoch = Current("lost");
  GoBack();
  event::Hello other = HelloOf("d2", 1, 1);
  other.highest_epoch = Epoch(epoch.value() + 40);
  SayHello("d2", other);
  Listens();
  DroneUp("d1", 1, {Held(epoch)});
  EXPECT_EQ(WelcomedWith("d1", epoch).action, Action::kUnknown);
}

TEST_F(HiveRestore, ItsSlotIsFreeWhenTheDroneSaysThatLessRuns) {
  ComesBackWithAForgottenOne();
  Listens();
  Submit("a");
  ExpectQueued("a");
  Step(event::Heartbeat{ConnectionOf("d1"), 1, {}, 1});
  ExpectQueued("a");
  Step(event::Heartbeat{ConnectionOf("d1"), 2, {}, 0});
  ExpectAssigned("a", "d1");
}

TEST_F(HiveRestore, NothingItSaysOfItIsAnOffence) {
  const Epoch epoch = ComesBackWithAForgottenOne();
  for (int i = 0; i < kTrespasses + 1; ++i) Step(event::Status{ConnectionOf("d1"), Held(epoch)});
  EXPECT_THAT(SentTo<to_drone::Fenced>("d1"), IsEmpty());
  EXPECT_TRUE(View("d1").connected);
}

TEST_F(HiveRestore, APersonEndsIt) {
  const Epoch epoch = ComesBackWithAForgottenOne();
  event::ForgetAttempt forget{NewRequest(), "d1", epoch};
  Step(forget);
  EXPECT_THAT(AnswerTo<DroneView>(forget.request).forgotten, IsEmpty());
  ASSERT_EQ(SentTo<to_drone::Fenced>("d1").size(), 1u);
  EXPECT_EQ(SentTo<to_drone::Fenced>("d1")[0].epoch, epoch);
  Listens();
  Submit("a");
  ExpectAssigned("a", "d1");

  forget.request = NewRequest();
  Step(forget);
  EXPECT_THAT(std::string(AnswerTo<absl::Status>(forget.request).message()),
              HasSubstr("holds no attempt " + std::to_string(epoch.value())));
}

// It is no way to end what the queen knows.
TEST_F(HiveRestore, OnlyWhatIsForgottenCanBeForgotten) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  event::ForgetAttempt forget{NewRequest(), "d1", Current("a")};
  ExpectNothingChanges([&] { Step(forget); });
  EXPECT_TRUE(absl::IsNotFound(AnswerTo<absl::Status>(forget.request)));
  EXPECT_THAT(SentTo<to_drone::Fenced>("d1"), IsEmpty());
}

TEST_F(HiveRestore, ADeployThatWaitedInTheBackupDoesNotRun) {
  Submit("d", {.type = JobType::kDeploy});
  Submit("t");
  BackUp();
  GoBack();
  ExpectState("d", JobState::kErrored, Reason::kUnknown);
  EXPECT_THAT(Job("d").detail, HasSubstr("its deploy may have run since, so it is not repeated"));
  DroneUp("d1");
  Listens();
  ExpectAssigned("t", "d1");
}

TEST_F(HiveRestore, ADeployThatRanInTheBackupEndsAsUnknownAndItsTruthIsAwaited) {
  DroneUp("d1");
  Submit("d", {.type = JobType::kTestAndDeploy});
  Starts("d");
  const Epoch epoch = Current("d");
  BackUp();
  GoBack();
  SealsComplete();
  ExpectState("d", JobState::kErrored, Reason::kUnknown);
  EXPECT_EQ(Job("d").deploy_code, 504);
  DroneUp("d1", 1, {Held(epoch, HeldState::kGranted)});
  EXPECT_EQ(WelcomedWith("d1", epoch).action, Action::kContinue);
  journal::Final final;
  final.deploy_code = 0;
  LateLogEnds(epoch, final);
  EXPECT_EQ(Job("d").late.state, JobState::kPassed);
}

TEST_F(HiveRestore, ADeploySubmittedMeanwhileIsNotSettledByTheNextStart) {
  BackUp();
  GoBack();
  Submit("d", {.type = JobType::kDeploy});
  Restart();
  ExpectQueued("d");
  DroneUp("d1");
  Listens(1s);
  ExpectQueued("d");
  Advance(1s);
  ExpectAssigned("d", "d1");
}

// The log says that the attempt was given up in the missing time: its job had gone on elsewhere.
TEST_F(HiveRestore, ASealThatIsNotRememberedEndsTheAttemptNotTheJob) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  const Epoch epoch = Current("a");
  BackUp();
  GoBack();
  journal::Final seal;
  seal.reason = Reason::kDroneLost;
  seal.detail = "d1 was lost";
  LogEnds(epoch, seal);
  ExpectQueued("a");
  EXPECT_EQ(store_.attempts.at(epoch).reason, Reason::kDroneLost);
  DroneUp("d1");
  Listens();
  ExpectAssigned("a", "d1");
  EXPECT_EQ(Job("a").attempts, 2u);
}

TEST_F(HiveRestore, AQueenThatWasAwayListensAnew) {
  BackUp();
  GoBack();
  DroneUp("d1");
  Submit("a");
  now_ += config_.LostAfter() + 60s;  // stopped, and nobody was heard
  Step(event::Tick{});
  ExpectQueued("a");
  Listens();
  ExpectAssigned("a", "d1");
}

// Nobody said that there was a backup: a drone shows it.
TEST_F(HiveRestore, ABackupPutInPlaceByHandIsNoticedByTheFirstDroneThatKnowsMore) {
  BackUp();
  DroneUp("d1");
  Submit("lost");
  const Epoch epoch = Current("lost");
  store_ = backup_;
  Restart();
  DroneUp("d2");
  event::Hello hello = HelloOf("d1", 1, 1);
  hello.highest_epoch = Epoch(epoch.value() + 5);
  hello.attempts = {Held(epoch)};
  SayHello("d1", hello);
  EXPECT_EQ(WelcomedWith("d1", epoch).action, Action::kUnknown);
  Submit("a");
  EXPECT_GT(Current("a").value(), epoch.value() + 1'000'000);
  SayHello("d1", hello);
  EXPECT_EQ(WelcomedWith("d1", epoch).action, Action::kUnknown)
      << "not fenced, now that the numbers are higher";
}

}  // namespace
}  // namespace waggle::queen
