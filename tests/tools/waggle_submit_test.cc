// The built `waggle submit` against a scripted queen.
#include <gmock/gmock.h>
#include <grpcpp/support/status.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/tools/driver.h"
#include "tests/tools/fake_queen.h"
#include "tools/waggle/json.h"
#include "waggle/v1/queen.pb.h"

namespace waggle::cli {
namespace {

using testing::HasSubstr;

class WaggleSubmitTest : public testing::Test {
 protected:
  WaggleSubmitTest() {
    for (std::vector<std::string> args :
         std::vector<std::vector<std::string>>{{"init", "-q", "-b", "main"},
                                               {"config", "user.name", "Anna"},
                                               {"config", "user.email", "a@example.com"}}) {
      MustRun("git", args, repo_.path());
    }
    repo_.Write(".waggle.yml", "test: make check\n");
    MustRun("git", {"add", "."}, repo_.path());
    MustRun("git", {"commit", "-q", "-m", "one"}, repo_.path());
    commit_ = MustRun("git", {"rev-parse", "HEAD"}, repo_.path()).substr(0, 40);
    v1::Job a = MakeJob(13, "unit", v1::QUEUED), b = MakeJob(14, "lint", v1::CREATED);
    a.set_run(12);
    b.set_run(12);
    b.set_detail("after unit");
    queen_.PutJob(a);
    queen_.PutJob(b);
  }
  Exit Submit(std::vector<std::string> args, std::string cwd = "") {
    args.insert(args.begin(), "submit");
    return RunWaggle(std::move(args), {{"WAGGLE_QUEEN", queen_.socket()}}, cwd.empty() ? repo_.path() : cwd);
  }

