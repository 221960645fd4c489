// What a repository's .waggle.yml and its refs may be, and what is said when they are not.
#include <gmock/gmock.h>

#include <map>

#include "tests/support/hive_fixture.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class Pipeline : public HiveFixture {
 protected:
  void SetUp() override {
    StartQueen();
    StartDrone("bee", 2);
  }

  // Commits this pipeline file and submits it.
  Outcome Submit(const std::string& yaml, Words more = {"--watch"}) {
    repo_.Write(".waggle.yml", yaml);
    repo_.Commit("Try a pipeline");
    more.insert(more.begin(), "submit");
    return Waggle(more, repo_.path());
  }

  void ExpectRefused(const Outcome& outcome, const std::string& message) {
    EXPECT_EQ(outcome.code, 125) << outcome;
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, StartsWith("error: " + message));
    EXPECT_TRUE(Jobs().empty());
  }

  GitRepo repo_ = MakeRepo("p");
};

TEST_F(Pipeline, UnknownKeyIsNamedWithItsPlaceAndNothingIsQueued) {
  const Outcome outcome = Submit("jobs:\n  unit:\n    test: make\n    tets: make\n");
  ExpectRefused(outcome, ".waggle.yml:4:5: unknown key `tets`");
  EXPECT_THAT(outcome.err, HasSubstr("did you mean `test`?"));
}

TEST_F(Pipeline, OneBadJobStopsTheWholeRun) {
  ExpectRefused(Submit("jobs:\n  good:\n    test: 'true'\n  bad:\n    test: 'true'\n    timeout: 10\n"),
                ".waggle.yml:6:14: ");
}

TEST_F(Pipeline, BrokenYamlIsNamedWithItsPlace) {
  ExpectRefused(Submit("test:\n\t- make\n"), ".waggle.yml:2:1: ");
  ExpectRefused(Submit("test: [make\n"), ".waggle.yml:");
}

TEST_F(Pipeline, WithoutWatchABadFileLeavesWithOne) {
  EXPECT_EQ(Submit("tset: make\n", {}).code, 1);
  EXPECT_TRUE(Jobs().empty());
}

TEST_F(Pipeline, MissingFileSaysSo) {
  repo_.Write("readme", "hello\n");
  repo_.Commit("No pipeline");
  const Outcome outcome = Waggle({"submit"}, repo_.path());
  EXPECT_EQ(outcome.code, 3) << outcome;
  EXPECT_THAT(outcome.err, StartsWith("error: "));
  EXPECT_THAT(outcome.err, HasSubstr(".waggle.yml"));
  EXPECT_TRUE(Jobs().empty());
}

TEST_F(Pipeline, UnknownRefAndNoRepositorySaySo) {
  repo_.Write(".waggle.yml", "test: 'true'\n");
  repo_.Commit("Start");
  const Outcome ref = Waggle({"submit", "nowhere"}, repo_.path());
  EXPECT_EQ(ref.code, 3) << ref;
  EXPECT_THAT(ref.err, StartsWith("error: no branch, tag or commit `nowhere` in " + repo_.path() + "\n"));
  const Outcome outside = Waggle({"submit"});
  EXPECT_EQ(outside.code, 3) << outside;
  EXPECT_THAT(outside.err, HasSubstr("is not inside a git repository\n  next: "));
  EXPECT_TRUE(Jobs().empty());
}

TEST_F(Pipeline, SeveralJobsAreWatchedWithTheirNames) {
  const Outcome outcome = Submit(
      "jobs:\n  one:\n    test: echo first\n  three:\n    test: echo third; exit 7\n  two:\n    test: echo "
      "second\n");
  EXPECT_EQ(outcome.code, 7) << outcome;
  EXPECT_THAT(Lines(outcome.out),
              ::testing::UnorderedElementsAre("one   | first", "three | third", "two   | second"));
  EXPECT_THAT(Lines(outcome.err).back(), HasSubstr("r1 failed   2 passed · 1 failed"));
  const std::vector<Json> jobs = Jobs();
  ASSERT_EQ(jobs.size(), 3u);
  EXPECT_EQ(jobs[0]["name"], "one");
  EXPECT_EQ(jobs[1]["name"], "three");
  EXPECT_EQ(jobs[2]["name"], "two");
}

TEST_F(Pipeline, CellsOfAMatrixAreJobs) {
  const Outcome outcome = Submit(R"(vars: {A: vars}
defaults: {env: {B: defaults}, timeout: 5m}
jobs:
  build:
    matrix: {cc: [gcc, clang], arch: [amd64], exclude: [{cc: clang}], include: [{cc: clang, arch: arm64}]}
    test:
      steps:
        - {name: "${matrix.cc}", run: echo "$A $B"}
  done: {test: echo end}
)");
  EXPECT_EQ(outcome.code, 0) << outcome;
  EXPECT_THAT(Lines(outcome.out), ::testing::UnorderedElementsAre("build/gcc-amd64   | vars defaults",
                                                                  "build/clang-arm64 | vars defaults",
                                                                  "done              | end"));
  const std::vector<Json> jobs = Jobs();
  ASSERT_EQ(jobs.size(), 3u);
  EXPECT_EQ(jobs[1]["name"], "build/clang-arm64");
}

TEST_F(Pipeline, WhatTheQueenCannotDoYetIsRefused) {
  for (const auto& [lines, key] : std::initializer_list<std::pair<std::string, std::string>>{
           {"  b: {test: x, cancel_previous: true}\n", ".waggle.yml: `cancel_previous` of one job"},
           {"concurrency: g\n", ".waggle.yml: `concurrency`"},
           {"trigger: {schedule: {n: 1 1 1 1 1}}\n", ".waggle.yml: `trigger.schedule`"},
           {"  b: {test: x, environment: {secrets: [TOKEN]}}\n", "`secrets`"},
           {"  b: {test: x, prepare: {checkout: {submodules: true}}}\n", "`submodules`"}}) {
    ExpectRefused(Submit("jobs:\n  a: {test: x}\n" + lines), key + " is not in this version of Waggle");
  }
}

