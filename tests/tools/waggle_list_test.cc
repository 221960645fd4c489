// The built `waggle`: lists, show, cancel, verify, help, usage errors and unreachable queens.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "common/base/fd.h"
#include "tests/tools/driver.h"
#include "tests/tools/fake_queen.h"
#include "tools/waggle/json.h"
#include "waggle/v1/queen.pb.h"

namespace waggle::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class WaggleListTest : public testing::Test {
 protected:
  Exit Run(std::vector<std::string> args) {
    return RunWaggle(std::move(args), {{"WAGGLE_QUEEN", queen_.socket()}});
  }

  TempDir dir_;
  FakeQueen queen_{dir_.File("queen.sock")};
};

TEST_F(WaggleListTest, JobsNewestFirstAsTextAndJson) {
  queen_.PutJob(Passed(11, "a"));
  queen_.PutJob(Failed(12, "b", 2));
  Exit text = Run({"jobs"});
  EXPECT_EQ(text.code, 0);
  EXPECT_THAT(text.out, StartsWith(" JOB  STATE"));
  EXPECT_LT(text.out.find("✗ failed"), text.out.find("✓ passed"));
  EXPECT_THAT(Run({"jobs", "--color", "always"}).out, HasSubstr("\x1b[31m✗ failed\x1b[0m"));

  Json list = Json::parse(Run({"jobs", "-o", "json"}).out);
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0]["id"], 12);
  EXPECT_EQ(list[0]["state"], "failed");
  EXPECT_EQ(list[0]["attempt"], 1);
  EXPECT_EQ(list[0]["drone"], "bee-1");
  EXPECT_EQ(list[0]["reason"], "");

  Json failed =
      Json::parse(Run({"-o", "json", "jobs", "--state", "failed", "-L", "5", "--run", "r0x"}).out, nullptr,
                  /*allow_exceptions=*/false);
  EXPECT_TRUE(failed.is_discarded());  // a bad run prints an error, not JSON
  EXPECT_EQ(Json::parse(Run({"jobs", "-o", "json", "--state", "failed", "--state", "running"}).out).size(),
            1u);
  EXPECT_EQ(queen_.last_list().states_size(), 3);
  EXPECT_EQ(Json::parse(Run({"jobs", "-o", "json", "--run", "r9"}).out), Json::array());
  EXPECT_EQ(queen_.last_list().run(), 9u);
}

TEST_F(WaggleListTest, BadFlagsOfJobsAreUsageErrors) {
  Exit exit = Run({"jobs", "--state", "green"});
  EXPECT_EQ(exit.code, 2);
  EXPECT_THAT(exit.err, StartsWith("error: `green` is no state\n  states: "));
  EXPECT_EQ(Run({"jobs", "-L", "0"}).code, 2);
  EXPECT_EQ(Run({"jobs", "-L", "1001"}).code, 2);
  EXPECT_EQ(Run({"jobs", "-L", "many"}).code, 2);
  EXPECT_EQ(Run({"jobs", "-o", "xml"}).code, 2);
}

TEST_F(WaggleListTest, ShowHasFactsAndCommands) {
  queen_.PutJob(Failed(12, "unit", 2));
  Exit text = Run({"show", "12"});
  EXPECT_EQ(text.code, 0);
  EXPECT_THAT(text.out, HasSubstr("✗ failed test/unit exit 2"));
  EXPECT_THAT(text.out, HasSubstr("commands of 12@1, 6 lines\n  ✗ test/unit"));
  Json json = Json::parse(Run({"show", "@last", "-o", "json"}).out);
  EXPECT_EQ(json["id"], 12);
  EXPECT_EQ(json["commands"][0]["phase"], "test");
  EXPECT_EQ(json["commands"][0]["exit_code"], 2);
  EXPECT_EQ(json["attempts"], Json::array());
  EXPECT_EQ(Run({"show", "99"}).code, 3);
  EXPECT_EQ(Run({"show", "r1"}).code, 3);
}

TEST_F(WaggleListTest, RunsAsTextAndJson) {
  EXPECT_EQ(Run({"runs"}).err, "no such runs\n");
  v1::Job done = Passed(11, "a"), failed = Failed(12, "b", 2), open = MakeJob(13, "c", v1::CREATED);
  for (v1::Job* job : {&done, &failed, &open}) {
    job->set_run(12);
    queen_.PutJob(*job);
  }
  const Exit text = Run({"runs"});
  EXPECT_EQ(text.code, 0);
  EXPECT_THAT(text.out, StartsWith(" RUN  STATE"));
  EXPECT_THAT(text.out, HasSubstr("running, failed"));
  EXPECT_THAT(text.out, HasSubstr("1 waiting · 1 passed · 1 failed"));
  EXPECT_THAT(text.out, HasSubstr("Parse hex"));
  const Json list = Json::parse(Run({"runs", "-o", "json"}).out);
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0]["id"], 12);
  EXPECT_EQ(list[0]["verdict"], "failed");
  EXPECT_EQ(Run({"runs", "--branch", "nowhere"}).err, "no such runs\n");
  EXPECT_EQ(Run({"runs", "--state", "green"}).code, 2);
  EXPECT_EQ(Run({"runs", "-L", "0"}).code, 2);

  const Exit show = Run({"show", "r12"});
  EXPECT_EQ(show.code, 0);
  EXPECT_THAT(show.out, StartsWith("run r12  shop\n"));
  EXPECT_THAT(show.out, HasSubstr("manual by Anna"));
  EXPECT_THAT(show.out, HasSubstr("✗ failed"));
  EXPECT_EQ(Json::parse(Run({"show", "r12", "-o", "json"}).out)["jobs"].size(), 3u);
}

