// A C project in a real repository, from `waggle submit` to the exit code: what a new user does first.
#include <gmock/gmock.h>

#include "tests/support/hive_fixture.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

constexpr char kPipeline[] = R"(prepare:
  - name: build
    run: cc -o adder adder.c
test:
  - name: sum
    run: ./adder 2 3
)";

constexpr char kGood[] = R"(#include <stdio.h>
#include <stdlib.h>
int main(int argc, char** argv) {
  int sum = atoi(argv[1]) + atoi(argv[argc - 1]);
  printf("sum %d\n", sum);
  fflush(stdout);
  fprintf(stderr, "checked\n");
  return sum == 5 ? 0 : 3;
}
)";

class FirstLight : public HiveFixture {
 protected:
  void SetUp() override {
    repo_.Write(".waggle.yml", kPipeline);
    repo_.Write("adder.c", kGood);
    good_ = repo_.Commit("Add numbers");
    StartQueen();
    StartDrone("bee");
  }

  std::string BreakSum() {
    std::string bad = kGood;
    bad.replace(bad.find(" + "), 3, " - ");
    repo_.Write("adder.c", bad);
    return repo_.Commit("Break it");
  }

  Outcome Submit(Words more = {}) {
    more.insert(more.begin(), "submit");
    return Waggle(more, repo_.path());
  }

  GitRepo repo_ = MakeRepo("adder");
  std::string good_;
};

TEST_F(FirstLight, PassingCommitLeavesWithZero) {
  const Outcome outcome = Submit({"--watch"});
  EXPECT_EQ(outcome.code, 0) << outcome;
  EXPECT_EQ(outcome.out, "sum 5\nchecked\n");
  EXPECT_THAT(outcome.err, StartsWith("run r1: 1 job at " + good_.substr(0, 8) + "\n"));
  EXPECT_THAT(outcome.err, HasSubstr("▸ prepare/build: cc -o adder adder.c\n"));
  EXPECT_THAT(outcome.err, HasSubstr("▸ test/sum: ./adder 2 3\n"));
  EXPECT_THAT(Lines(outcome.err).back(), MatchesRegex("✓ 1 test passed [0-9:]+"));
}

TEST_F(FirstLight, FailingCommitLeavesWithTheCodeOfItsCommand) {
  BreakSum();
  const Outcome outcome = Submit({"--watch"});
  EXPECT_EQ(outcome.code, 3) << outcome;
  EXPECT_EQ(outcome.out, "sum -1\nchecked\n");
  EXPECT_EQ(Lines(outcome.err).back(), "✗ 1 test failed test/sum exit 3");
}

TEST_F(FirstLight, CompileErrorIsTheUsersAndTheTestDoesNotRun) {
  repo_.Write("adder.c", "int main( { return 0; }\n");
  repo_.Commit("Break the build");
  const Outcome outcome = Submit({"--watch"});
  EXPECT_EQ(outcome.code, 1) << outcome;
  EXPECT_THAT(outcome.out, HasSubstr("adder.c:1"));
  EXPECT_THAT(outcome.out, HasSubstr("error:"));
  EXPECT_THAT(outcome.err, ::testing::Not(HasSubstr("test/sum")));
  EXPECT_EQ(Lines(outcome.err).back(), "✗ 1 test failed prepare/build exit 1");
}

TEST_F(FirstLight, EveryCommandTellsTheSame) {
  BreakSum();
  EXPECT_EQ(Submit({"--watch"}).code, 3);
  const std::vector<Json> jobs = Jobs();
  ASSERT_EQ(jobs.size(), 1u);
  const Json shown = Show(1);
  for (const Json& job : {jobs[0], shown}) {
    EXPECT_EQ(job["id"], 1);
    EXPECT_EQ(job["run"], 1);
    EXPECT_EQ(job["name"], "test");
    EXPECT_EQ(job["state"], "failed");
    EXPECT_EQ(job["reason"], "");
    EXPECT_EQ(job["drone"], "bee");
    EXPECT_EQ(job["attempt"], 1);
    EXPECT_EQ(job["branch"], "main");
    EXPECT_EQ(job["repo"], repo_.path());
    EXPECT_EQ(job["failed_code"], 3);
    EXPECT_EQ(job["failed_step"], "test/sum");
    EXPECT_EQ(job["test_code"], 3);
    EXPECT_LE(job["created_at"], job["queued_at"]);
    EXPECT_LE(job["queued_at"], job["received_at"]);
    EXPECT_LE(job["received_at"], job["started_at"]);
    EXPECT_LE(job["started_at"], job["finished_at"]);
  }
  ASSERT_EQ(shown["commands"].size(), 2u);
  EXPECT_EQ(shown["commands"][0]["name"], "build");
  EXPECT_EQ(shown["commands"][0]["exit_code"], 0);
  EXPECT_EQ(shown["commands"][1]["name"], "sum");
  EXPECT_EQ(shown["commands"][1]["exit_code"], 3);
  EXPECT_EQ(shown["commands"][1]["stdout_bytes"], 7);
  EXPECT_EQ(shown["commands"][1]["stderr_bytes"], 8);
  EXPECT_EQ(shown["attempts"].size(), 1u);
  EXPECT_EQ(shown["document"]["trigger"]["author"]["name"], "Anna Bee");

  EXPECT_EQ(Raw(1), "sum -1\nchecked\n");
  EXPECT_EQ(Raw(1, {"--stream", "stdout"}), "sum -1\n");
  EXPECT_EQ(Raw(1, {"--stream", "stderr"}), "checked\n");
  const Outcome logs = Waggle({"logs", "1"});
  EXPECT_EQ(logs.code, 0);
  EXPECT_THAT(logs.out, HasSubstr("── test/sum ── ./adder 2 3\n"));
  EXPECT_THAT(logs.out, HasSubstr("sum -1\n"));
  EXPECT_THAT(logs.out, HasSubstr("── test/sum ── exit 3 ("));
  const Outcome verify = Waggle({"verify", "1"});
  EXPECT_EQ(verify.code, 0);
  EXPECT_THAT(verify.out,
              MatchesRegex("1@1 complete: [0-9]+ records, stdout 7 bytes, stderr [0-9]+ bytes\n"));
  const Outcome table = Waggle({"jobs"});
  EXPECT_THAT(table.out, HasSubstr("test/sum exit 3"));
  const Outcome show = Waggle({"show", "1"});
  EXPECT_EQ(show.code, 0);
  EXPECT_THAT(show.out, HasSubstr("next: waggle logs 1\n"));
}