// One file with most of what a run is made of.
TEST_F(Pipeline, AWholeGraphOfJobs) {
  const Outcome outcome = Submit(R"(version: 1
name: shop
vars: {COLOUR: blue}
jobs:
  build:
    matrix:
      cc: [gcc, clang]
      mode: [fast, safe]
      exclude: [{cc: clang, mode: fast}]
    test: echo "$MATRIX_CC $MATRIX_MODE $COLOUR"
  flaky:
    after: build
    retry: 1
    test: echo attempt $WAGGLE_ATTEMPT; test $WAGGLE_ATTEMPT -gt 1
  lint:
    allow_failure: true
    test: exit 7
  style:
    test:
      - {name: soft, run: exit 3, allow_failure: true}
      - {name: plain, run: 'echo "$0" | grep -c step', shell: sh}
  pack: {after: [flaky, lint], test: echo packed}
  mend: {after: [build], when: {status: failed}, test: echo mended}
  tag: {when: {event: tag}, test: echo tagged}
)");
  EXPECT_EQ(outcome.code, 0) << outcome;
  const Json run = Json::parse(Waggle({"show", "r1", "-o", "json"}).out);
  EXPECT_EQ(run["state"], "passed");
  EXPECT_EQ(run["name"], "shop");
  std::map<std::string, Json> jobs;
  for (const Json& job : run["jobs"]) jobs[job["name"]] = job;
  EXPECT_EQ(jobs.size(), 9u);
  EXPECT_EQ(Raw(jobs["build/clang-safe"]["id"]), "clang safe blue\n");
  EXPECT_EQ(jobs["flaky"]["flaky"], true);
  EXPECT_EQ(jobs["flaky"]["attempt"], 2);
  EXPECT_EQ(jobs["lint"]["state"], "failed");
  EXPECT_EQ(jobs["style"]["state"], "passed");
  EXPECT_EQ(Raw(jobs["style"]["id"]), "1\n");
  EXPECT_EQ(jobs["pack"]["state"], "passed");
  EXPECT_EQ(jobs["mend"]["state"], "skipped");
  EXPECT_THAT(std::string(jobs["tag"]["detail"]), HasSubstr("when"));
  EXPECT_THAT(outcome.err, HasSubstr("warning: test/soft failed with exit 3"));
}

TEST_F(Pipeline, AStepHasLimitsOfItsOwn) {
  const Outcome slow = Submit("test: [{run: sleep 100, timeout: 1s}]\n");
  EXPECT_EQ(slow.code, 121) << slow;
  EXPECT_THAT(slow.err, HasSubstr("the step ran longer than its limit of 1 s"));
  const Outcome quiet = Submit("test: [{run: sleep 100, silence: 1s}]\n");
  EXPECT_EQ(quiet.code, 121) << quiet;
  EXPECT_THAT(quiet.err, HasSubstr("no output for 1 s, the step's silence limit"));
}

TEST_F(Pipeline, StepsSeeTheCheckoutAndTheJobsVariables) {
  repo_.Write("data/in.txt", "from the repository\n");
  const Outcome outcome = Submit(R"(jobs:
  look:
    env: {COLOUR: blue, BRANCH: mine}
    prepare:
      - run: cat in.txt
        cwd: data
    test:
      - run: echo "$CI $WAGGLE_JOB $WAGGLE_ATTEMPT $WAGGLE_DRONE $COLOUR $SHAPE $WAGGLE_PHASE"
        env: {SHAPE: round}
      - run: test "$PWD" = "$CI_WORKSPACE"; git -c safe.directory='*' rev-parse HEAD
      - run: echo "$CI_COMMIT_SHA $CI_COMMIT_BRANCH $CI_REPO $CI_COMMIT_AUTHOR $CI_PIPELINE_EVENT"
)");
  EXPECT_EQ(outcome.code, 0) << outcome;
  const std::string commit = repo_.Git({"rev-parse", "HEAD"});
  const std::vector<std::string> lines = Lines(outcome.out);
  ASSERT_EQ(lines.size(), 4u) << outcome;
  EXPECT_EQ(lines[0], "from the repository");
  EXPECT_EQ(lines[1], "true 1 1 bee blue round test");
  EXPECT_EQ(lines[2], commit);
  EXPECT_EQ(lines[3], commit + " main p Anna Bee manual");
}

TEST_F(Pipeline, MessageOfTheSubmissionIsShown) {
  const Outcome outcome =
      Submit("test: echo \"$CI_COMMIT_MESSAGE\"\n", {"--watch", "--message", "try again"});
  EXPECT_EQ(outcome.out, "try again\n");
}

TEST_F(Pipeline, CheckoutThatFailsIsNotTheUsersFault) {
  const Outcome outcome = Waggle({"submit", "--job",
                                  WriteJob({{"repo", {{"url", temp_ / "repo/gone"}}},
                                            {"ref", {{"branch", "main"}}},
                                            {"test", {Step("true")}}}),
                                  "--watch"});
  EXPECT_EQ(outcome.code, 122) << outcome;
  const Json job = Show(1);
  EXPECT_EQ(job["state"], "errored");
  EXPECT_EQ(job["reason"], "source");
  EXPECT_NE(job["detail"], "");
}

}  // namespace
}  // namespace waggle::test