TEST_F(WaggleListTest, Retry) {
  v1::Job failed = Failed(12, "b", 2);
  failed.set_run(12);
  queen_.PutJob(failed);
  EXPECT_EQ(Run({"retry", "12"}).out, "job 12 b  queued\n");
  EXPECT_EQ(Run({"retry", "12"}).code, 1);
  queen_.PutJob(failed);
  EXPECT_THAT(Run({"retry", "r12", "--failed"}).out, HasSubstr("queued"));
  EXPECT_EQ(Run({"retry", "99"}).code, 3);
  EXPECT_EQ(Run({"retry", "r99"}).code, 3);
  EXPECT_EQ(Run({"retry", "12@1"}).code, 2);
  EXPECT_EQ(Run({"retry", "12", "--failed"}).code, 2);
}

TEST_F(WaggleListTest, CancelOfARun) {
  v1::Job done = Passed(11, "a"), open = MakeJob(13, "c", v1::STARTED);
  for (v1::Job* job : {&done, &open}) {
    job->set_run(12);
    queen_.PutJob(*job);
  }
  const Exit exit = Run({"cancel", "r12", "--reason", "enough", "--no-wait"});
  EXPECT_EQ(exit.code, 0);
  EXPECT_EQ(exit.out, "13 c: cancel requested, it is interrupted, then terminated, then killed\n");
  EXPECT_EQ(queen_.last_cancel().reason(), "enough");
  EXPECT_EQ(Run({"cancel", "r99"}).code, 3);
}

TEST_F(WaggleListTest, Cancel) {
  queen_.PutJob(MakeJob(12, "unit", v1::STARTED));
  Exit exit = Run({"cancel", "12", "--reason", "wrong branch", "--now", "--no-wait"});
  EXPECT_EQ(exit.code, 0);
  EXPECT_EQ(exit.out, "12 unit: cancel requested, it is killed at once\n");
  EXPECT_EQ(queen_.last_cancel().reason(), "wrong branch");
  EXPECT_TRUE(queen_.last_cancel().now());
  queen_.PutJob(Passed(13, "done"));
  exit = Run({"cancel", "13"});
  EXPECT_EQ(exit.code, 1);
  EXPECT_EQ(exit.err, "error: job 13 has already ended\n");
  EXPECT_EQ(Run({"cancel", "12@1"}).code, 2);
  EXPECT_EQ(Run({"cancel", "14"}).code, 3);
}

TEST_F(WaggleListTest, CancelWaitsForTheEndAndTellsIt) {
  v1::Job job = MakeJob(12, "unit", v1::STARTED);
  queen_.PutJob(job);
  v1::WatchEvent cleanup;
  v1::Fragment* fragment = cleanup.mutable_batch()->add_fragments();
  cleanup.mutable_batch()->set_epoch(7);
  fragment->set_seq(9);
  fragment->set_kind(v1::Fragment::PHASE);
  fragment->mutable_phase_record()->set_phase(v1::CLEANUP);
  fragment->mutable_phase_record()->set_end(true);
  job.set_state(v1::CANCELED);
  job.set_canceled_by("anna");
  job.mutable_receipt()->set_kill_ms(6100);
  queen_.ScriptWatch(12, {cleanup, End(job)});
  Exit exit = Run({"cancel", "12"});
  EXPECT_EQ(exit.code, 0) << exit.err;
  EXPECT_EQ(exit.out,
            "12 unit: cancel requested, it is interrupted, then terminated, then killed\n"
            "12 unit: cleanup ran\n"
            "⊘ 12 unit canceled by anna · 0 processes left after 6.10 s\n");
  EXPECT_EQ(queen_.watches().back().from_line(), ~0ull);  // nothing of what it printed before
  EXPECT_EQ(Json::parse(Run({"cancel", "12", "-o", "json"}).out)["state"], "canceled");
  job.mutable_receipt()->set_processes_left(1);
  queen_.ScriptWatch(12, {End(job)});
  EXPECT_EQ(Run({"cancel", "12"}).code, 1);
}

