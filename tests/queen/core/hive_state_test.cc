// States, times, stale and out-of-order messages, verdicts.
#include "tests/queen/core/hive_fixture.h"

namespace waggle::queen {
namespace {

using testing::SizeIs;

using HiveState = HiveTest;

TEST_F(HiveState, ANormalRunShowsEachStateOnceWithRisingTimes) {
  Submit("a");
  Advance(1s);
  DroneUp("d1");
  Advance(1s);
  Accept("a");
  Advance(1s);
  Starts("a");
  Advance(1s);
  journal::Final final;
  final.test_code = 0;
  final.started = wall_ - 1000;
  final.finished = wall_;
  LogEnds(Current("a"), final);
  std::vector<JobState> states;
  for (const JobRow& row : published_) {
    if (states.empty() || states.back() != row.state) states.push_back(row.state);
  }
  EXPECT_EQ(states, (std::vector<JobState>{JobState::kQueued, JobState::kReceived, JobState::kStarted,
                                           JobState::kPassed}));
  const JobTimes& times = Job("a").times;
  EXPECT_NE(times.created, 0);
  EXPECT_LE(times.created, times.queued);
  EXPECT_LT(times.queued, times.received);
  EXPECT_LT(times.received, times.started);
  EXPECT_LT(times.started, times.finished);
  EXPECT_EQ(Job("a").duration_ms, 1500);
}

TEST_F(HiveState, StatesNeverGoBackwards) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  JobTimes times = Job("a").times;
  Advance(1s);
  Accept("a");
  Starts("a");
  HeldAttempt held = Holds("a", HeldState::kAccepted);
  held.counter = 50;
  Report("a", held);
  ExpectState("a", JobState::kStarted);
  EXPECT_EQ(Job("a").times.received, times.received);
  EXPECT_EQ(Job("a").times.started, times.started);
}

TEST_F(HiveState, AStaleStatusIsDropped) {
  DroneUp("d1");
  Submit("a", {.type = JobType::kDeploy});
  HeldAttempt newest = Holds("a");
  newest.counter = 10;
  Report("a", newest);
  HeldAttempt stale = Holds("a", HeldState::kFinished);
  stale.counter = 9;
  stale.wants_grant = true;
  ExpectNothingChanges([&] { Report("a", stale); });
  EXPECT_THAT(SentTo<to_drone::Grant>("d1"), SizeIs(0));
  EXPECT_EQ(View("d1").used, 1u) << "the slot is not free";
}

TEST_F(HiveState, FinishMayComeFirst) {
  DroneUp("d1");
  Submit("a");
  Epoch epoch = Current("a");
  journal::Final final;
  final.test_code = 0;
  final.started = wall_ + 10;
  final.finished = wall_ + 20;
  LogEnds(epoch, final);
  ExpectNothingChanges([&] {
    Step(event::Status{ConnectionOf("d1"),
                       HeldAttempt{.epoch = epoch, .state = HeldState::kRunning, .counter = 1}});
    Step(event::Accept{ConnectionOf("d1"), epoch, wall_});
  });
  ExpectState("a", JobState::kPassed);
  EXPECT_NE(Job("a").times.received, 0);
  EXPECT_EQ(Job("a").times.started, final.started);
  EXPECT_EQ(Job("a").times.finished, final.finished);
}

TEST_F(HiveState, TheVerdictIsFinal) {
  DroneUp("d1");
  Submit("a");
  Epoch epoch = Current("a");
  Passes("a");
  EXPECT_TRUE(closed_logs_.contains(epoch));
  journal::Final failed;
  failed.failed_code = 1;
  ExpectNothingChanges([&] { LogEnds(epoch, failed); });
  ExpectState("a", JobState::kPassed);
}

TEST_F(HiveState, FailedErroredAndCanceledAreThreeThings) {
  DroneUp("d1", 10);
  Submit("failed");
  Fails("failed", 3);
  ExpectState("failed", JobState::kFailed);
  EXPECT_EQ(Job("failed").failed_code, 3);
  EXPECT_EQ(Job("failed").failed_step, "test/unit");
  for (Reason reason :
       {Reason::kTimeout, Reason::kSilence, Reason::kLogLimit, Reason::kSource, Reason::kBadConfig}) {
    std::string job(Name(reason));
    Submit(job);
    journal::Final final;
    final.reason = reason;
    final.detail = "why";
    final.failed_code = 1;
    LogEnds(Current(job), final);
    ExpectState(job, JobState::kErrored, reason);
    EXPECT_EQ(Job(job).detail, "why");
    EXPECT_EQ(store_.attempts.at(Current(job)).state, JobState::kErrored);
  }
}

TEST_F(HiveState, TestAndDeployCodesAreKeptApart) {
  DroneUp("d1");
  Submit("a", {.type = JobType::kTestAndDeploy});
  journal::Final final;
  final.test_code = 0;
  final.deploy_code = final.failed_code = 7;
  LogEnds(Current("a"), final);
  ExpectState("a", JobState::kFailed);
  EXPECT_EQ(Job("a").test_code, 0);
  EXPECT_EQ(Job("a").deploy_code, 7);
}

// The wall clock of a drone may be wrong; the order of the times is not.
TEST_F(HiveState, AClockAnHourBehindIsLifted) {
  DroneUp("d1");
  Submit("a");
  const WallMillis hour = 3'600'000;
  HeldAttempt held = Holds("a");
  held.received = 0;
  held.started = wall_ - hour;
  Report("a", held);
  journal::Final final;
  final.finished = wall_ - hour + 5;
  LogEnds(Current("a"), final);
  const JobTimes& times = Job("a").times;
  EXPECT_GE(times.received, times.queued);
  EXPECT_GE(times.started, times.received);
  EXPECT_GE(times.finished, times.started);
  const JobTimes& of_attempt = store_.attempts.at(Current("a")).times;
  EXPECT_GE(of_attempt.started, of_attempt.created);
  EXPECT_GE(of_attempt.finished, of_attempt.started);
}

TEST_F(HiveState, AFinalWithOnlyAFinishTimeBeforeTheAssignmentIsLifted) {
  DroneUp("d1");
  Submit("a");
  journal::Final final;
  final.finished = wall_ - 3'600'000;
  LogEnds(Current("a"), final);
  EXPECT_GE(Job("a").times.finished, Job("a").times.queued);
}

TEST_F(HiveState, AClockAnHourAheadGivesNoNegativeDurationOnALostAttempt) {
  DroneUp("d1");
  Submit("a");
  HeldAttempt held = Holds("a");
  held.received = held.started = wall_ + 3'600'000;
  Report("a", held);
  Epoch epoch = Current("a");
  AdvancePastLease();
  const JobTimes& times = store_.attempts.at(epoch).times;
  EXPECT_GE(times.finished, times.started);
}

TEST_F(HiveState, AClockThatWasNeverSetIsIgnored) {
  DroneUp("d1");
  Submit("a");
  HeldAttempt held = Holds("a");
  held.received = -62'135'596'800'000;  // the year 1
  held.started = 1000;                  // 1970
  Report("a", held);
  EXPECT_EQ(Job("a").times.received, 0);
  EXPECT_EQ(Job("a").times.started, 0);
  ExpectState("a", JobState::kStarted);
}

TEST_F(HiveState, TheQueensOwnClockMaySetBack) {
  Submit("a");
  wall_ -= 7'200'000;
  Cancel("a");
  EXPECT_GE(Job("a").times.finished, Job("a").times.queued);
}

TEST_F(HiveState, TimesOfAnyMessageAreStored) {
  DroneUp("d1");
  Submit("a");
  HeldAttempt held = Holds("a");
  held.started = 0;
  Report("a", held);
  held.counter += 1;
  held.started = wall_ + 3;
  Report("a", held);
  EXPECT_EQ(Job("a").times.started, wall_ + 3);
  EXPECT_EQ(AttemptOf("a").times.started, wall_ + 3);
}

TEST_F(HiveState, TheDroneIsToldTheVerdictAndTheLogIsClosed) {
  DroneUp("d1");
  Submit("a");
  Epoch epoch = Current("a");
  EXPECT_EQ(log_sessions_[epoch], drones_["d1"].session);
  Fails("a");
  ASSERT_THAT(SentTo<to_drone::Verdict>("d1"), SizeIs(1));
  EXPECT_EQ(SentTo<to_drone::Verdict>("d1")[0].epoch, epoch);
  EXPECT_EQ(SentTo<to_drone::Verdict>("d1")[0].state, JobState::kFailed);
  EXPECT_TRUE(closed_logs_.contains(epoch));
  EXPECT_EQ(store_.attempts.at(epoch).last_seq, 9u);
}

}  // namespace
}  // namespace waggle::queen
