// Cancel in every state a job can be in.
#include "tests/queen/core/hive_fixture.h"

namespace waggle::queen {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class HiveCancel : public HiveTest {
 protected:
  void CanceledFinal(const std::string& job) {
    journal::Final final;
    final.reason = Reason::kCanceled;
    final.detail = "canceled by alice";
    LogEnds(Current(job), final);
  }
};

TEST_F(HiveCancel, AQueuedJobNeverRuns) {
  Submit("a");
  RequestId request = Cancel("a", false, "typo");
  EXPECT_EQ(AnswerTo<JobRow>(request).state, JobState::kCanceled);
  ExpectState("a", JobState::kCanceled, Reason::kCanceled);
  EXPECT_EQ(Job("a").detail, "canceled by alice: typo");
  EXPECT_EQ(Job("a").canceled_by, "alice");
  EXPECT_NE(Job("a").times.finished, 0);
  EXPECT_EQ(Job("a").attempts, 0u);
  DroneUp("d1");
  EXPECT_THAT(SentTo<to_drone::Assign>("d1"), IsEmpty());
  EXPECT_EQ(hive_->waiting(), 0u);
}

TEST_F(HiveCancel, InTheGapBetweenOfferAndAcceptItIsSaidAgain) {
  DroneUp("d1");
  Submit("a");
  Cancel("a");
  EXPECT_THAT(SentTo<to_drone::Cancel>("d1"), SizeIs(1));
  Accept("a");
  ASSERT_THAT(SentTo<to_drone::Cancel>("d1"), SizeIs(2));
  EXPECT_EQ(SentTo<to_drone::Cancel>("d1")[1].epoch, Current("a"));
  EXPECT_EQ(SentTo<to_drone::Cancel>("d1")[1].by, "alice");
  CanceledFinal("a");
  ExpectState("a", JobState::kCanceled, Reason::kCanceled);
}

TEST_F(HiveCancel, AnOfferThatIsNeverAnsweredEndsCanceled) {
  DroneUp("d1");
  Submit("a");
  Cancel("a");
  Advance(config_.accept_deadline);
  SealsComplete();
  ExpectState("a", JobState::kCanceled, Reason::kCanceled);
  EXPECT_THAT(SentTo<to_drone::Assign>("d1"), SizeIs(1)) << "not offered again";
}

TEST_F(HiveCancel, AnOfferThatIsRefusedEndsCanceled) {
  DroneUp("d1");
  Submit("a");
  Cancel("a");
  Reject("a");
  SealsComplete();
  ExpectState("a", JobState::kCanceled, Reason::kCanceled);
  EXPECT_EQ(Job("a").attempts, 1u);
}

TEST_F(HiveCancel, AnAcceptedAndARunningJob) {
  DroneUp("d1", 2);
  for (const char* job : {"accepted", "running"}) {
    Submit(job);
    Accept(job);
  }
  Starts("running");
  for (const char* job : {"accepted", "running"}) {
    RequestId request = Cancel(job);
    EXPECT_TRUE(AnswerTo<JobRow>(request).cancel_requested);
    EXPECT_FALSE(IsTerminal(AnswerTo<JobRow>(request).state)) << "not before its tree is gone";
    CanceledFinal(job);
    ExpectState(job, JobState::kCanceled, Reason::kCanceled);
  }
  EXPECT_THAT(SentTo<to_drone::Cancel>("d1"), SizeIs(2));
}

TEST_F(HiveCancel, IsIdempotent) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  Cancel("a");
  std::size_t published = published_.size();
  for (int i = 0; i < 9; ++i) EXPECT_TRUE(AnswerTo<JobRow>(Cancel("a")).cancel_requested);
  EXPECT_EQ(published_.size(), published);
  EXPECT_THAT(SentTo<to_drone::Cancel>("d1"), SizeIs(1));
}

TEST_F(HiveCancel, NowEscalatesOnce) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  Cancel("a");
  Cancel("a", true);
  Cancel("a", true);
  auto cancels = SentTo<to_drone::Cancel>("d1");
  ASSERT_THAT(cancels, SizeIs(2));
  EXPECT_FALSE(cancels[0].now);
  EXPECT_TRUE(cancels[1].now);
  EXPECT_TRUE(Job("a").cancel_now);
}

TEST_F(HiveCancel, AFinishedJobGivesAClearAnswer) {
  DroneUp("d1");
  Submit("a");
  Passes("a");
  ExpectNothingChanges([&] {
    absl::Status answer = AnswerTo<absl::Status>(Cancel("a"));
    EXPECT_EQ(answer.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(answer.message()), HasSubstr("job 1 "));
  });
  ExpectState("a", JobState::kPassed);
}

TEST_F(HiveCancel, WhileTheDroneIsAwayItIsToldWhenItIsBack) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  Disconnect("d1");
  Cancel("a");
  DroneUp("d1", 1, {Holds("a")});
  EXPECT_TRUE(WelcomedWith("d1", Current("a")).cancel);
  CanceledFinal("a");
  ExpectState("a", JobState::kCanceled, Reason::kCanceled);
}

TEST_F(HiveCancel, WhileTheDroneIsAwayForGood) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  Disconnect("d1");
  Cancel("a");
  AdvancePastLease();
  SealsComplete();
  ExpectState("a", JobState::kCanceled, Reason::kCanceled);
  EXPECT_THAT(Job("a").detail, HasSubstr("canceled by alice"));
  EXPECT_THAT(Job("a").detail, HasSubstr("d1 was lost"));
  EXPECT_EQ(Job("a").attempts, 1u);
}

TEST_F(HiveCancel, AWaitForTheGrantIsNotGranted) {
  DroneUp("d1");
  Submit("a", {.type = JobType::kDeploy});
  Starts("a");
  Cancel("a");
  AsksForGrant("a");
  EXPECT_THAT(SentTo<to_drone::Grant>("d1"), IsEmpty());
  EXPECT_FALSE(AttemptOf("a").granted);
}

TEST_F(HiveCancel, AJobThatWasQueuedAgain) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  AdvancePastLease();
  ExpectQueued("a");
  Cancel("a");
  ExpectState("a", JobState::kCanceled, Reason::kCanceled);
  SealsComplete();
  ExpectState("a", JobState::kCanceled, Reason::kCanceled);
  DroneUp("d1");
  EXPECT_THAT(SentTo<to_drone::Assign>("d1"), IsEmpty());
}

TEST_F(HiveCancel, WhileTheLogIsSealedTheVerdictStands) {
  DroneUp("d1");
  Submit("a", {.type = JobType::kDeploy});
  AsksForGrant("a");
  AdvancePastLease();
  Cancel("a");
  SealsComplete();
  ExpectState("a", JobState::kErrored, Reason::kUnknown);
}

TEST_F(HiveCancel, AJobThatEndedByItselfInTheMeantimeKeepsItsVerdict) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  Cancel("a");
  Passes("a");
  ExpectState("a", JobState::kPassed);
}

}  // namespace
}  // namespace waggle::queen
