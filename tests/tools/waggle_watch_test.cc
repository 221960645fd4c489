// The built `waggle watch` and `waggle logs` against a scripted queen.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <sstream>

#include "tests/tools/driver.h"
#include "tests/tools/fake_queen.h"
#include "tools/waggle/json.h"
#include "waggle/v1/queen.pb.h"

namespace waggle::cli {
namespace {

using testing::HasSubstr;
using testing::Not;
using Then = FakeQueen::Then;

class WaggleWatchTest : public testing::Test {
 protected:
  std::map<std::string, std::string> Env() { return {{"WAGGLE_QUEEN", dir_.path()}}; }
  Exit Run(std::vector<std::string> args) { return RunWaggle(std::move(args), Env()); }

  TempDir dir_;
  FakeQueen queen_{dir_.File("queen.sock")};
};

TEST_F(WaggleWatchTest, OutputOnStdoutNarrationOnStderrCodeOfTheJob) {
  v1::Job queued = MakeJob(12, "unit", v1::QUEUED);
  queued.set_detail("all slots are busy");
  queen_.PutJob(queued);
  queen_.ScriptWatch(12, {State(queued), State(queued), State(MakeJob(12, "unit", v1::STARTED)),
                          CommandStart(1, "unit", "make check"), Out(2, 1, "hello\n"), Err(3, 2, "oops"),
                          CommandEnd(4, "unit", 2, 410), End(Failed(12, "unit", 2))});
  Exit exit = Run({"watch", "12"});
  EXPECT_EQ(exit.code, 2);
  EXPECT_EQ(exit.out, "hello\noops");
  EXPECT_EQ(exit.err,
            "job 12 unit  queued: all slots are busy\n"
            "job 12 unit  started on bee-1 (attempt 1)\n"
            "▸ test/unit: make check\n"
            "  exit 2 after 0.41 s\n"
            "✗ 12 unit failed test/unit exit 2\n");
}

TEST_F(WaggleWatchTest, EveryEndHasItsCode) {
  struct Case {
    v1::Job job;
    int code;
  };
  for (const Case& c : {Case{Passed(1, "a"), 0}, Case{Failed(2, "b", 139), 139}, Case{Failed(3, "c", 125), 1},
                        Case{Errored(4, "d", "timeout"), 121}, Case{Errored(5, "e", "drone_lost"), 122},
                        Case{MakeJob(6, "f", v1::CANCELED), 120}, Case{MakeJob(7, "g", v1::SKIPPED), 0}}) {
    queen_.PutJob(c.job);
    queen_.ScriptWatch(c.job.id(), {End(c.job)});
    EXPECT_EQ(Run({"watch", std::to_string(c.job.id()), "-q"}).code, c.code) << c.job.ShortDebugString();
  }
}

TEST_F(WaggleWatchTest, ABrokenStreamGoesOnBehindTheLastRecordWithoutLossOrRepeat) {
  queen_.PutJob(MakeJob(12, "unit", v1::STARTED));
  queen_.ScriptWatch(12, {Out(1, 1, "a\n"), Out(2, 2, "b\n")}, Then::kUnavailable);
  queen_.ScriptWatch(12, {Out(2, 2, "b\n"), Out(3, 3, "c\n")},
                     Then::kClose);  // repeats one, ends without a result
  queen_.ScriptWatch(12, {Out(4, 4, "d\n"), Out(1, 1, "e\n", 8), End(Passed(12, "unit"))});
  Exit exit = Run({"watch", "12"});
  EXPECT_EQ(exit.code, 0);
  EXPECT_EQ(exit.out, "a\nb\nc\nd\ne\n");
  EXPECT_THAT(exit.err, HasSubstr("connection to the queen lost (the queen stops); reconnecting"));
  EXPECT_THAT(exit.err, HasSubstr("connection to the queen lost (the stream ended without a result)"));
  EXPECT_THAT(exit.err, HasSubstr("reconnected after"));
  auto watches = queen_.watches();
  ASSERT_EQ(watches.size(), 3u);
  EXPECT_EQ(watches[0].after_seq(), 0u);
  EXPECT_EQ(watches[1].after_epoch(), 7u);
  EXPECT_EQ(watches[1].after_seq(), 2u);
  EXPECT_EQ(watches[2].after_seq(), 3u);
}

TEST_F(WaggleWatchTest, ARestartedQueenIsFoundAgain) {
  queen_.PutJob(MakeJob(12, "unit", v1::STARTED));
  queen_.ScriptWatch(12, {Out(1, 1, "before\n")}, Then::kHang);
  Waggle waggle({"watch", "12"}, Env());
  ASSERT_TRUE(waggle.WaitForOut("before\n"));
  queen_.ScriptWatch(12, {Out(2, 2, "after\n"), End(Passed(12, "unit"))});
  queen_.Stop();
  ASSERT_TRUE(waggle.WaitForErr("reconnecting"));
  queen_.Start();
  Exit exit = waggle.Finish();
  EXPECT_EQ(exit.code, 0);
  EXPECT_EQ(exit.out, "before\nafter\n");
}

TEST_F(WaggleWatchTest, AMissingRecordIsAskedForAgainAndThenNamed) {
  queen_.PutJob(MakeJob(12, "unit", v1::STARTED));
  queen_.ScriptWatch(12, {Out(1, 1, "a\n"), Out(4, 4, "d\n")}, Then::kClose);
  queen_.ScriptWatch(12, {Out(4, 4, "d\n"), End(Passed(12, "unit"))});
  Exit exit = Run({"watch", "12"});
  EXPECT_EQ(exit.code, 0);
  EXPECT_EQ(exit.out, "a\nd\n");
  EXPECT_THAT(exit.err, HasSubstr("warning: records 2 to 3 of job 12@1 are missing"));
  EXPECT_EQ(queen_.watches().size(), 2u);
}

TEST_F(WaggleWatchTest, AnEndOfARunningJobIsNoEnd) {
  queen_.PutJob(MakeJob(12, "unit", v1::STARTED));
  queen_.ScriptWatch(12, {Out(1, 1, "a\n"), End(MakeJob(12, "unit", v1::STARTED))});
  queen_.ScriptWatch(12, {End(Failed(12, "unit", 3))});
  EXPECT_EQ(Run({"watch", "12"}).code, 3);
}

TEST_F(WaggleWatchTest, RefusalsEndTheWatch) {
  Exit exit = Run({"watch", "99"});
  EXPECT_EQ(exit.code, 125);
  EXPECT_EQ(exit.err, "error: there is no job 99\n  next: waggle jobs\n");
  queen_.PutJob(MakeJob(12, "unit", v1::STARTED));
  queen_.ScriptWatch(12, {Out(1, 1, "a\n")}, Then::kNotFound);
  exit = Run({"watch", "12"});
  EXPECT_EQ(exit.code, 125);
  EXPECT_EQ(exit.out, "a\n");
}

TEST_F(WaggleWatchTest, CtrlCLeavesTheJobRunning) {
  queen_.PutJob(MakeJob(12, "unit", v1::STARTED));
  queen_.ScriptWatch(12, {Out(1, 1, "a\n")}, Then::kHang);
  Waggle waggle({"watch", "@last"}, Env());
  ASSERT_TRUE(waggle.WaitForOut("a\n"));
  waggle.Signal(SIGINT);
  Exit exit = waggle.Finish();
  EXPECT_EQ(exit.code, 130);
  EXPECT_THAT(exit.err, HasSubstr("job 12 keeps running; stop it with: waggle cancel 12\n"));
}

TEST_F(WaggleWatchTest, AReaderThatGoesAwayEndsItQuietly) {
  queen_.PutJob(MakeJob(12, "unit", v1::STARTED));
  queen_.ScriptWatch(12, {State(MakeJob(12, "unit", v1::STARTED))}, Then::kUnavailable);
  queen_.ScriptWatch(12, {Out(1, 1, "a\n")}, Then::kHang);
  Waggle waggle({"watch", "12"}, Env());
  waggle.CloseOut();
  Exit exit = waggle.Finish();
  EXPECT_EQ(exit.code, 141);
  EXPECT_THAT(exit.err, Not(HasSubstr("error")));
}

TEST_F(WaggleWatchTest, ARunPrefixesItsJobsAndCountsThem) {
  v1::Job a = MakeJob(12, "lint", v1::STARTED), b = MakeJob(13, "gcc-12", v1::STARTED);
  a.set_run(5);
  b.set_run(5);
  queen_.PutJob(a);
  queen_.PutJob(b);
  queen_.ScriptWatch(12, {Out(1, 1, "x"), Out(2, 1, "y\nz"), End(Failed(12, "lint", 4))});
  queen_.ScriptWatch(13, {Out(1, 1, "one\ntwo\n"), End(Errored(13, "gcc-12", "drone_lost"))});
  Exit exit = Run({"watch", "r5"});
  EXPECT_EQ(exit.code, 4);
  EXPECT_THAT(exit.out, HasSubstr("lint   | xy\n"));
  EXPECT_THAT(exit.out, HasSubstr("lint   | z\n"));
  EXPECT_THAT(exit.out, HasSubstr("gcc-12 | one\ngcc-12 | two\n"));
  EXPECT_THAT(exit.err, HasSubstr("✗ 12 lint failed test/unit exit 4\n"));
  EXPECT_THAT(exit.err, HasSubstr("⚡ r5 errored   1 failed · 1 errored"));
  EXPECT_EQ(Run({"watch", "r6"}).code, 125);
}

TEST_F(WaggleWatchTest, OneAttemptHasItsOwnVerdict) {
  v1::Job job = Passed(12, "unit");
  job.set_attempt(2);
  v1::Attempt* first = job.add_attempts();
  first->set_number(1);
  first->set_state(v1::ERRORED);
  first->set_reason("drone_lost");
  queen_.PutJob(job);
  queen_.ScriptWatch(12, {Out(1, 1, "lost\n"), End(job)});
  Exit exit = Run({"watch", "12@1"});
  EXPECT_EQ(exit.code, 122);
  EXPECT_EQ(exit.out, "lost\n");
  EXPECT_THAT(exit.err, HasSubstr("⚡ 12 unit errored (drone_lost)"));
  EXPECT_EQ(queen_.watches()[0].attempt(), 1u);
}

TEST_F(WaggleWatchTest, JsonIsOneEventPerLine) {
  queen_.PutJob(MakeJob(12, "unit", v1::STARTED));
  queen_.ScriptWatch(
      12, {State(MakeJob(12, "unit", v1::STARTED)), CommandStart(1, "unit", "make"), Out(2, 1, "ok\n"),
           Err(3, 2, "\xff\xfe"), CommandEnd(4, "unit", 0, 5), End(Passed(12, "unit"))});
  Exit exit = Run({"watch", "12", "-o", "json"});
  EXPECT_EQ(exit.code, 0);
  EXPECT_EQ(exit.err, "");
  std::vector<Json> events;
  std::istringstream lines(exit.out);
  for (std::string line; std::getline(lines, line);) events.push_back(Json::parse(line));
  ASSERT_EQ(events.size(), 6u);
  EXPECT_EQ(events[0]["event"], "state");
  EXPECT_EQ(events[0]["state"], "started");
  EXPECT_EQ(events[1]["event"], "command_start");
  EXPECT_EQ(events[1]["command_record"]["display"], "make");
  EXPECT_EQ(events[2]["seq"], 2);
  EXPECT_EQ(events[2]["stream"], "stdout");
  EXPECT_EQ(events[2]["line"], 1);
  EXPECT_EQ(events[2]["data"], "ok\n");
  EXPECT_EQ(events[3]["data_base64"], "//4=");
  EXPECT_EQ(events[5]["event"], "end");
  EXPECT_EQ(events[5]["state"], "passed");
}

TEST_F(WaggleWatchTest, RawLogsAreTheExactBytes) {
  queen_.PutJob(Passed(12, "unit"));
  std::string big(200'000, 'x');
  std::string nul("\0\xff\x1b[31m\r", 8);
  queen_.ScriptWatch(12, {CommandStart(1, "unit", "make"), Out(2, 1, nul), Err(3, 2, big),
                          Out(4, 1, "no newline"), CommandEnd(5, "unit", 0, 5), End(Passed(12, "unit"))});
  Exit exit = Run({"logs", "12", "--raw"});
  EXPECT_EQ(exit.code, 0);
  EXPECT_EQ(exit.out, nul + big + "no newline");
  EXPECT_EQ(exit.err, "");
  EXPECT_FALSE(queen_.watches()[0].follow());
  EXPECT_EQ(Run({"logs", "12", "--raw", "--stream", "stdout"}).out, nul + "no newline");
  EXPECT_EQ(Run({"logs", "12", "--raw", "--stream", "stderr"}).out, big);
}

TEST_F(WaggleWatchTest, LogsTellTheCommandsBetweenTheBytes) {
  queen_.PutJob(Failed(12, "unit", 1));
  queen_.ScriptWatch(12, {CommandStart(1, "unit", "make check"), Out(2, 1, "no newline"),
                          CommandEnd(3, "unit", 1, 300), End(Failed(12, "unit", 1))});
  Exit exit = Run({"logs", "12"});
  EXPECT_EQ(exit.code, 0);  // logs do not mirror
  EXPECT_EQ(exit.out,
            "── test/unit ── make check\n"
            "no newline\n"
            "── test/unit ── exit 1 (0.30 s)\n"
            "── 12@1 unit ── failed test/unit exit 1\n");
  EXPECT_EQ(exit.err, "");
}

TEST_F(WaggleWatchTest, LogsByLine) {
  queen_.PutJob(Passed(12, "unit"));
  queen_.ScriptWatch(12, {CommandStart(1, "unit", "make"), Out(2, 1, "1\n2\n3\n4\n5\n6\n"),
                          CommandEnd(3, "unit", 0, 1), End(Passed(12, "unit"))});
  EXPECT_EQ(Run({"logs", "12", "--lines", "2-3"}).out, "2\n3\n");
  EXPECT_EQ(queen_.watches().back().from_line(), 2u);
  EXPECT_EQ(Run({"logs", "12", "--lines", "6"}).out, "6\n");
  EXPECT_EQ(Run({"logs", "12", "--raw", "-n", "2"}).out, "5\n6\n");  // the outline says 6 lines
  EXPECT_EQ(queen_.watches().back().from_line(), 5u);
  EXPECT_EQ(Run({"logs", "12", "--lines", "3-2"}).code, 2);
  EXPECT_EQ(Run({"logs", "12", "--lines", "1-2", "-n", "1"}).code, 2);
}

TEST_F(WaggleWatchTest, FollowingTheTailShowsLaterAttemptsWhole) {
  queen_.PutJob(MakeJob(12, "unit", v1::STARTED));
  queen_.ScriptWatch(12, {Out(2, 1, "1\n2\n3\n4\n5\n6\n"), Out(1, 1, "again\n", 8), End(Passed(12, "unit"))});
  EXPECT_EQ(Run({"logs", "12", "-f", "--raw", "-n", "1"}).out, "6\nagain\n");
  EXPECT_TRUE(queen_.watches().back().follow());
}

TEST_F(WaggleWatchTest, AnEmptyLogIsExplained) {
  v1::Job queued = MakeJob(12, "unit", v1::QUEUED);
  queued.set_detail("no drone is connected");
  queen_.PutJob(queued);
  queen_.ScriptWatch(12, {End(queued)});
  Exit exit = Run({"logs", "12"});
  EXPECT_EQ(exit.code, 0);
  EXPECT_EQ(exit.out, "");
  EXPECT_EQ(exit.err, "job 12 unit  queued: no drone is connected; its log is empty\n");
  EXPECT_EQ(Run({"logs", "13"}).code, 3);
}

}  // namespace
}  // namespace waggle::cli
