#include "tools/bench/processes.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/temp_dir.h"

namespace waggle::bench {
namespace {

using namespace std::chrono_literals;
using test::ReadText;
using test::TempDir;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Binary(const std::string& name) {
  return std::string(WAGGLE_BIN_DIR) + "/" + name;
}

TEST(CpuTime, IsReadBehindANameOfAnyKind) {
  const std::string stat =
      "42 (a) b) c) S 1 42 42 0 -1 4194304 100 200 0 0 150 50 1000 200 20 0 1 0 12345 1000 100 "
      "18446744073709551615";
  EXPECT_EQ(ParseCpuTime(stat, 100).own, 2.0);
  EXPECT_EQ(ParseCpuTime(stat, 100).children, 12.0);
  EXPECT_EQ(ParseCpuTime("", 100).own, 0);
  EXPECT_EQ(ParseCpuTime("42 (x) S 1", 100).children, 0);
}

TEST(Memory, IsAFieldOfStatus) {
  const std::string status = "Name:\tqueen\nVmPeak:\t  9000 kB\nVmHWM:\t   61440 kB\nVmRSS:\t   20480 kB\n";
  EXPECT_EQ(ParseMemoryKiB(status, "VmHWM"), 61440);
  EXPECT_EQ(ParseMemoryKiB(status, "VmRSS"), 20480);
  EXPECT_EQ(ParseMemoryKiB(status, "VmSwap"), 0);
  EXPECT_GT(MemoryKiB(::getpid(), "VmRSS"), 0);
  EXPECT_EQ(MemoryKiB(0x7FFF'FFFF, "VmRSS"), 0);
}

TEST(Programs, AreFoundKilledAndWaitedFor) {
  TempDir temp;
  absl::StatusOr<Program> program = Program::Start({"sleep", "1000.5"}, temp / "log");
  ASSERT_TRUE(program.ok()) << program.status();
  const pid_t pid = program->pid();
  EXPECT_TRUE(program->running());
  EXPECT_THAT(ChildrenOf(::getpid()), Contains(pid));
  EXPECT_TRUE(Await([&] { return !ProcessesWith("1000.5").empty(); }, 30s, "its arguments").ok());
  EXPECT_FALSE(program->Wait(1ms).ok());
  program->Kill();
  EXPECT_TRUE(ProcessesWith("1000.5").empty());
  EXPECT_FALSE(Program::Start({"no-such-program"}, temp / "log").ok());
  absl::StatusOr<Program> three = Program::Start({"sh", "-c", "echo said; exit 3"}, temp / "log");
  ASSERT_TRUE(three.ok());
  EXPECT_EQ(*three->Wait(30s), 3);
  EXPECT_EQ(ReadText(temp / "log"), "said\n");
}

TEST(AwaitTest, SaysWhatDidNotHappen) {
  EXPECT_TRUE(Await([] { return true; }, 0s, "nothing").ok());
  EXPECT_THAT(std::string(Await([] { return false; }, 5ms, "the end").message()),
              HasSubstr("the end: not within"));
}

class BenchPrograms : public ::testing::Test {
 protected:
  test::Outcome Run(std::vector<std::string> argv) {
    return test::Child({.argv = std::move(argv),
                        .env = {{"PATH", "/usr/bin:/bin"}},
                        .cwd = temp_.path(),
                        .log = temp_ / "run"})
        .Finish();
  }
  TempDir temp_;
};

TEST_F(BenchPrograms, EmitFillsLines) {
  EXPECT_EQ(Run({Binary("waggle-bench-emit"), "fill", "25", "7", "10", temp_ / "stamp"}).out,
            "abcdefghi\nabcdefghi\nabcde");
  EXPECT_THAT(ReadText(temp_ / "stamp"), ::testing::MatchesRegex("[0-9]+ [0-9]+\n"));
  EXPECT_EQ(Run({Binary("waggle-bench-emit"), "fill", "30", "64", "0"}).out,
            "abcdefghijklmnopqrstuvwxyzabcd");
  EXPECT_EQ(Run({Binary("waggle-bench-emit"), "fill", "30", "0", "0"}).code, 2);
  EXPECT_EQ(Run({Binary("waggle-bench-emit")}).code, 2);
}

TEST_F(BenchPrograms, EmitTicks) {
  EXPECT_EQ(test::Lines(Run({Binary("waggle-bench-emit"), "ticks", "3", "1"}).out).size(), 3u);
}

TEST_F(BenchPrograms, BadArgumentsAreRefused) {
  for (const char* bad : {"B99", "--nonsense", "--repetitions=0", "--json=/nonexistent/x"}) {
    const test::Outcome outcome = Run({Binary("waggle-bench"), bad});
    EXPECT_EQ(outcome.code, 2) << bad << outcome;
    EXPECT_THAT(outcome.err, StartsWith("error: ")) << bad;
    EXPECT_THAT(outcome.err, HasSubstr("next: ")) << bad;
  }
}

TEST_F(BenchPrograms, MissingBinariesAreNamed) {
  const std::string copy = temp_ / "waggle-bench";
  ASSERT_EQ(Run({"cp", Binary("waggle-bench"), copy}).code, 0);
  const test::Outcome outcome = Run({copy, "F1"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("there is no " + temp_ / "queen"));
}

}  // namespace
}  // namespace waggle::bench