  TempDir dir_, repo_;
  std::string commit_;
  FakeQueen queen_{dir_.File("queen.sock")};
};

TEST_F(WaggleSubmitTest, ARunOfTheRepositoryAroundHere) {
  repo_.Write("sub/dirty.txt", "x");
  Exit exit = Submit({"-m", "try this"}, repo_.File("sub"));
  EXPECT_EQ(exit.code, 0) << exit.err;
  EXPECT_EQ(exit.out,
            "run r12: 2 jobs at 1a2b3c4d\n"
            "job 13 unit  queued\n"
            "job 14 lint  waiting: after unit\n");
  EXPECT_EQ(exit.err, "warning: not included: 1 changed file\n");
  v1::SubmitRunRequest sent = queen_.last_run();
  EXPECT_EQ(sent.repo().url(), std::filesystem::canonical(repo_.path()).string());
  EXPECT_EQ(sent.ref().branch(), "main");
  EXPECT_EQ(sent.ref().id(), commit_);
  EXPECT_EQ(sent.trigger().type(), "manual");
  EXPECT_EQ(sent.trigger().message(), "try this");
  EXPECT_EQ(sent.trigger().author().name(), "Anna");
  EXPECT_GT(sent.trigger().timestamp(), 1'600'000'000'000);
}

TEST_F(WaggleSubmitTest, AnAddressGoesUnresolved) {
  EXPECT_EQ(Submit({"v1.2", "--repo", "https://git.example.com/x"}).code, 0);
  EXPECT_EQ(queen_.last_run().repo().url(), "https://git.example.com/x");
  EXPECT_EQ(queen_.last_run().ref().branch(), "v1.2");
}

TEST_F(WaggleSubmitTest, JsonIsOneObject) {
  Exit exit = Submit({"-o", "json"});
  Json object = Json::parse(exit.out);
  EXPECT_EQ(object["run"], 12);
  EXPECT_EQ(object["jobs"][0]["id"], 13);
  EXPECT_EQ(object["jobs"][0]["state"], "queued");
}

TEST_F(WaggleSubmitTest, WatchFollowsAllJobsAndLeavesWithTheFirstFailure) {
  queen_.ScriptWatch(13, {Out(1, 1, "u\n"), End(Passed(13, "unit"))});
  queen_.ScriptWatch(14, {Out(1, 1, "l\n"), End(Failed(14, "lint", 3))});
  Exit exit = Submit({"--watch"});
  EXPECT_EQ(exit.code, 3);
  EXPECT_THAT(exit.out, HasSubstr("unit | u\n"));
  EXPECT_THAT(exit.out, HasSubstr("lint | l\n"));
  EXPECT_THAT(exit.err, HasSubstr("run r12: 2 jobs at 1a2b3c4d\n"));
  EXPECT_THAT(exit.err, HasSubstr("✗ r12 failed   1 passed · 1 failed"));
  EXPECT_EQ(Submit({"-w", "--prefix=never", "-q"}).out.find('|'), std::string::npos);
}

TEST_F(WaggleSubmitTest, AJobDocumentFromAFileOrStdin) {
  std::string file = dir_.Write("job.json", R"({"name": "unit", "test": [{"command": "make check"}]})");
  Exit exit = Submit({"--job", file}, "/");
  EXPECT_EQ(exit.code, 0) << exit.err;
  EXPECT_EQ(queen_.last_job().document().test(0).command(), "make check");
  EXPECT_GT(queen_.last_job().document().trigger().timestamp(), 0);
  EXPECT_EQ(queen_.last_job().document().trigger().type(), "manual");

  queen_.ScriptWatch(14, {Out(1, 1, "bytes"), End(Failed(14, "lint", 9))});
  Waggle waggle({"submit", "--job", "-", "-w"}, {{"WAGGLE_QUEEN", queen_.socket()}}, "/");
  waggle.SendInput(R"({"test": [{"command": "x"}], "trigger": {"timestamp": "5"}})");
  exit = waggle.Finish();
  EXPECT_EQ(exit.code, 9);
  EXPECT_EQ(exit.out, "bytes");
  EXPECT_EQ(queen_.last_job().document().trigger().timestamp(), 5);
}

TEST_F(WaggleSubmitTest, BadDocumentsAreNamed) {
  Exit exit = Submit({"--job", dir_.Write("bad.json", R"({"tset": []})")});
  EXPECT_EQ(exit.code, 2);
  EXPECT_THAT(exit.err, HasSubstr("bad.json:1:2: unknown field"));
  EXPECT_THAT(exit.err, HasSubstr("tset"));
  EXPECT_EQ(Submit({"--job", dir_.Write("broken.json", "{")}).code, 2);
  EXPECT_EQ(Submit({"--job", dir_.Write("huge.json", std::string(2'000'000, ' '))}).code, 2);
  EXPECT_EQ(Submit({"--job", dir_.File("absent.json")}).code, 2);
  EXPECT_EQ(Submit({"--job", dir_.File("absent.json"), "-w"}).code, 125);
  EXPECT_EQ(Submit({"main", "--job", "-"}).code, 2);
}

TEST_F(WaggleSubmitTest, TheQueensRefusalIsShownAsItIs) {
  queen_.RefuseSubmit(grpc::StatusCode::INVALID_ARGUMENT,
                      ".waggle.yml:14:5: unknown key `brances`\nnothing was started\nnext: use `branches`");
  Exit exit = Submit({});
  EXPECT_EQ(exit.code, 1);
  EXPECT_EQ(
      exit.err,
      "error: .waggle.yml:14:5: unknown key `brances`\n  nothing was started\n  next: use `branches`\n");
  EXPECT_EQ(Submit({"--watch"}).code, 125);
}

TEST_F(WaggleSubmitTest, WhatWasNotAnsweredIsSaidAgainUnderTheSameKey) {
  queen_.RefuseSubmit(grpc::StatusCode::UNAVAILABLE, "the queen stops\nnext: try again", 2);
  EXPECT_EQ(Submit({}).code, 0);
  std::vector<std::string> keys = queen_.keys();
  ASSERT_EQ(keys.size(), 3u);
  EXPECT_EQ(keys[0].size(), 32u);
  EXPECT_EQ(keys[1], keys[0]);
  EXPECT_EQ(keys[2], keys[0]);
  EXPECT_EQ(Submit({}).code, 0);
  EXPECT_NE(queen_.keys().back(), keys[0]) << "another submission";
  EXPECT_EQ(Submit({"--key", "build-7"}).code, 0);
  EXPECT_EQ(queen_.keys().back(), "build-7");
}

TEST_F(WaggleSubmitTest, NoRepositoryNoRef) {
  Exit exit = Submit({}, dir_.path());
  EXPECT_EQ(exit.code, 3);
  EXPECT_THAT(exit.err, HasSubstr("is not inside a git repository"));
  EXPECT_EQ(Submit({"nope"}).code, 3);
}

}  // namespace
}  // namespace waggle::cli
