// The queen goes away, cleanly or not, while jobs run, wait, or are long done.
#include <gmock/gmock.h>

#include <cstdlib>

#include "tests/support/hive_fixture.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;

// Prints numbered lines until the gate opens, then how many there were.
std::string Counter(const std::string& gate) {
  return "i=0; until [ -e " + gate +
         " ]; do i=$((i+1)); echo \"line $i\"; sleep 0.003; done; echo \"last $i\"\n";
}

// What a counter that printed `log` must have printed.
std::string Counted(const std::string& log) {
  const std::size_t last = log.rfind("last ");
  const int count = last == std::string::npos ? 0 : std::atoi(log.c_str() + last + 5);
  std::string expected;
  for (int i = 1; i <= count; ++i) expected += "line " + std::to_string(i) + "\n";
  return expected + "last " + std::to_string(count) + "\n";
}

class QueenRestart : public HiveFixture {
 protected:
  void SetUp() override {
    StartQueen();
    StartDrone("bee");
  }

  void AwaitMoreLines(const Child& watch, std::size_t more = 20) {
    const std::size_t before = Lines(watch.Out()).size();
    ASSERT_TRUE(Eventually([&] { return Lines(watch.Out()).size() >= before + more; })) << watch.Err();
  }

  // A job whose watcher lives through `interrupt`: nothing of it is lost, repeated or tried again.
  void ExpectSurvives(const std::function<void()>& interrupt) {
    Child watch = StartWaggle({"submit", "--watch", "--job", WriteJob(TestJob({Counter(Gate("end"))}))});
    AwaitMoreLines(watch);
    interrupt();
    AwaitMoreLines(watch);
    Open("end");
    const Outcome outcome = watch.Finish();
    EXPECT_EQ(outcome.code, 0) << outcome;
    EXPECT_EQ(outcome.out, Counted(outcome.out));
    EXPECT_THAT(outcome.err, HasSubstr("connection to the queen lost ("));
    EXPECT_THAT(outcome.err, HasSubstr("reconnected after "));
    const Json job = Show(1);
    EXPECT_EQ(job["state"], "passed");
    EXPECT_EQ(job["attempts"].size(), 1u);
    EXPECT_EQ(Raw(1), outcome.out);
    ExpectVerified(1);
  }
};

TEST_F(QueenRestart, KilledInMidJob) {
  ExpectSurvives([this] {
    KillQueen();
    StartQueen();
  });
}

TEST_F(QueenRestart, StoppedInMidJob) {
  ExpectSurvives([this] {
    StopQueen();
    StartQueen();
  });
}

TEST_F(QueenRestart, KilledAgainAndAgain) {
  ExpectSurvives([this] {
    for (int i = 0; i < 4; ++i) {
      KillQueen();
      StartQueen();
    }
  });
}

TEST_F(QueenRestart, JobThatEndsWhileTheQueenIsAwayIsReportedAfterwards) {
  const std::uint64_t job = Submit(TestJob(
      {"echo begun\n" + AwaitFile(Gate("go")) + "echo ended > " + temp_ / "ended" + "\necho alone; exit 6"}));
  Child watch = StartWaggle({"watch", std::to_string(job)});
  ASSERT_TRUE(Eventually([&] { return watch.Out() == "begun\n"; }));
  KillQueen();
  Open("go");
  ASSERT_TRUE(Eventually([&] { return Exists(temp_ / "ended") && JobProcesses("bee").empty(); }));
  StartQueen();
  const Outcome outcome = watch.Finish();
  EXPECT_EQ(outcome.code, 6) << outcome;
  EXPECT_EQ(outcome.out, "begun\nalone\n");
  EXPECT_EQ(Show(job)["attempts"].size(), 1u);
  ExpectVerified(job);
}

TEST_F(QueenRestart, QueuedJobsSurviveInTheirOrder) {
  const std::uint64_t first = Submit(TestJob({AwaitFile(Gate("go"))}));
  WaitForState(first, "started");
  const std::uint64_t second = Submit(TestJob({"echo second"})), third = Submit(TestJob({"exit 3"}));
  KillQueen();
  StartQueen();
  EXPECT_EQ(StateOf(second), "queued");
  EXPECT_EQ(StateOf(third), "queued");
  Open("go");
  WaitForState(first, "passed");
  const Json b = WaitForState(second, "passed"), c = WaitForState(third, "failed");
  EXPECT_LE(b["finished_at"], c["started_at"]);
  EXPECT_EQ(Submit(TestJob({"true"})), third + 1);  // no number is given twice
}

TEST_F(QueenRestart, FinishedJobsStayAsTheyWere) {
  const std::uint64_t job = Submit(TestJob({"echo kept; echo too >&2; exit 5"}));
  Json before = WaitForState(job, "failed");
  KillQueen();
  StartQueen();
  EXPECT_EQ(Show(job), before);
  EXPECT_EQ(Raw(job, {"--stream", "stdout"}), "kept\n");
  EXPECT_EQ(Raw(job, {"--stream", "stderr"}), "too\n");
  EXPECT_EQ(Waggle({"watch", std::to_string(job)}).code, 5);
  ExpectVerified(job);
}

TEST_F(QueenRestart, CancelThatWasAskedForIsNotForgotten) {
  const std::uint64_t job = Submit(TestJob({"trap '' INT TERM; echo ready; while :; do sleep 0.1; done"}));
  ASSERT_TRUE(Eventually([&] { return StateOf(job) == "started" && Raw(job) == "ready\n"; }));
  EXPECT_EQ(Waggle({"cancel", std::to_string(job), "--no-wait"}).code, 0);
  KillQueen();
  StartQueen();
  EXPECT_EQ(Show(job)["cancel_requested"], true);
  EXPECT_EQ(Waggle({"cancel", std::to_string(job), "--now"}).code, 0);
  WaitForState(job, "canceled", 15s);
  EXPECT_EQ(Raw(job), "ready\n");
}

TEST_F(QueenRestart, StoppingIsQuickWithAJobAWatcherAndADroneOpen) {
  Child watch = StartWaggle({"submit", "--watch", "--job", WriteJob(TestJob({Counter(Gate("end"))}))});
  AwaitMoreLines(watch);
  const auto begin = std::chrono::steady_clock::now();
  StopQueen();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  EXPECT_TRUE(watch.Running());
}

}  // namespace
}  // namespace waggle::test
