// Jobs that run once more: because their file says so, or because somebody asked.
#include "tests/queen/core/hive_fixture.h"

namespace waggle::queen {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const RunRow kMain{.repo = "shop", .branch = "main"};

class Retries : public HiveTest {
 protected:
  void StartAndPass(const std::string& job) {
    Accept(job);
    Passes(job);
  }
  void StartAndFail(const std::string& job) {
    Accept(job);
    Fails(job);
  }
  std::size_t AttemptsOf(const std::string& job) const {
    std::size_t count = 0;
    for (const auto& [epoch, row] : store_.attempts) count += row.job == Id(job) ? 1 : 0;
    return count;
  }
};

TEST_F(Retries, AFailedAttemptIsRepeatedAsOftenAsTheFileSays) {
  DroneUp("bee", 2);
  const RunId run = SubmitRun(kMain, {{.name = "flaky", .retry_failed = 1}, {"behind", {"flaky"}}});
  const Epoch first = Current("flaky");
  StartAndFail("flaky");
  EXPECT_EQ(store_.attempts.at(first).state, JobState::kFailed);
  EXPECT_NE(Current("flaky"), first);
  EXPECT_EQ(Job("behind").state, JobState::kCreated);
  EXPECT_EQ(Run(run).verdict, JobState::kCreated);
  StartAndPass("flaky");
  EXPECT_EQ(Job("flaky").failed_before, 1u);
  ExpectAssigned("behind", "bee");

  SubmitRun({.repo = "shop", .branch = "b"}, {{.name = "bad", .retry_failed = 2}});
  for (int i = 0; i < 3; ++i) StartAndFail("bad");
  ExpectState("bad", JobState::kFailed);
  EXPECT_EQ(AttemptsOf("bad"), 3u);
}

TEST_F(Retries, RepeatsOfFailuresAndOfTheInfrastructureAreCountedApart) {
  DroneUp("bee", 1);
  SubmitRun(kMain, {{.name = "a", .retry_failed = 1, .retry_infra = 1}});
  ShimDies("a", 0);
  StartAndFail("a");
  EXPECT_FALSE(IsTerminal(Job("a").state));
  ShimDies("a", 0);
  SealsComplete();
  ExpectState("a", JobState::kErrored, Reason::kShimLost);
  EXPECT_EQ(AttemptsOf("a"), 3u);
}

TEST_F(Retries, WhatHasBegunToDeployOrIsCanceledIsNotRepeated) {
  DroneUp("bee", 2);
  SubmitRun(kMain, {{.name = "ship", .retry_failed = 3, .type = JobType::kDeploy},
                    {.name = "stopped", .retry_failed = 3}});
  AsksForGrant("ship");
  Fails("ship");
  ExpectState("ship", JobState::kFailed);
  Accept("stopped");
  Cancel("stopped");
  Fails("stopped");
  EXPECT_TRUE(IsTerminal(Job("stopped").state));
}

TEST_F(Retries, AJobRunsOnceMoreWithWhatWasSkippedForIt) {
  DroneUp("bee", 2);
  const RunId run = SubmitRun(kMain, {{"build"}, {"unit", {"build"}}, {"ship", {"unit"}}});
  StartAndPass("build");
  StartAndFail("unit");
  EXPECT_EQ(Run(run).state, JobState::kFailed);
  const Epoch first = Current("unit");
  const SubmittedRun answer = AnswerTo<SubmittedRun>(Retry({"unit"}));
  EXPECT_EQ(answer.run.state, JobState::kStarted);
  EXPECT_EQ(answer.jobs.size(), 2u);
  EXPECT_NE(Current("unit"), first);
  EXPECT_EQ(Job("unit").attempts, 2u);
  EXPECT_EQ(store_.attempts.at(first).state, JobState::kFailed) << "kept beside the new one";
  EXPECT_EQ(Job("ship").state, JobState::kCreated);
  Restart();
  DroneUp("bee", 2, {Holds("unit")});
  StartAndPass("unit");
  StartAndPass("ship");
  EXPECT_EQ(Run(run).state, JobState::kPassed);
  ExpectState("build", JobState::kPassed);
  EXPECT_EQ(AttemptsOf("build"), 1u);
}

TEST_F(Retries, OneThatCameAsADocument) {
  DroneUp("bee", 1);
  Submit("a");
  StartAndFail("a");
  EXPECT_EQ(AnswerTo<SubmittedRun>(Retry({"a"})).jobs.at(0).id, Id("a"));
  EXPECT_EQ(Job("a").attempts, 2u);
  StartAndPass("a");
  ExpectState("a", JobState::kPassed);
}

TEST_F(Retries, InfrastructureCountsAnewFromThere) {
  DroneUp("bee", 1);
  Submit("a");
  for (int i = 0; i < 3; ++i) ShimDies("a", 0);
  SealsComplete();
  ExpectState("a", JobState::kErrored, Reason::kShimLost);
  Retry({"a"});
  ShimDies("a", 0);
  EXPECT_FALSE(IsTerminal(Job("a").state));
  EXPECT_THAT(AttemptOf("a").number, 5u);
}

TEST_F(Retries, WhatCannotRunAgainIsRefused) {
  DroneUp("bee", 2);
  SubmitRun(kMain, {{"runs"}, {.name = "left", .skipped = "`when` asks for a tag"}});
  EXPECT_THAT(AnswerTo<absl::Status>(Retry({"runs"})).message(), HasSubstr("job 1 has not ended"));
  EXPECT_THAT(AnswerTo<absl::Status>(Retry({"left"})).message(), HasSubstr("is not part of this run"));
  Submit("bad");
  Accept("bad");
  journal::Final final;
  final.reason = Reason::kBadConfig;
  final.detail = "no step";
  LogEnds(Current("bad"), final);
  EXPECT_THAT(AnswerTo<absl::Status>(Retry({"bad"})).message(), HasSubstr("cannot run as it is: no step"));
}

// The API reads before it asks: what it read may be of before another retry.
TEST_F(Retries, AnOldReadingIsRefused) {
  DroneUp("bee", 1);
  Submit("a");
  StartAndFail("a");
  event::Retry old;
  old.request = NewRequest();
  old.jobs = {Job("a")};
  old.again = {Id("a")};
  Retry({"a"});
  StartAndPass("a");
  Step(old);
  EXPECT_TRUE(absl::IsUnavailable(AnswerTo<absl::Status>(old.request)));
  ExpectState("a", JobState::kPassed);
}

// The retried job of an unfinished run takes its place in the branch: else it would wait for a run that
// waits.
TEST_F(Retries, WithinAnUnfinishedRunThereIsNoWaitingInACircle) {
  DroneUp("bee", 2);
  SubmitRun(kMain, {{"a"}, {"b"}, {"end", {"a", "b"}, RunsAfter::kAlways}});
  SubmitRun(kMain, {{"next"}});
  StartAndFail("a");
  Retry({"a"});
  StartAndPass("b");
  StartAndPass("a");
  StartAndPass("end");
  EXPECT_THAT(StartOrder(), ElementsAre("a", "b", "a", "end", "next"));
}

// The drone came back and goes on with it: a second one beside it would be one too many.
TEST_F(Retries, ADeployThatStillRunsIsNotStartedBesideItself) {
  DroneUp("bee", 1);
  SubmitRun(kMain, {{.name = "ship", .type = JobType::kDeploy}});
  AsksForGrant("ship");
  const Epoch lost = Current("ship");
  HeldAttempt held = Holds("ship", HeldState::kGranted);
  Disconnect("bee");
  AdvancePastLease();
  SealsComplete();
  DroneUp("bee", 1, {held});
  DroneUp("other", 1);
  EXPECT_THAT(AnswerTo<absl::Status>(Retry({"ship"})).message(), HasSubstr("its deploy still runs on bee"));
  LateLogEnds(lost, {});
  EXPECT_EQ(AnswerTo<SubmittedRun>(Retry({"ship"})).jobs.size(), 1u);
}

TEST_F(Retries, WhatIsToldOfAnAttemptIsNotToldOfTheNext) {
  DroneUp("bee", 1);
  SubmitRun(kMain, {{.name = "flaky", .retry_failed = 1}});
  StartAndFail("flaky");
  Cancel("flaky");
  EXPECT_EQ(Job("flaky").failed_code, 0);
  EXPECT_EQ(Job("flaky").failed_step, "");
  EXPECT_LT(Job("flaky").receipt.left, 0);
}

TEST_F(Retries, ALateTruthIsOfItsAttemptAlone) {
  DroneUp("bee", 1);
  SubmitRun(kMain, {{.name = "ship", .type = JobType::kDeploy}});
  AsksForGrant("ship");
  const Epoch lost = Current("ship");
  Disconnect("bee");
  AdvancePastLease();
  SealsComplete();
  ExpectState("ship", JobState::kErrored, Reason::kUnknown);
  DroneUp("other", 1);
  Retry({"ship"});
  AsksForGrant("ship");
  const Epoch second = Current("ship");
  EXPECT_NE(second, lost);
  HeldAttempt held;
  held.epoch = lost;
  held.state = HeldState::kFinished;
  held.last_seq = 9;
  DroneUp("bee", 1, {held});
  LateLogEnds(lost, {});
  EXPECT_TRUE(store_.attempts.at(lost).late.known());
  EXPECT_EQ(Job("ship").attempt, second);
  EXPECT_FALSE(Job("ship").late.known());
  Passes("ship");
  ExpectState("ship", JobState::kPassed);
}

}  // namespace
}  // namespace waggle::queen
