// `waggle cancel`: what is dead afterwards, what is kept, what is said.
#include <gmock/gmock.h>
#include <signal.h>

#include <cstdlib>
#include <iostream>

#include "tests/support/hive_fixture.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

class Cancel : public HiveFixture {
 protected:
  void SetUp() override {
    StartQueen();
    StartDrone("bee");
  }

  Outcome CancelJob(std::uint64_t job, const Words& flags = {}) {
    Words args = {"cancel", std::to_string(job)};
    args.insert(args.end(), flags.begin(), flags.end());
    return Waggle(args);
  }

  pid_t Pid(const std::string& name) { return std::atoi(ReadText(temp_ / name).c_str()); }

  // Children of all kinds that ignore what they can, each with its number in a file.
  std::string Stubborn() {
    const std::string ignore = "trap \"\" INT TERM HUP; echo $$ > ";
    const std::string linger = "; while :; do sleep 0.1; done";
    return "echo before\n"
           "setsid sh -c '" +
           ignore + temp_ / "session" + linger +
           "' &\n"
           "(setsid sh -c '" +
           ignore + temp_ / "orphan" + linger + "' > /dev/null 2>&1 &)\n" + ignore + temp_ / "leader" +
           "\n"
           "until [ -s " +
           temp_ / "session" + " ] && [ -s " + temp_ / "orphan" +
           " ]; do sleep 0.02; done\n"
           "echo ready" +
           linger + "\n";
  }
};

TEST_F(Cancel, QueuedJobEndsAtOnce) {
  const std::uint64_t running = Submit(TestJob({AwaitFile(Gate("go"))}));
  WaitForState(running, "started");
  const std::uint64_t queued = Submit(TestJob({"echo never"}));
  const Outcome outcome = CancelJob(queued, {"--reason", "wrong branch"});
  EXPECT_EQ(outcome.code, 0) << outcome;
  EXPECT_EQ(outcome.out, "⊘ 2 job canceled by a local user: wrong branch\n");
  const Json job = Show(queued);
  EXPECT_EQ(job["state"], "canceled");
  EXPECT_EQ(job["canceled_by"], "a local user");
  EXPECT_EQ(job["attempt"], 0);
  EXPECT_TRUE(job["attempts"].empty());
  EXPECT_EQ(Waggle({"watch", "2"}).code, 120);
  Open("go");
  WaitForState(running, "passed");
  EXPECT_EQ(StateOf(queued), "canceled");
}

TEST_F(Cancel, NowKillsTheWholeTreeAndKeepsTheOutput) {
  Json document = TestJob({Stubborn()});
  document["cleanup"] = {Step("echo cleaned up")};
  const std::uint64_t job = Submit(document);
  Child watch = StartWaggle({"watch", std::to_string(job)});
  ASSERT_TRUE(Eventually([&] { return watch.Out() == "before\nready\n"; }));
  const pid_t session = Pid("session"), orphan = Pid("orphan"), leader = Pid("leader");
  for (pid_t pid : {session, orphan, leader}) ASSERT_TRUE(IsAlive(pid)) << pid;

  const Outcome outcome = CancelJob(job, {"--now"});
  EXPECT_EQ(outcome.code, 0) << outcome;
  EXPECT_THAT(
      outcome.out,
      MatchesRegex("1 job: cancel requested, it is killed at once\n"
                   "1 job: cleanup ran\n"
                   "⊘ 1 job canceled by a local user · 0 processes left after [0-9.]+ s, [4-9] killed\n"));
  const Outcome end = watch.Finish(10s);
  EXPECT_EQ(end.code, 120) << end;
  EXPECT_EQ(end.out, "before\nready\ncleaned up\n");
  for (pid_t pid : {session, orphan, leader}) EXPECT_FALSE(IsAlive(pid)) << pid;
  EXPECT_TRUE(Eventually([&] { return JobProcesses("bee").empty(); }));
  const Json facts = WaitForState(job, "canceled");
  EXPECT_EQ(facts["reason"], "canceled");
  ASSERT_EQ(facts["attempts"].size(), 1u);
  EXPECT_EQ(facts["receipt"]["processes_left"], 0);
  EXPECT_GE(facts["receipt"]["processes_killed"], 3);
  EXPECT_EQ(facts["receipt"], facts["attempts"][0]["receipt"]);
  EXPECT_THAT(end.err, HasSubstr(" · 0 processes left after "));
  EXPECT_EQ(Raw(job), "before\nready\ncleaned up\n");
  ExpectVerified(job);
  WaitForState(Submit(TestJob({"true"})), "passed");  // the slot is free
}

TEST_F(Cancel, AJobMayEndItselfWhenItIsInterrupted) {
  const std::uint64_t job =
      Submit(TestJob({"trap 'echo interrupted; exit 3' INT\necho ready\nwhile :; do sleep 0.05; done"}));
  Child watch = StartWaggle({"watch", std::to_string(job)});
  ASSERT_TRUE(Eventually([&] { return watch.Out() == "ready\n"; }));
  const Outcome outcome = CancelJob(job);
  EXPECT_THAT(outcome.out,
              MatchesRegex("1 job: cancel requested, it is interrupted, then terminated, then killed\n"
                           "⊘ 1 job canceled by a local user · 0 processes left after [0-9.]+ s\n"));
  const Outcome end = watch.Finish(8s);  // before the next step of the escalation
  EXPECT_EQ(end.code, 120) << end;
  EXPECT_EQ(end.out, "ready\ninterrupted\n");
  EXPECT_THAT(end.err, HasSubstr("canceled by a local user"));
}

