#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/journal/stream_digest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shim_process.h"

// Attempts that run to their own end, led by the real program.
namespace waggle::shim {
namespace {

using namespace std::chrono_literals;
using journal::Kind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

void ExpectDigests(const ShimProcess& shim) {
  auto final = shim.Final();
  ASSERT_TRUE(final.has_value());
  journal::StreamDigest out, err;
  out.Update(shim.Out());
  err.Update(shim.Err());
  EXPECT_EQ(final->out, out.Total());
  EXPECT_EQ(final->err, err.Total());
}

TEST(Attempt, PhasesAndStepsInOrder) {
  ShimProcess shim;
  Start start = shim.NewStart();
  start.phases[kEnvironment] = {Script("pwd")};
  start.phases[kPrepare] = {Script("pwd")};
  start.phases[kTest] = {Script("echo $WAGGLE_PHASE"), Script("exit 0")};
  start.phases[kDeploy] = {Script("echo never")};
  start.phases[kCleanup] = {Script("echo bye >&2")};
  EXPECT_EQ(shim.RunToEnd(start), 0);
  EXPECT_THAT(
      shim.Transcript(),
      ElementsAre("comment drone test",  //
                  "phase environment", "start 0", "out 0", "end 0 0", "phase environment end 0 next=prepare",
                  "phase prepare", "start 1", "out 1", "end 1 0", "phase prepare end 0 next=test",  //
                  "phase test", "start 2", "out 2", "end 2 0", "start 3", "end 3 0",
                  "phase test end 0 next=cleanup",  //
                  "phase cleanup", "start 4", "err 4", "end 4 0", "phase cleanup end 0 next=", "final"));
  EXPECT_EQ(shim.Out(), shim.dir() + "\n" + shim.dir() + "/job\ntest\n");
  EXPECT_EQ(shim.Err(), "bye\n");
  ExpectDigests(shim);
  auto final = shim.Final();
  EXPECT_EQ(final->test_code, 0);
  EXPECT_EQ(final->deploy_code, -1);
  EXPECT_EQ(final->reason, Reason::kNone);
  EXPECT_EQ(final->processes_left, 0u);
  EXPECT_EQ(final->processes_killed, 0u);
  EXPECT_GT(final->max_rss_kib, 0u);
  EXPECT_GE(final->finished, final->started);
  EXPECT_EQ(shim.ShimLog(), "");
}

TEST(Attempt, TheFirstFailureEndsThePhaseAndCleanupRuns) {
  ShimProcess shim;
  Start start = shim.NewStart(JobType::kTestAndDeploy);
  start.phases[kTest] = {Script("true"), Script("false | true", "unit"), Script("echo never")};
  start.phases[kDeploy] = {Script("echo never")};
  start.phases[kCleanup] = {Script("exit 9"), Script("echo never")};
  EXPECT_EQ(shim.RunToEnd(start), 0);
  EXPECT_THAT(shim.Transcript(),
              ElementsAre("comment drone test", "phase test", "start 0", "end 0 0", "start 1", "end 1 1",
                          "phase test end 1 next=cleanup", "phase cleanup", "start 2", "end 2 9",
                          "phase cleanup end 9 next=", "final"));
  auto final = shim.Final();
  EXPECT_EQ(final->test_code, 1);
  EXPECT_EQ(final->deploy_code, -1);
  EXPECT_EQ(final->failed_code, 1);
  EXPECT_EQ(final->failed_step, "test/unit");
  EXPECT_EQ(final->reason, Reason::kNone);
}

TEST(Attempt, ExitCodesSayWhatHappened) {
  auto end_of = [](Step step) {
    ShimProcess shim;
    Start start = shim.NewStart();
    start.phases[kTest] = {std::move(step)};
    EXPECT_EQ(shim.RunToEnd(start), 0);
    EXPECT_EQ(shim.Final()->test_code, shim.Ends().at(0).exit_code);
    EXPECT_EQ(shim.Final()->reason, Reason::kNone);
    return shim.Ends().at(0);
  };
  auto killed = end_of(Script("kill -SEGV $$"));
  EXPECT_EQ(killed.exit_code, 139);
  EXPECT_EQ(killed.signal, 11);
  EXPECT_EQ(end_of(Script("exit 255")).exit_code, 255);
  EXPECT_EQ(end_of(Script("no-such-command-here")).exit_code, 127);

  Step direct{.command = "no-such-command-here", .args = {"x"}};
  auto missing = end_of(direct);
  EXPECT_EQ(missing.exit_code, 127);
  EXPECT_THAT(missing.error, HasSubstr("command not found"));

  direct.command = "/etc/hostname";
  EXPECT_EQ(end_of(direct).exit_code, 126);
  direct.command = "true";
  direct.args = {std::string(200'000, 'x')};  // above what one argument may have
  auto too_long = end_of(direct);
  EXPECT_EQ(too_long.exit_code, 126);
  EXPECT_THAT(too_long.error, HasSubstr("too long"));

  Step nowhere = Script("true");
  nowhere.cwd = "no/such/dir";
  auto no_directory = end_of(nowhere);
  EXPECT_EQ(no_directory.exit_code, 126);
  EXPECT_THAT(no_directory.error, HasSubstr("does not exist"));
  nowhere.cwd = "../..";
  EXPECT_THAT(end_of(nowhere).error, HasSubstr("leaves"));
}

TEST(Attempt, OutputIsExactBytes) {
  ShimProcess shim;
  Start start = shim.NewStart();
  start.phases[kTest] = {
      Step{.command = "printf", .args = {"a\\000b\\377\\r\\n"}},
      Script("printf '\\376\\000x' >&2"),
      Script("head -c 5000000 /dev/zero | tr '\\0' x; printf 'end' >&2"),
      Script("for i in $(seq 2000); do echo out$i; echo err$i >&2; done"),
  };
  EXPECT_EQ(shim.RunToEnd(start), 0);
  EXPECT_EQ(shim.Output(Kind::kStdout, 0), std::string("a\0b\xff\r\n", 6));
  EXPECT_EQ(shim.Output(Kind::kStderr, 1), std::string("\xfe\0x", 3));
  EXPECT_EQ(shim.Output(Kind::kStdout, 2), std::string(5'000'000, 'x'));
  EXPECT_EQ(shim.Output(Kind::kStderr, 2), "end");
  std::string out, err;
  for (int i = 1; i <= 2000; ++i) {
    absl::StrAppend(&out, "out", i, "\n");
    absl::StrAppend(&err, "err", i, "\n");
  }
  EXPECT_EQ(shim.Output(Kind::kStdout, 3), out);
  EXPECT_EQ(shim.Output(Kind::kStderr, 3), err);
  ExpectDigests(shim);
}

TEST(Attempt, TheEndComesAfterTheLastByte) {
  ShimProcess shim;
  Start start = shim.NewStart();
  // The writer outlives its shell by a moment and holds the pipe.
  for (int i = 0; i < 5; ++i)
    start.phases[kTest].push_back(Script("(sleep 0.05; head -c 1000000 /dev/zero) & exit 0"));
  EXPECT_EQ(shim.RunToEnd(start), 0);
  std::uint64_t bytes[5] = {};
  for (const Record& r : shim.Records()) {
    if (r.header.kind == Kind::kStdout) bytes[r.header.command] += r.payload.size();
    if (r.header.kind == Kind::kCommandEnd) {
      EXPECT_EQ(bytes[r.header.command], 1'000'000u);
    }
  }
}

TEST(Attempt, ALeftoverThatHoldsThePipeIsGivenUpAndKilledAtTheEnd) {
  ShimProcess shim;
  Start start = shim.NewStart();
  start.phases[kTest] = {Script("setsid sleep 1000 & echo started"), Script("echo next")};
  EXPECT_EQ(shim.RunToEnd(start), 0);
  EXPECT_EQ(shim.Out(), "started\nnext\n");
  EXPECT_THAT(shim.Texts(Kind::kComment), ::testing::Contains(HasSubstr("keep the output open")));
  auto final = shim.Final();
  EXPECT_EQ(final->test_code, 0);
  EXPECT_EQ(final->processes_killed, 1u);
  ExpectNothingLeft(shim);
}

TEST(Attempt, TheEnvironmentIsExactlyTheGivenOne) {
  ShimProcess shim;
  Start start = shim.NewStart();
  Step step{.command = "env", .args = {"--"}, .env = {{"MINE", "1"}, {"HOME", "/elsewhere"}}};
  start.phases[kTest] = {step, Script("test -d \"$TMPDIR\"; ls /proc/self/fd | wc -l; test -z \"${MINE-}\"")};
  EXPECT_EQ(shim.RunToEnd(start), 0);
  EXPECT_EQ(shim.Final()->test_code, 0);
  EXPECT_EQ(shim.Output(Kind::kStdout, 0),
            absl::StrCat("HOME=/elsewhere\nMINE=1\nPATH=/usr/local/bin:/usr/bin:/bin\nTMPDIR=", shim.dir(),
                         "/tmp/job\nWAGGLE_ATTEMPT_KEY=", shim.dir(), "\nWAGGLE_PHASE=test\n"));
  // 0, 1, 2, the script bash reads is closed by ls's exec, and ls' own directory.
  EXPECT_EQ(shim.Output(Kind::kStdout, 1), "4\n");
}

TEST(Attempt, SilentAndScreenedCommands) {
  ShimProcess shim;
  Start start = shim.NewStart();
  Step silent = Script("echo secret; echo secret >&2; exit 4");
  silent.silent = true;
  silent.screen = "log in";
  start.phases[kTest] = {silent};
  EXPECT_EQ(shim.RunToEnd(start), 0);
  EXPECT_EQ(shim.Out() + shim.Err(), "");
  EXPECT_THAT(shim.Texts(Kind::kComment), ElementsAre("drone test", "output withheld: 14 bytes"));
  EXPECT_EQ(shim.Final()->test_code, 4);
  auto begin = journal::DecodeCommandStart(shim.Texts(Kind::kCommandStart).at(0));
  EXPECT_EQ(begin->display, "log in");
  EXPECT_TRUE(begin->silent);
}

TEST(Attempt, AnEmptyPhaseWarnsAndAnEmptyJobIsAnError) {
  ShimProcess shim;
  Start start = shim.NewStart();
  start.phases[kPrepare] = {Script("true")};
  EXPECT_EQ(shim.RunToEnd(start), 0);
  EXPECT_THAT(shim.Transcript(), ElementsAre("comment drone test", "phase prepare", "start 0", "end 0 0",
                                             "phase prepare end 0 next=test", "phase test",
                                             "warning nothing ran in the test phase",
                                             "phase test end 0 nothing next=", "final"));
  ShimProcess empty;
  EXPECT_EQ(empty.RunToEnd(empty.NewStart()), 0);
  EXPECT_EQ(empty.Final()->reason, Reason::kBadConfig);
  EXPECT_EQ(empty.Final()->test_code, -1);
  EXPECT_THAT(empty.Texts(Kind::kStatus), ElementsAre(HasSubstr("no step")));
}

TEST(Attempt, TheCheckoutComesFirstInPrepare) {
  ShimProcess shim;
  Start start = shim.NewStart();
  start.checkout = {
      {"sh", "-c", "read credential; echo got $credential; echo progress >&2; mkdir job; echo x > job/file"},
      "user:pass\n",
      "fetch /repo at abc"};
  start.phases[kEnvironment] = {Script("test ! -e job")};
  start.phases[kTest] = {Script("cat file")};
  EXPECT_EQ(shim.RunToEnd(start), 0);
  EXPECT_EQ(shim.Out(), "x\n");
  EXPECT_EQ(shim.Err(), "");
  auto transcript = shim.Transcript();
  auto comment = std::find(transcript.begin(), transcript.end(), "comment fetch /repo at abc");
  ASSERT_NE(comment, transcript.end());
  EXPECT_EQ(*(comment - 1), "phase prepare");
  EXPECT_EQ(*(comment + 1), "comment got user:pass");
  EXPECT_EQ(*(comment + 2), "comment progress");
}

TEST(Attempt, AFailedCheckoutIsASourceErrorAndCleanupRuns) {
  ShimProcess shim;
  Start start = shim.NewStart();
  start.checkout = {
      {"sh", "-c", "echo working >&2; echo 'fatal: no route to host' >&2; exit 5"}, "", "fetch"};
  start.phases[kTest] = {Script("echo never")};
  start.phases[kCleanup] = {Script("echo cleaned")};
  EXPECT_EQ(shim.RunToEnd(start), 0);
  auto final = shim.Final();
  EXPECT_EQ(final->reason, Reason::kSource);
  EXPECT_EQ(final->detail, "fatal: no route to host");
  EXPECT_EQ(final->test_code, -1);
  EXPECT_EQ(shim.Out(), "cleaned\n");

  ShimProcess missing;
  start = missing.NewStart();
  start.checkout = {{"no-such-helper"}, "", "fetch"};
  start.phases[kTest] = {Script("echo never")};
  EXPECT_EQ(missing.RunToEnd(start), 0);
  EXPECT_EQ(missing.Final()->reason, Reason::kSource);
  EXPECT_THAT(missing.Final()->detail, HasSubstr("no-such-helper"));
}

TEST(Attempt, ADeployWaitsForItsGrant) {
  ShimProcess shim;
  Start start = shim.NewStart(JobType::kTestAndDeploy);
  start.phases[kTest] = {Script("true")};
  start.phases[kDeploy] = {Script("echo deploying"), Script("exit 3")};
  shim.Connect();
  shim.Send(start);
  auto status = shim.AwaitStatus([](const Status& s) { return s.wants_grant; });
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->state, AttemptState::kRunning);
  EXPECT_EQ(status->phase, kDeploy);
  EXPECT_EQ(status->test_code, 0);
  EXPECT_EQ(shim.Out(), "");
  // A daemon that comes back while it waits is asked again.
  shim.Disconnect();
  shim.Connect();
  ASSERT_TRUE(shim.AwaitStatus([](const Status& s) { return s.wants_grant; }).has_value());
  shim.Send(Grant{});
  ASSERT_TRUE(
      shim.AwaitStatus([](const Status& s) { return s.state == AttemptState::kGranted && !s.wants_grant; }));
  auto finished = shim.AwaitStatus([](const Status& s) { return s.state == AttemptState::kFinished; });
  ASSERT_TRUE(finished.has_value());
  EXPECT_EQ(shim.AwaitExit(), 0);
  EXPECT_EQ(finished->deploy_code, 3);
  EXPECT_EQ(finished->last, shim.Records().size());
  EXPECT_EQ(shim.Out(), "deploying\n");
  EXPECT_EQ(shim.Final()->test_code, 0);
  EXPECT_EQ(shim.Final()->deploy_code, 3);
}

TEST(Attempt, ADaemonMayGoAndComeBack) {
  ShimProcess shim;
  Start start = shim.NewStart();
  start.phases[kTest] = {Script("echo one; until [ -e go ]; do sleep 0.01; done; echo two")};
  shim.Connect();
  shim.Send(start);
  ASSERT_TRUE(shim.AwaitOutput("one"));
  shim.Disconnect();
  shim.Connect();
  auto status = shim.AwaitStatus([](const Status&) { return true; });
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->epoch, start.epoch);
  EXPECT_EQ(status->state, AttemptState::kRunning);
  // The start said again is no harm; garbage and a foreign Start end the connection only.
  shim.Send(start);
  Start foreign = start;
  foreign.epoch = Epoch(start.epoch.value() + 1);
  shim.Send(foreign);
  EXPECT_TRUE(shim.AwaitEnd());
  shim.Connect();
  shim.SendBytes("\xff\xff\xff\xffgarbage");
  EXPECT_TRUE(shim.AwaitEnd());
  shim.Connect();
  ASSERT_EQ(::mkdir((start.job_directory + "/go").c_str(), 0700), 0);
  auto finished = shim.AwaitStatus([](const Status& s) { return s.state == AttemptState::kFinished; });
  ASSERT_TRUE(finished.has_value());
  EXPECT_EQ(shim.AwaitExit(), 0);
  EXPECT_EQ(shim.Out(), "one\ntwo\n");
  EXPECT_THAT(shim.ShimLog(), HasSubstr("the attempt goes on"));
}

TEST(Attempt, RunsToItsEndWithoutADaemon) {
  ShimProcess shim;
  Start start = shim.NewStart();
  start.phases[kTest] = {Script("until [ -e go ]; do sleep 0.01; done; yes | head -c 3000000")};
  shim.Connect();
  shim.Send(start);
  ASSERT_TRUE(shim.AwaitStatus([](const Status& s) { return s.state == AttemptState::kRunning; }));
  shim.Disconnect();
  ASSERT_TRUE(Eventually([&] { return ::access(start.job_directory.c_str(), F_OK) == 0; }));
  ASSERT_EQ(::mkdir((start.job_directory + "/go").c_str(), 0700), 0);
  EXPECT_EQ(shim.AwaitExit(), 0);
  EXPECT_EQ(shim.Out().size(), 3'000'000u);
  ExpectDigests(shim);
}

// A daemon that never reads must not slow the job down: what waits for it is bounded and coalesced.
TEST(Attempt, ADaemonThatDoesNotReadHoldsNothingUp) {
  ShimProcess shim;
  Start start = shim.NewStart();
  start.phases[kTest] = {Script("for i in $(seq 20000); do echo $i; done")};
  shim.Connect();
  shim.Send(start);
  EXPECT_EQ(shim.AwaitExit(), 0);
  EXPECT_EQ(shim.Final()->test_code, 0);
}

TEST(Attempt, WithTheShimItsCommandsDie) {
  ShimProcess shim;
  Start start = shim.NewStart();
  start.phases[kTest] = {Script("echo $$; exec sleep 1000")};
  shim.Connect();
  shim.Send(start);
  ASSERT_TRUE(shim.AwaitOutput("\n"));
  ::kill(shim.pid(), SIGKILL);
  EXPECT_EQ(shim.AwaitExit(), 137);
  EXPECT_TRUE(NoneMarked(shim.dir()));
  EXPECT_FALSE(shim.Final().has_value());
}

TEST(Attempt, ASpoolThatIsThereAlreadyIsNotOverwritten) {
  ShimProcess shim;
  ASSERT_TRUE(WriteFileDurably(shim.dir() + "/spool.000", "precious").ok());
  Start start = shim.NewStart();
  start.phases[kTest] = {Script("touch ran")};
  EXPECT_EQ(shim.RunToEnd(start), 70);
  EXPECT_EQ(ReadFile(shim.dir() + "/spool.000", 100).value(), "precious");
  EXPECT_NE(::access((start.job_directory + "/ran").c_str(), F_OK), 0);
}

}  // namespace
}  // namespace waggle::shim