TEST_F(FirstLight, WatchOfAFinishedJobMirrorsItAgain) {
  BreakSum();
  EXPECT_EQ(Submit({"--watch"}).code, 3);
  for (const char* what : {"1", "r1", "@last", "1@1"}) {
    const Outcome again = Waggle({"watch", what});
    EXPECT_EQ(again.code, 3) << what << again;
    EXPECT_EQ(again.out, "sum -1\nchecked\n") << what;
  }
}

TEST_F(FirstLight, SubmitWithoutWatchQueuesAndReturns) {
  const Outcome outcome = Submit();
  EXPECT_EQ(outcome.code, 0) << outcome;
  EXPECT_THAT(outcome.out, StartsWith("run r1: 1 job at " + good_.substr(0, 8) + "\njob 1 test  queued"));
  EXPECT_EQ(outcome.err, "");
  WaitForState(1, "passed");
}

TEST_F(FirstLight, RefChoosesBranchTagOrCommit) {
  repo_.Tag("v1");
  repo_.Branch("broken");
  const std::string bad = BreakSum();
  EXPECT_EQ(Submit({"broken", "--watch"}).code, 3);
  EXPECT_EQ(Submit({"main", "--watch"}).code, 0);
  EXPECT_EQ(Submit({"v1", "--watch"}).code, 0);
  EXPECT_EQ(Submit({good_, "--watch"}).code, 0);
  EXPECT_EQ(Submit({bad.substr(0, 8), "--watch"}).code, 3);
  EXPECT_EQ(Submit({"HEAD~1", "--watch"}).code, 0);
  const std::vector<Json> jobs = Jobs();
  ASSERT_EQ(jobs.size(), 6u);
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"broken", bad}, {"main", good_}, {"v1", good_}, {"", good_}, {"", bad}, {"", good_}};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(jobs[i]["branch"], expected[i].first) << i;
    EXPECT_EQ(jobs[i]["commit"], expected[i].second) << i;
  }
}

TEST_F(FirstLight, SubmitFromASubdirectoryTakesTheRepositoryAroundIt) {
  repo_.Write("src/deep/note.txt", "x\n");
  repo_.Commit("Add a folder");
  const Outcome outcome = Waggle({"submit", "--watch"}, repo_.path() + "/src/deep");
  EXPECT_EQ(outcome.code, 0) << outcome;
  EXPECT_EQ(outcome.out, "sum 5\nchecked\n");
  EXPECT_EQ(Waggle({"submit", "--watch", "--repo", repo_.path()}).code, 0);
}

TEST_F(FirstLight, ChangedFilesAreNamedAndNotIncluded) {
  repo_.Write("adder.c", "no C at all\n");
  const Outcome outcome = Submit({"--watch"});
  EXPECT_EQ(outcome.code, 0) << outcome;
  EXPECT_THAT(outcome.err, StartsWith("warning: not included: 1 changed file\n"));
  EXPECT_EQ(outcome.out, "sum 5\nchecked\n");
}

TEST_F(FirstLight, ABranchThatMovedIsFetchedAnew) {
  EXPECT_EQ(Submit({"main", "--watch"}).code, 0);
  BreakSum();
  EXPECT_EQ(Submit({"main", "--watch"}).code, 3);
  repo_.Git({"reset", "--quiet", "--hard", good_});  // history rewritten
  EXPECT_EQ(Submit({"main", "--watch"}).code, 0);
}

}  // namespace
}  // namespace waggle::test