TEST_F(WaggleListTest, DronesAndVerify) {
  Exit drones = Run({"drones"});
  EXPECT_EQ(drones.code, 0);
  EXPECT_THAT(drones.out, HasSubstr("● busy"));
  EXPECT_THAT(drones.out, HasSubstr("2/4"));
  EXPECT_THAT(drones.out, HasSubstr("1 drone · 2/4 slots used · queue 3\n"));
  EXPECT_EQ(Json::parse(Run({"drones", "-o", "json"}).out)[0]["labels"]["os"], "linux");

  Exit good = Run({"verify", "12@1"});
  EXPECT_EQ(good.code, 0);
  EXPECT_EQ(good.out, "12@1 complete: 1,024 records, stdout 268,435,456 bytes, stderr 0 bytes\n");
  queen_.Damage("checksum, 0/7.000, byte 4096, record 9");
  Exit bad = Run({"verify", "12"});
  EXPECT_EQ(bad.code, 1);
  EXPECT_EQ(bad.out, "12@1 DAMAGED: checksum, 0/7.000, byte 4096, record 9\n");
}

TEST_F(WaggleListTest, HelpHasExamplesFirstAndUsageErrorsPointToIt) {
  Exit help = Run({"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_LT(help.out.find("Examples:"), help.out.find("Usage:"));
  Exit verb = Run({"logs", "-h"});
  EXPECT_EQ(verb.code, 0);
  EXPECT_THAT(verb.out, HasSubstr("waggle logs 12 --raw"));
  EXPECT_THAT(Run({"--version"}).out, StartsWith("waggle 0."));

  Exit flag = Run({"logs", "12", "--fllow"});
  EXPECT_EQ(flag.code, 2);
  EXPECT_THAT(flag.err, HasSubstr("--fllow"));
  EXPECT_THAT(flag.err, HasSubstr("next: waggle logs --help\n"));
  Exit command = Run({"wacth", "12"});
  EXPECT_EQ(command.code, 2);
  EXPECT_EQ(
      command.err,
      "error: there is no command `waggle wacth`\n  did you mean `waggle watch`?\n  next: waggle --help\n");
  EXPECT_EQ(Run({}).code, 2);
  EXPECT_EQ(Run({"watch", "12", "--nope"}).code, 125);
  EXPECT_EQ(Run({"watch", "x12"}).code, 125);
  EXPECT_EQ(Run({"submit", "--nope", "-w"}).code, 125);
  EXPECT_EQ(Run({"submit", "--nope"}).code, 2);
}

TEST_F(WaggleListTest, AnAsciiLocaleGetsAscii) {
  queen_.PutJob(Failed(12, "b", 2));
  Exit exit = RunWaggle({"jobs"}, {{"WAGGLE_QUEEN", queen_.socket()}, {"LC_ALL", "C"}});
  EXPECT_THAT(exit.out, HasSubstr("XX failed"));
  for (char c : exit.out) EXPECT_LT(static_cast<unsigned char>(c), 0x80);
}

TEST(WaggleUnreachableTest, TheErrorSaysWhereAndWhy) {
  TempDir dir;
  Exit exit = RunWaggle({"jobs", "--queen", dir.File("queen.sock")});
  EXPECT_EQ(exit.code, 5);
  EXPECT_EQ(exit.err, "error: cannot reach the queen at " + dir.File("queen.sock") +
                          " (No such file or directory)\n  the address comes from --queen\n"
                          "  next: start her with `queen serve`, or name her socket with --queen [WG001]\n");
  EXPECT_EQ(RunWaggle({"watch", "12"}, {{"WAGGLE_QUEEN", dir.path()}}).code, 125);
  Exit remote = RunWaggle({"jobs"}, {{"WAGGLE_QUEEN", "ci.example.com:7874"}});
  EXPECT_EQ(remote.code, 4);
  EXPECT_THAT(remote.err, HasSubstr("you are not logged in to ci.example.com:7874"));
}

TEST(WaggleUnreachableTest, ASocketThatNeverAnswersEndsAfterFiveSeconds) {
  TempDir dir;
  UniqueFd mute(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::strncpy(name.sun_path, dir.File("queen.sock").c_str(), sizeof name.sun_path - 1);
  ASSERT_EQ(bind(mute.get(), reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  ASSERT_EQ(listen(mute.get(), 8), 0);
  Exit exit = RunWaggle({"jobs", "--queen", dir.path()});
  EXPECT_EQ(exit.code, 5);
  EXPECT_THAT(exit.err, HasSubstr("does not answer as a queen within 5 s"));
}

TEST(WaggleAddressTest, TheFileNamesTheQueenAndALongPathWorks) {
  TempDir dir;
  std::string deep = std::string(60, 'd') + "/" + std::string(60, 'e');
  dir.Write(deep + "/%20 odd#?/x", "");
  std::string socket = dir.File(deep + "/%20 odd#?/queen.sock");
  ASSERT_GT(socket.size(), 108u);
  // A server cannot bind so long a path directly, so it listens on a short one and is moved.
  FakeQueen queen(dir.File("q.sock"));
  ASSERT_EQ(rename(dir.File("q.sock").c_str(), socket.c_str()), 0);
  dir.Write("config/waggle/config.yaml", "queen: '" + socket + "'\n");
  Exit exit = RunWaggle({"drones"}, {{"XDG_CONFIG_HOME", dir.File("config")}});
  EXPECT_EQ(exit.code, 0) << exit.err;
}

}  // namespace
}  // namespace waggle::cli
