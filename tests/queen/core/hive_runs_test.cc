// Jobs of a run that wait for each other, and what the run comes to.
#include "tests/queen/core/hive_fixture.h"

namespace waggle::queen {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const RunRow kMain{.repo = "shop", .branch = "main"};

class Runs : public HiveTest {
 protected:
  void StartAndPass(const std::string& job) {
    Accept(job);
    Passes(job);
  }
  void StartAndFail(const std::string& job) {
    Accept(job);
    Fails(job);
  }
  void ExpectSkipped(const std::string& job, const std::string& why) {
    ExpectState(job, JobState::kSkipped);
    EXPECT_EQ(Job(job).detail, why);
    EXPECT_EQ(Job(job).attempts, 0u);
  }
};

TEST_F(Runs, AJobStartsWhenAllItWaitsForHavePassed) {
  DroneUp("bee", 4);
  const RunId run = SubmitRun(kMain, {{"gcc"}, {"clang"}, {"pack", {"gcc", "clang"}}});
  EXPECT_THAT(StartOrder(), ElementsAre("gcc", "clang"));
  EXPECT_EQ(Job("pack").state, JobState::kCreated);
  EXPECT_EQ(WhyWaiting("pack"), "waits for job 1 gcc and one more");
  StartAndPass("gcc");
  EXPECT_EQ(WhyWaiting("pack"), "waits for job 2 clang");
  EXPECT_EQ(Run(run).state, JobState::kStarted);
  StartAndPass("clang");
  EXPECT_THAT(StartOrder(), ElementsAre("gcc", "clang", "pack"));
  StartAndPass("pack");
  EXPECT_EQ(Run(run).state, JobState::kPassed);
  EXPECT_GT(Run(run).finished, 0);
}

TEST_F(Runs, WhatCannotRunAnyMoreIsSkippedAtOnce) {
  DroneUp("bee", 4);
  const RunId run = SubmitRun(kMain, {{"unit"}, {"slow"}, {"pack", {"unit", "slow"}}, {"ship", {"pack"}}});
  StartAndFail("unit");
  ExpectSkipped("pack", "job 1 unit failed");
  ExpectSkipped("ship", "job 3 pack was skipped");
  EXPECT_EQ(Run(run).state, JobState::kStarted);
  EXPECT_EQ(Run(run).verdict, JobState::kFailed);
  StartAndPass("slow");
  EXPECT_EQ(Run(run).state, JobState::kFailed);
}

TEST_F(Runs, TheWayOfFailureIsGoneOnlyAfterAFailure) {
  DroneUp("bee", 4);
  SubmitRun(
      kMain,
      {{"a"}, {"b"}, {"mend", {"a", "b"}, RunsAfter::kFailed}, {"tidy", {"a", "b"}, RunsAfter::kAlways}});
  StartAndFail("a");
  EXPECT_EQ(Job("mend").state, JobState::kCreated) << "b may still run";
  EXPECT_EQ(Job("tidy").state, JobState::kCreated);
  StartAndPass("b");
  EXPECT_THAT(StartOrder(), ElementsAre("a", "b", "mend", "tidy"));

  SubmitRun({.repo = "shop", .branch = "other"}, {{"c"}, {"mend2", {"c"}, RunsAfter::kFailed}});
  StartAndPass("c");
  ExpectSkipped("mend2", "it runs only when a job before it did not pass, and all did");
}

TEST_F(Runs, WhatTheRunDoesNotWantHoldsNobodyUp) {
  DroneUp("bee", 4);
  const RunId run =
      SubmitRun(kMain, {{.name = "docs", .skipped = "`when` asks for a tag"}, {"pack", {"docs"}}});
  ExpectSkipped("docs", "`when` asks for a tag");
  EXPECT_TRUE(Job("docs").not_wanted);
  StartAndPass("pack");
  EXPECT_EQ(Run(run).state, JobState::kPassed);
  const RunId none = SubmitRun({.repo = "shop", .branch = "b"}, {{.name = "x", .skipped = "no"}});
  EXPECT_EQ(Run(none).state, JobState::kPassed);
}

// Rows 59 to 61: canceled over errored over failed over passed, of those that are required.
TEST_F(Runs, TheWorstOfTheRequiredJobsDecides) {
  DroneUp("bee", 8);
  struct Case {
    std::vector<JobState> jobs;
    JobState run;
  };
  using enum JobState;
  int number = 0;
  for (const Case& c : std::vector<Case>{{{kPassed, kPassed}, kPassed},
                                         {{kPassed, kFailed}, kFailed},
                                         {{kFailed, kErrored}, kErrored},
                                         {{kErrored, kFailed}, kErrored},
                                         {{kCanceled, kErrored}, kCanceled},
                                         {{kErrored, kCanceled}, kCanceled},
                                         {{kFailed, kCanceled}, kCanceled}}) {
    std::vector<RunJob> jobs;
    for (std::size_t i = 0; i < c.jobs.size(); ++i) {
      jobs.push_back({.name = "j" + std::to_string(number) + "." + std::to_string(i)});
    }
    const RunId run = SubmitRun({.repo = "r", .branch = "b" + std::to_string(number++)}, jobs);
    for (std::size_t i = 0; i < c.jobs.size(); ++i) {
      const std::string& name = jobs[i].name;
      Accept(name);
      if (c.jobs[i] == kCanceled) Cancel(name);
      journal::Final final;
      final.failed_code = c.jobs[i] == kFailed ? 2 : 0;
      if (c.jobs[i] == kErrored) final.reason = Reason::kTimeout;
      if (c.jobs[i] == kCanceled) final.reason = Reason::kCanceled;
      LogEnds(Current(name), final);
    }
    EXPECT_EQ(Run(run).state, c.run) << number;
  }
}

TEST_F(Runs, AnAllowedFailureDecidesNothing) {
  DroneUp("bee", 4);
  const RunId run = SubmitRun(kMain, {{.name = "new", .allow_failure = true}, {"pack", {"new"}}});
  StartAndFail("new");
  StartAndPass("pack");
  EXPECT_EQ(Run(run).state, JobState::kPassed);
}

TEST_F(Runs, ARunWaitsForOptionalJobsUnlessItIsFast) {
  DroneUp("bee", 8);
  RunRow fast{.repo = "shop", .branch = "fast"};
  fast.fast_finish = true;
  const RunId slow = SubmitRun(kMain, {{"a"}, {.name = "opt", .allow_failure = true}});
  const RunId quick = SubmitRun(
      fast, {{"a2"}, {.name = "opt2", .allow_failure = true}, {"late", {"opt2"}, RunsAfter::kPassed, true}});
  StartAndPass("a");
  StartAndPass("a2");
  EXPECT_EQ(Run(slow).state, JobState::kStarted);
  EXPECT_EQ(Run(quick).state, JobState::kPassed);
  const WallMillis finished = Run(quick).finished;
  for (const char* job : {"opt", "opt2"}) Accept(job);
  Advance(10s);
  Restart();
  DroneUp("bee", 8, {Holds("opt"), Holds("opt2")});
  Passes("opt");
  Fails("opt2");
  StartAndPass("late");
  EXPECT_EQ(Run(slow).state, JobState::kPassed);
  EXPECT_EQ(Run(quick).state, JobState::kPassed);
  EXPECT_EQ(Run(quick).finished, finished);
}

TEST_F(Runs, TheTimeOfARunIsTheSumOfItsJobs) {
  DroneUp("bee", 4);
  const RunId run = SubmitRun(kMain, {{"a"}, {"b"}, {"c"}});
  for (const char* job : {"a", "b", "c"}) {
    Accept(job);
    Step(event::LogComplete{
        .epoch = Current(job), .final = {}, .last_seq = 3, .duration = 10s, .problem = ""});
  }
  EXPECT_EQ(Run(run).duration_ms, 30'000);
}

TEST_F(Runs, ARestartForgetsNothingOfAGraph) {
  DroneUp("bee", 4);
  const RunId run = SubmitRun(kMain, {{"a"}, {"b"}, {"c", {"a", "b"}}, {"d", {"a"}}});
  StartAndPass("a");
  Restart();
  EXPECT_EQ(Job("c").state, JobState::kCreated);
  EXPECT_EQ(WhyWaiting("c"), "waits for job 2 b");
  DroneUp("bee", 4, {Holds("b"), Holds("d", HeldState::kAccepted)});
  StartAndFail("b");
  ExpectSkipped("c", "job 2 b failed");
  StartAndPass("d");
  EXPECT_EQ(Run(run).state, JobState::kFailed);
}

TEST_F(Runs, AnUnreadableJobHoldsNobodyForEver) {
  DroneUp("bee", 4);
  const RunId run = SubmitRun(kMain, {{"a"}, {"b", {"a"}}, {"c", {"a"}, RunsAfter::kAlways}});
  store_.jobs.erase(Id("a"));
  store_.runs.erase(run);
  Restart();
  ExpectSkipped("b", "the record of job 1 cannot be read");
  ExpectQueued("c");
}

TEST_F(Runs, ARunOfWhichNothingCanBeReadEndsAndIsNotGreen) {
  DroneUp("bee", 4);
  const RunId alone = SubmitRun(kMain, {{"a"}});
  const RunId red = SubmitRun({.repo = "shop", .branch = "b"}, {{"bad"}, {"good"}});
  Accept("good");
  StartAndFail("bad");
  store_.jobs.erase(Id("a"));
  Snapshot snapshot = store_.Load();
  snapshot.runs.push_back(Run(alone));
  std::erase_if(snapshot.run_jobs, [&](const JobRow& job) { return job.id == Id("bad"); });
  for (auto& [name, drone] : drones_) drone.connection = ConnectionId();
  Boot(snapshot);
  EXPECT_EQ(Run(alone).state, JobState::kErrored);
  DroneUp("bee", 4, {Holds("good")});
  Passes("good");
  EXPECT_EQ(Run(red).state, JobState::kFailed);
}

// An older run that goes on once more stands behind a newer one, also after a restart.
TEST_F(Runs, ARestartDoesNotPutAnotherRunIntoTheMiddleOfOne) {
  DroneUp("bee", 4);
  SubmitRun(kMain, {{"old"}});
  StartAndFail("old");
  SubmitRun(kMain, {{"unit"}, {"ship", {"unit"}}});
  Accept("unit");
  Retry({"old"});
  Restart();
  DroneUp("bee", 4, {Holds("unit")});
  Passes("unit");
  EXPECT_EQ(StartOrder().back(), "ship");
  StartAndPass("ship");
  EXPECT_EQ(StartOrder().back(), "old");
}

TEST_F(Runs, TheBranchIsTheRunsUntilItsLastJob) {
  DroneUp("bee", 4);
  SubmitRun(kMain, {{"a"}, {"b", {"a"}}});
  SubmitRun(kMain, {{"next"}});
  StartAndPass("a");
  EXPECT_THAT(StartOrder(), ElementsAre("a", "b"));
  EXPECT_THAT(WhyWaiting("next"), HasSubstr("r1 on branch main is not finished"));
  StartAndPass("b");
  EXPECT_THAT(StartOrder(), ElementsAre("a", "b", "next"));
}

TEST_F(Runs, CancelingARunCancelsAllThatHasNotEnded) {
  DroneUp("bee", 2);
  const RunId run =
      SubmitRun(kMain, {{"done"}, {"runs"}, {"waits"}, {"later", {"runs"}, RunsAfter::kAlways}});
  StartAndPass("done");
  Accept("runs");
  const RequestId request = CancelRun(run);
  EXPECT_EQ(AnswerTo<RunRow>(request).id, run);
  ExpectState("done", JobState::kPassed);
  ExpectState("later", JobState::kCanceled, Reason::kCanceled);
  EXPECT_EQ(Job("later").detail, "canceled by alice: enough");
  EXPECT_TRUE(Job("runs").cancel_requested);
  Accept("waits");
  for (const char* job : {"runs", "waits"}) {
    journal::Final final;
    final.reason = Reason::kCanceled;
    LogEnds(Current(job), final);
  }
  EXPECT_EQ(Run(run).state, JobState::kCanceled);
  EXPECT_TRUE(absl::IsFailedPrecondition(AnswerTo<absl::Status>(CancelRun(run))));
}

// Rows 42 and 43.
TEST_F(Runs, ANewerRunCancelsTheOlderOnesButNotADeploy) {
  DroneUp("bee", 4);
  const RunId first = SubmitRun(kMain, {{"unit"}, {.name = "ship", .type = JobType::kDeploy}});
  const RunId other = SubmitRun({.repo = "shop", .branch = "other"}, {{"else"}});
  const RunId waiting = SubmitRun(kMain, {{"unit2"}});
  Accept("unit");
  AsksForGrant("ship");
  SubmitRun(kMain, {{"unit3"}}, /*cancel_previous=*/true);
  EXPECT_TRUE(Job("unit").cancel_requested);
  EXPECT_EQ(Job("unit").canceled_by, "waggle");
  EXPECT_EQ(Job("unit").cancel_reason, "r4 is newer");
  EXPECT_FALSE(Job("ship").cancel_requested);
  EXPECT_FALSE(Job("else").cancel_requested);
  EXPECT_EQ(Run(waiting).state, JobState::kCanceled);
  EXPECT_EQ(Run(other).state, JobState::kCreated);
  EXPECT_FALSE(IsTerminal(Run(first).state));
}

// Row 63.
TEST_F(Runs, FiftyJobsAtOnceAreOneEnd) {
  DroneUp("bee", 64);
  std::vector<RunJob> jobs;
  for (int i = 0; i < 50; ++i) jobs.push_back({.name = "j" + std::to_string(i)});
  const RunId run = SubmitRun(kMain, jobs);
  for (const RunJob& job : jobs) {
    EXPECT_FALSE(IsTerminal(Run(run).state));
    StartAndPass(job.name);
  }
  EXPECT_EQ(Run(run).state, JobState::kPassed);
}

}  // namespace
}  // namespace waggle::queen