TEST_F(Cancel, NowHurriesAnEarlierCancelAndRepeatsAreHarmless) {
  const std::uint64_t job = Submit(TestJob({Stubborn()}));
  ASSERT_TRUE(Eventually([&] { return StateOf(job) == "started" && Raw(job) == "before\nready\n"; }));
  EXPECT_EQ(CancelJob(job, {"--no-wait"}).code, 0);
  EXPECT_EQ(CancelJob(job, {"--no-wait"}).code, 0);
  EXPECT_EQ(Show(job)["cancel_requested"], true);
  EXPECT_TRUE(IsAlive(Pid("orphan")));
  EXPECT_EQ(CancelJob(job, {"--now"}).code, 0);
  WaitForState(job, "canceled", 8s);
  EXPECT_FALSE(IsAlive(Pid("orphan")));
  EXPECT_FALSE(IsAlive(Pid("session")));
}

TEST_F(Cancel, FinishedAndUnknownJobsAreClearErrors) {
  const std::uint64_t job = Submit(TestJob({"exit 4"}));
  WaitForState(job, "failed");
  const Outcome finished = CancelJob(job);
  EXPECT_EQ(finished.code, 1) << finished;
  EXPECT_THAT(finished.err, StartsWith("error: job 1 has already ended: failed\n"));
  EXPECT_EQ(finished.out, "");
  EXPECT_EQ(StateOf(job), "failed");
  const Outcome unknown = CancelJob(77);
  EXPECT_EQ(unknown.code, 3) << unknown;
  EXPECT_EQ(CancelJob(job, {"--now"}).code, 1);
}

// Asked for before, while and after the drone takes the job, starts it and ends it.
TEST_F(Cancel, RacesWithTheStartAndTheEnd) {
  int canceled = 0, passed = 0;
  for (int i = 0; i < 48; ++i) {
    const std::string file = temp_ / ("race" + std::to_string(i));
    const std::uint64_t job = Submit(TestJob(
        {"echo begun >> " + file + "; sleep 0.0" + std::to_string(i % 8) + "\necho done >> " + file}));
    const Outcome outcome = CancelJob(job, {"--now"});
    const Json facts = Show(job);
    if (facts["state"] == "canceled") {
      ++canceled;
      EXPECT_EQ(outcome.code, 0) << outcome;
      EXPECT_THAT(outcome.out, HasSubstr("canceled by a local user"));
      EXPECT_EQ(facts.contains("receipt") ? facts["receipt"]["processes_left"].get<int>() : 0, 0);
    } else {
      ++passed;
      EXPECT_EQ(facts["state"], "passed");
      EXPECT_EQ(ReadText(file), "begun\ndone\n");
    }
    EXPECT_LE(facts["attempts"].size(), 1u);
    EXPECT_EQ(CancelJob(job).code, 1);  // it has ended, and that does not change
    EXPECT_EQ(StateOf(job), facts["state"]);
  }
  EXPECT_GT(canceled, 0);
  std::cout << canceled << " canceled, " << passed << " passed\n";
  EXPECT_TRUE(Eventually([&] { return JobProcesses("bee").empty(); }));
}

TEST_F(Cancel, WholeRunIsCanceled) {
  GitRepo repo = MakeRepo("p");
  repo.Write(".waggle.yml", "jobs:\n  a:\n    test: sleep 60\n  b:\n    test: sleep 60\n");
  repo.Commit("Wait");
  EXPECT_EQ(Waggle({"submit"}, repo.path()).code, 0);
  WaitForState(1, "started");
  const Outcome outcome = Waggle({"cancel", "r1", "--now"});
  EXPECT_EQ(outcome.code, 0) << outcome;
  WaitForState(1, "canceled");
  WaitForState(2, "canceled");
  EXPECT_EQ(Waggle({"watch", "r1"}).code, 120);
  EXPECT_EQ(Waggle({"cancel", "r1"}).code, 1);
  EXPECT_EQ(Waggle({"cancel", "r9"}).code, 3);
}

TEST_F(Cancel, InterruptedWatcherLeavesTheJobRunning) {
  const std::uint64_t job = Submit(TestJob({"echo ready\n" + AwaitFile(Gate("go"))}));
  Child watch = StartWaggle({"watch", std::to_string(job)});
  ASSERT_TRUE(Eventually([&] { return watch.Out() == "ready\n"; }));
  watch.Signal(SIGINT);
  const Outcome end = watch.Finish(5s);
  EXPECT_EQ(end.code, 130);
  EXPECT_THAT(end.err, HasSubstr("job 1 keeps running; stop it with: waggle cancel 1\n"));
  EXPECT_EQ(StateOf(job), "started");
  Open("go");
  WaitForState(job, "passed");
}

TEST_F(Cancel, JobThatLeavesProcessesBehindTakesThemWithIt) {
  const std::uint64_t job = Submit(
      TestJob({"(setsid sh -c 'echo $$ > " + temp_ / "daemon" + "; exec sleep 100' > /dev/null 2>&1 &)\n" +
               "until [ -s " + temp_ / "daemon" + " ]; do sleep 0.02; done; echo done"}));
  WaitForState(job, "passed", 20s);
  EXPECT_EQ(Raw(job), "done\n");
  EXPECT_FALSE(IsAlive(Pid("daemon")));
}

}  // namespace
}  // namespace waggle::test
