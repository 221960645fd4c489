#include <unistd.h>

#include "common/journal/stream_digest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shim_process.h"

// Attempts that are ended: by a limit or by a person.
namespace waggle::shim {
namespace {

using namespace std::chrono_literals;
using journal::Kind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A tree that ignores what can be ignored and has a member in a session of its own.
constexpr const char* kStubborn =
    "trap '' INT TERM\n"
    "setsid sh -c \"trap '' INT TERM; sleep 1000 & wait; sleep 1000\" &\n"
    "echo up; sleep 1000; sleep 1000; wait";

TEST(Ending, WallLimit) {
  ShimProcess shim;
  Start start = shim.NewStart();
  start.wall = 300ms;
  start.phases[kTest] = {Script("echo begun; while :; do echo more; sleep 0.01; done"), Script("echo never")};
  start.phases[kCleanup] = {Script("echo cleaned")};
  Time began = BootClock::now();
  EXPECT_EQ(shim.RunToEnd(start), 0);
  EXPECT_LT(BootClock::now() - began, 5s);
  auto final = shim.Final();
  EXPECT_EQ(final->reason, Reason::kTimeout);
  EXPECT_THAT(final->detail, HasSubstr("limit of 300 ms"));
  EXPECT_THAT(shim.Texts(Kind::kStatus), ElementsAre(final->detail));
  EXPECT_THAT(shim.Out(), HasSubstr("begun"));
  EXPECT_THAT(shim.Out(), HasSubstr("cleaned"));
  EXPECT_THAT(shim.Out(), ::testing::Not(HasSubstr("never")));
  EXPECT_EQ(shim.Ends().at(0).error, final->detail);
  ExpectNothingLeft(shim);
}

TEST(Ending, SilenceLimitCountsFromTheStartAndFromTheLastByte) {
  ShimProcess mute;
  Start start = mute.NewStart();
  start.silence = 300ms;
  start.phases[kTest] = {Script("sleep 1000")};
  EXPECT_EQ(mute.RunToEnd(start), 0);
  EXPECT_EQ(mute.Final()->reason, Reason::kSilence);
  EXPECT_THAT(mute.Texts(Kind::kStatus), ElementsAre(HasSubstr("no output for 300 ms")));
  ExpectNothingLeft(mute);

  // Together longer than the limit, but never quiet for so long.
  ShimProcess chatty;
  start = chatty.NewStart();
  start.silence = 1500ms;
  start.phases[kTest] = {Script("for i in 1 2 3 4 5 6 7 8 9 10; do echo $i; sleep 0.2; done")};
  EXPECT_EQ(chatty.RunToEnd(start), 0);
  EXPECT_EQ(chatty.Final()->reason, Reason::kNone);
  EXPECT_EQ(chatty.Final()->test_code, 0);
}

TEST(Ending, LogLimitKeepsExactlyTheLimit) {
  ShimProcess shim;
  Start start = shim.NewStart();
  start.log_bytes = 100'000;
  start.phases[kTest] = {Script("printf 12345 >&2; exec yes")};
  start.phases[kCleanup] = {Script("touch cleaned; echo withheld")};
  EXPECT_EQ(shim.RunToEnd(start), 0);
  EXPECT_EQ(shim.Out().size() + shim.Err().size(), 100'000u);
  EXPECT_EQ(shim.Final()->reason, Reason::kLogLimit);
  EXPECT_EQ(shim.Final()->out.bytes + shim.Final()->err.bytes, 100'000u);
  EXPECT_EQ(::access((start.job_directory + "/cleaned").c_str(), F_OK), 0);
  // No output behind the sentence that says so.
  bool said = false;
  for (const Record& r : shim.Records()) {
    said |= r.header.kind == Kind::kStatus;
    if (said) {
      EXPECT_FALSE(journal::IsOutput(r.header.kind));
    }
  }
  EXPECT_TRUE(said);
  EXPECT_THAT(shim.Texts(Kind::kStatus), ElementsAre(HasSubstr("limit of 100000 bytes")));
  ExpectNothingLeft(shim);
}

TEST(Ending, ALogOfExactlyTheLimitPasses) {
  ShimProcess shim;
  Start start = shim.NewStart();
  start.log_bytes = 100'000;
  start.phases[kTest] = {Script("head -c 100000 /dev/zero")};
  EXPECT_EQ(shim.RunToEnd(start), 0);
  EXPECT_EQ(shim.Final()->reason, Reason::kNone);
  EXPECT_EQ(shim.Out().size(), 100'000u);
}

TEST(Ending, CancelEndsAStubbornTreeAndRunsCleanup) {
  ShimProcess shim;
  Start start = shim.NewStart();
  start.phases[kTest] = {Script(kStubborn), Script("echo never")};
  start.phases[kCleanup] = {Script("echo cleaned")};
  shim.Connect();
  shim.Send(start);
  ASSERT_TRUE(shim.AwaitOutput("up"));
  Time began = BootClock::now();
  shim.Send(Cancel{"anna", "wrong branch"});
  shim.Send(Cancel{"anna", "wrong branch"});  // said again: no effect
  EXPECT_EQ(shim.AwaitExit(), 0);
  EXPECT_GE(BootClock::now() - began, start.interrupt + start.terminate);
  EXPECT_EQ(shim.Out(), "up\ncleaned\n");
  auto final = shim.Final();
  EXPECT_EQ(final->reason, Reason::kCanceled);
  EXPECT_EQ(final->detail, "canceled by anna: wrong branch");
  EXPECT_EQ(shim.Ends().at(0).exit_code, 137);
  EXPECT_EQ(final->test_code, 137);
  EXPECT_GE(final->processes_killed, 3u);
  EXPECT_GE(final->kill_nanos, 300'000'000u);
  auto transcript = shim.Transcript();
  EXPECT_EQ(transcript.at(transcript.size() - 2), "status canceled by anna: wrong branch");
  ExpectNothingLeft(shim);
}

TEST(Ending, CancelIsGentleFirst) {
  ShimProcess shim;
  Start start = shim.NewStart();
  start.interrupt = start.terminate = 30s;
  start.phases[kTest] = {
      Script("trap 'echo interrupted; exit 5' INT; echo up; while :; do sleep 0.01; done")};
  shim.Connect();
  shim.Send(start);
  ASSERT_TRUE(shim.AwaitOutput("up"));
  shim.Send(Cancel{"anna", ""});
  EXPECT_EQ(shim.AwaitExit(), 0);
  EXPECT_EQ(shim.Out(), "up\ninterrupted\n");
  EXPECT_EQ(shim.Ends().at(0).exit_code, 5);
  EXPECT_EQ(shim.Final()->detail, "canceled by anna");
  EXPECT_EQ(shim.Final()->processes_killed, 0u);
}

TEST(Ending, CancelNowSkipsTheGentlePartAlsoLater) {
  for (bool gentle_first : {false, true}) {
    ShimProcess shim;
    Start start = shim.NewStart();
    start.interrupt = start.terminate = 60s;
    start.phases[kTest] = {Script(kStubborn)};
    start.phases[kCleanup] = {Script("echo cleaned")};
    shim.Connect();
    shim.Send(start);
    ASSERT_TRUE(shim.AwaitOutput("up"));
    if (gentle_first) shim.Send(Cancel{"anna", "why"});
    shim.Send(Cancel{"anna", "why", true});
    EXPECT_EQ(shim.AwaitExit(), 0);
    EXPECT_EQ(shim.Out(), "up\ncleaned\n");
    EXPECT_EQ(shim.Final()->reason, Reason::kCanceled);
    ExpectNothingLeft(shim);
  }
}

TEST(Ending, CancelDuringTheCheckout) {
  ShimProcess shim;
  Start start = shim.NewStart();
  start.checkout = {{"sh", "-c", "echo fetching; sleep 1000"}, "", "fetch"};
  start.phases[kTest] = {Script("echo never")};
  start.phases[kCleanup] = {Script("echo cleaned")};
  shim.Connect();
  shim.Send(start);
  ASSERT_TRUE(Eventually([&] {
    return !shim.Texts(Kind::kComment).empty() && shim.Texts(Kind::kComment).back() == "fetching";
  }));
  shim.Send(Cancel{"anna", "x"});
  EXPECT_EQ(shim.AwaitExit(), 0);
  EXPECT_EQ(shim.Out(), "cleaned\n");
  EXPECT_EQ(shim.Final()->reason, Reason::kCanceled);
  EXPECT_EQ(shim.Final()->test_code, -1);
  ExpectNothingLeft(shim);
}

TEST(Ending, CancelWhileWaitingForTheGrant) {
  ShimProcess shim;
  Start start = shim.NewStart(JobType::kDeploy);
  start.phases[kPrepare] = {Script("true")};
  start.phases[kDeploy] = {Script("echo never")};
  start.phases[kCleanup] = {Script("echo cleaned")};
  shim.Connect();
  shim.Send(start);
  ASSERT_TRUE(shim.AwaitStatus([](const Status& s) { return s.wants_grant; }));
  shim.Send(Cancel{"anna", "x"});
  EXPECT_EQ(shim.AwaitExit(), 0);
  EXPECT_EQ(shim.Out(), "cleaned\n");
  EXPECT_EQ(shim.Final()->reason, Reason::kCanceled);
  EXPECT_EQ(shim.Final()->deploy_code, -1);
  EXPECT_EQ(shim.Final()->test_code, 0);
}

TEST(Ending, CancelDuringCleanupLetsItEnd) {
  ShimProcess shim;
  Start start = shim.NewStart();
  start.phases[kTest] = {Script("exit 2")};
  start.phases[kCleanup] = {Script("echo up; until [ -e go ]; do sleep 0.01; done; echo cleaned")};
  shim.Connect();
  shim.Send(start);
  ASSERT_TRUE(shim.AwaitOutput("up"));
  shim.Send(Cancel{"anna", "x"});
  shim.Send(Cancel{"anna", "x"});
  ASSERT_TRUE(Eventually([&] { return shim.Texts(Kind::kStatus).size() == 1; }));
  ASSERT_TRUE(WriteFileDurably(start.job_directory + "/go", "").ok());
  EXPECT_EQ(shim.AwaitExit(), 0);
  EXPECT_EQ(shim.Out(), "up\ncleaned\n");
  EXPECT_EQ(shim.Final()->reason, Reason::kNone);
  EXPECT_EQ(shim.Final()->test_code, 2);
  EXPECT_EQ(shim.Texts(Kind::kStatus).size(), 1u);
}

TEST(Ending, CleanupHasItsOwnLimit) {
  ShimProcess shim;
  Start start = shim.NewStart();
  start.cleanup = 300ms;
  start.phases[kTest] = {Script("true")};
  start.phases[kCleanup] = {Script(kStubborn), Script("echo never")};
  EXPECT_EQ(shim.RunToEnd(start), 0);
  EXPECT_EQ(shim.Out(), "up\n");
  EXPECT_EQ(shim.Final()->reason, Reason::kNone);
  EXPECT_EQ(shim.Final()->test_code, 0);
  EXPECT_THAT(shim.Texts(Kind::kStatus),
              ElementsAre(HasSubstr("cleanup ran longer than its limit of 300 ms")));
  ExpectNothingLeft(shim);
}

}  // namespace
}  // namespace waggle::shim
