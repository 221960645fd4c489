#include "common/pipeline/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "common/base/limits.h"
#include "common/pipeline/keys.h"

namespace waggle::pipeline {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

std::vector<PipelineJob> Read(std::string_view text) {
  auto pipeline = ParsePipeline(text, ".waggle.yml", RunFacts());
  EXPECT_TRUE(pipeline.ok()) << pipeline.status();
  return pipeline.ok() ? pipeline->jobs : std::vector<PipelineJob>(1);
}

std::string Error(std::string_view text) {
  auto jobs = ParsePipeline(text, ".waggle.yml", RunFacts());
  EXPECT_EQ(jobs.status().code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(jobs.status().message());
}

// The message for one more line of a job that is good without it.
std::string JobError(const std::string& line) {
  return Error("jobs:\n  unit:\n    test: make\n    " + line + "\n");
}

const std::vector<Command>& Commands(const PipelineJob& job, Phase phase) {
  return job.spec.phases[static_cast<int>(phase)];
}

TEST(ParsePipeline, OneLineIsAJob) {
  auto jobs = Read("test: cmake -B build && ctest --test-dir build\n");
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].name, "test");
  EXPECT_EQ(jobs[0].spec.name, "test");
  EXPECT_EQ(jobs[0].spec.type, JobType::kTest);
  ASSERT_EQ(Commands(jobs[0], Phase::kTest).size(), 1u);
  EXPECT_EQ(Commands(jobs[0], Phase::kTest)[0].command, "cmake -B build && ctest --test-dir build");
}

TEST(ParsePipeline, AllPhasesAtTheTop) {
  auto jobs = Read(
      "version: 1\nname: shop\nkind: TEST_AND_DEPLOY\nenvironment: e\nprepare: [p1, p2]\ntest: t\ndeploy: "
      "d\ncleanup: c\n");
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].name, "shop");
  EXPECT_EQ(jobs[0].spec.type, JobType::kTestAndDeploy);
  for (Phase phase : kPhases) EXPECT_EQ(Commands(jobs[0], phase).size(), phase == Phase::kPrepare ? 2u : 1u);
}

TEST(ParsePipeline, EveryKeyOfAJobAndAStep) {
  auto jobs = Read(R"(# a comment
version: 1
name: shop
jobs:
  build-test:
    kind: TEST
    env: {BUILD_TYPE: Debug, EMPTY: ""}
    needs: {os: linux, docker: true, mem: 4G}
    timeout: 1h30m
    silence: 600s
    priority: -5
    prepare:
      - cmake -B build
      - name: build
        run: |
          cmake --build build
          echo "$BUILD_TYPE"
        env: {VERBOSE: 1}
        cwd: src/app
        silent: true
        screen: the build
    test: ctest
  release:
    kind: DEPLOY
    deploy:
      - run: ./install.sh
)");
  ASSERT_EQ(jobs.size(), 2u);
  const JobSpec& spec = jobs[0].spec;
  EXPECT_EQ(jobs[0].name, "build-test");
  EXPECT_EQ(spec.name, "build-test");
  EXPECT_THAT(spec.env, ElementsAre(Pair("BUILD_TYPE", "Debug"), Pair("EMPTY", "")));
  EXPECT_THAT(spec.needs, ElementsAre(Pair("docker", "true"), Pair("mem", "4G"), Pair("os", "linux")));
  EXPECT_EQ(spec.limits.wall, 90min);
  EXPECT_EQ(spec.limits.silence, 10min);
  EXPECT_EQ(spec.limits.cleanup, 0ms);
  EXPECT_EQ(spec.priority, -5);
  const auto& prepare = Commands(jobs[0], Phase::kPrepare);
  ASSERT_EQ(prepare.size(), 2u);
  EXPECT_EQ(prepare[0].command, "cmake -B build");
  EXPECT_EQ(prepare[1].name, "build");
  EXPECT_EQ(prepare[1].command, "cmake --build build\necho \"$BUILD_TYPE\"\n");
  EXPECT_THAT(prepare[1].env, ElementsAre(Pair("VERBOSE", "1")));
  EXPECT_EQ(prepare[1].cwd, "src/app");
  EXPECT_TRUE(prepare[1].silent);
  EXPECT_EQ(prepare[1].screen, "the build");
  EXPECT_EQ(jobs[1].spec.type, JobType::kDeploy);
  EXPECT_EQ(Commands(jobs[1], Phase::kDeploy)[0].command, "./install.sh");
}

TEST(ParsePipeline, ScalarsStayTexts) {
  auto jobs = Read(
      "jobs:\n  a:\n    test: x\n    env: {A: 010, B: no, C: 1.10, D: ~, E: null, F: 0x1F, G: 2001-01-01, H: "
      "1e3, I: yes,\n"
      "      J: Null, K: .inf, L: 12:30:45, M: 'off', N: null}\n");
  EXPECT_THAT(jobs[0].spec.env,
              ElementsAre(Pair("A", "010"), Pair("B", "no"), Pair("C", "1.10"), Pair("D", "~"),
                          Pair("E", "null"), Pair("F", "0x1F"), Pair("G", "2001-01-01"), Pair("H", "1e3"),
                          Pair("I", "yes"), Pair("J", "Null"), Pair("K", ".inf"), Pair("L", "12:30:45"),
                          Pair("M", "off"), Pair("N", "null")));
  EXPECT_EQ(Commands(Read("test: null\n")[0], Phase::kTest)[0].command, "null");
  EXPECT_EQ(Commands(Read("test: true\n")[0], Phase::kTest)[0].command, "true");
}

TEST(ParsePipeline, UnknownKeys) {
  EXPECT_EQ(JobError("tiemout: 10m"),
            ".waggle.yml:4:5: unknown key `tiemout` in `jobs.unit`\n"
            "  4 |     tiemout: 10m\n"
            "    |     ^^^^^^^ did you mean `timeout`? [WG101]");
  EXPECT_EQ(Error("tests: make\n"),
            ".waggle.yml:1:1: unknown key `tests`\n"
            "  1 | tests: make\n"
            "    | ^^^^^ did you mean `test`? [WG101]");
  EXPECT_EQ(Error("test:\n  - {nam: x, run: y}\n"),
            ".waggle.yml:2:6: unknown key `nam` in `test[0]`\n"
            "  2 |   - {nam: x, run: y}\n"
            "    |      ^^^ did you mean `name`? [WG101]");
  EXPECT_EQ(
      Error("test:\n  - {colour: x, run: y}\n"),
      ".waggle.yml:2:6: unknown key `colour` in `test[0]`\n"
      "  2 |   - {colour: x, run: y}\n"
      "    |      ^^^^^^ known: name, run, env, cwd, silent, screen, timeout, silence, allow_failure, shell, "
      "secrets [WG101]");
  EXPECT_EQ(Error("timeout: 3m\ntest: x\n"),
            ".waggle.yml:1:1: unknown key `timeout`\n"
            "  1 | timeout: 3m\n"
            "    | ^^^^^^^ it belongs to a job: write it below `jobs:` and the job's name [WG101]");
  EXPECT_THAT(Error("test: {foo: x}\n"), HasSubstr("^^^ known: steps [WG101]"));
  EXPECT_THAT(JobError("steps: [x]"), HasSubstr("^^^^^ it belongs to `environment` [WG101]"));
  EXPECT_THAT(JobError("silent: true"), HasSubstr("^^^^^^ it belongs to a step [WG101]"));
  EXPECT_THAT(JobError("checkout: {}"), HasSubstr("^^^^^^^^ it belongs to `prepare` [WG101]"));
  EXPECT_THAT(JobError("trigger: {}"), HasSubstr("^^^^^^^ it belongs to the top of the file [WG101]"));
}

TEST(ParsePipeline, KeysOfLaterVersionsAreNamed) {
  EXPECT_EQ(JobError("services: [{image: x}]"),
            ".waggle.yml:4:5: `services` is not in this version of Waggle\n"
            "  4 |     services: [{image: x}]\n"
            "    |     ^^^^^^^^ remove it [WG105]");
  for (std::string_view word : kLater) {
    const std::string key(word), expected = "`" + key + "` is not in this version of Waggle";
    EXPECT_THAT(JobError(key + ": x"), HasSubstr(expected)) << key;
    EXPECT_THAT(Error("test: x\n" + key + ": x\n"), HasSubstr(expected)) << key;
    EXPECT_THAT(Error("defaults: {" + key + ": x}\ntest: x\n"), HasSubstr(expected)) << key;
    for (Phase phase : kPhases) {
      const std::string name(Name(phase));
      EXPECT_THAT(Error("kind: TEST_AND_DEPLOY\n" + name + ": {steps: [x], " + key + ": x}\n"),
                  HasSubstr(expected))
          << key;
    }
  }
  for (std::string_view word : kStepLater) {
    const std::string key(word);
    EXPECT_THAT(Error("test:\n  - {run: x, " + key + ": true}\n"), HasSubstr("`" + key + "` is not in this"));
  }
}

TEST(ParsePipeline, Durations) {
  EXPECT_EQ(JobError("timeout: 10"),
            ".waggle.yml:4:14: `timeout: 10` has no unit\n"
            "  write 10m, 600s or 1h30m [WG103]");
  EXPECT_EQ(JobError("silence: soon"),
            ".waggle.yml:4:14: `silence: soon` is no duration\n"
            "  4 |     silence: soon\n"
            "    |              ^^^^ write 10m, 600s or 1h30m [WG100]");
  EXPECT_THAT(JobError("timeout: 24h1s"), HasSubstr("`timeout: 24h1s` is too long"));
  EXPECT_THAT(JobError("timeout: 0m"), HasSubstr("`timeout: 0m` leaves no time"));
  EXPECT_THAT(JobError("timeout: [1m]"), HasSubstr("`jobs.unit.timeout` must be a text, not a list"));
  EXPECT_THAT(JobError("timeout:"), HasSubstr("`jobs.unit.timeout` has no value"));
}

TEST(ParsePipeline, KindsAndPhases) {
  EXPECT_EQ(JobError("deploy: ./go"),
            ".waggle.yml:4:5: a job of kind TEST has no `deploy` phase\n"
            "  4 |     deploy: ./go\n"
            "    |     ^^^^^^ set `kind: TEST_AND_DEPLOY` or `kind: DEPLOY` [WG100]");
  EXPECT_EQ(JobError("kind: DEPLOY"),
            ".waggle.yml:3:5: a job of kind DEPLOY has no `test` phase\n"
            "  3 |     test: make\n"
            "    |     ^^^^ set `kind: TEST_AND_DEPLOY`, or use `prepare` [WG100]");
  EXPECT_THAT(JobError("kind: deploy"), HasSubstr(":4:11: `deploy` is no kind of job\n"));
  EXPECT_THAT(JobError("prepare: []"), HasSubstr(":4:5: `jobs.unit.prepare` is empty\n"));
  EXPECT_THAT(JobError("prepare:"), HasSubstr("`jobs.unit.prepare` is empty"));
  EXPECT_THAT(JobError("prepare: {}"), HasSubstr("`jobs.unit.prepare` is empty"));
  EXPECT_THAT(JobError("prepare: \"  \""), HasSubstr("`jobs.unit.prepare` is empty"));
  EXPECT_THAT(JobError("prepare: [\"\"]"), HasSubstr("`jobs.unit.prepare[0]` is empty"));
  EXPECT_THAT(JobError("prepare: [a, [b]]"), HasSubstr("`jobs.unit.prepare[1]` must be a text, not a list"));
  EXPECT_THAT(JobError("prepare: [{name: x}]"), HasSubstr("`jobs.unit.prepare[0]` has no `run`"));
  EXPECT_THAT(JobError("prepare:\n      -\n      - a"), HasSubstr("`jobs.unit.prepare[0]` has no value"));
  EXPECT_THAT(Error("jobs:\n  a:\n    kind: TEST\n"), HasSubstr(":2:3: job `a` has no step\n"));
}

TEST(ParsePipeline, TypesOfValues) {
  EXPECT_EQ(JobError("priority: 010"),
            ".waggle.yml:4:15: `priority: 010` is no whole number from -2147483648 to 2147483647\n"
            "  4 |     priority: 010\n"
            "    |               ^^^ [WG109]");
  EXPECT_THAT(JobError("env: [A=1]"), HasSubstr("`jobs.unit.env` must be a mapping"));
  EXPECT_THAT(JobError("env: {A: }"), HasSubstr("`jobs.unit.env.A` has no value"));
  EXPECT_THAT(JobError("env: {A: {b: c}}"), HasSubstr("`jobs.unit.env.A` must be a text, not a mapping"));
  EXPECT_THAT(JobError("needs: linux"), HasSubstr("`jobs.unit.needs` must be a mapping"));
  EXPECT_THAT(Error("test: [{run: x, silent: yes}]\n"), HasSubstr("`silent: yes` is neither true nor false"));
  EXPECT_THAT(Error("version: 2\ntest: x\n"), HasSubstr("`version: 2` is not known"));
  EXPECT_THAT(Error("name: a b\ntest: x\n"), HasSubstr(":1:7: `a b` is no name"));
}

TEST(ParsePipeline, TheWholeFile) {
  EXPECT_EQ(Error(""), ".waggle.yml:1:1: the file is empty\n  1 | \n    | ^ write `test: COMMAND` [WG100]");
  EXPECT_THAT(Error("# only a comment\n"), HasSubstr("the file is empty"));
  EXPECT_THAT(Error("make test\n"), HasSubstr("the file must be a mapping"));
  EXPECT_THAT(Error("[a, b]\n"), HasSubstr("the file must be a mapping"));
  EXPECT_THAT(Error("name: shop\n"), HasSubstr("no job in this file"));
  EXPECT_EQ(Error("jobs: {a: {test: x}}\ntest: y\n"),
            ".waggle.yml:2:1: `test` cannot stand beside `jobs`\n"
            "  2 | test: y\n"
            "    | ^^^^ move it into a job [WG100]");
  EXPECT_THAT(Error("jobs:\n"), HasSubstr("`jobs` must be a mapping"));
  EXPECT_THAT(Error("jobs: {}\n"), HasSubstr("`jobs` must be a mapping"));
  EXPECT_THAT(Error("jobs: {a: x}\n"), HasSubstr("job `a` must be a mapping"));
  for (const char* name : {"a b", "a/b", "-a", ".a", "ü", "\"\\n\""}) {
    EXPECT_THAT(Error(std::string("jobs: {") + name + ": {test: x}}\n"), HasSubstr("is no name for a job"))
        << name;
  }
}

TEST(ParsePipeline, BoundsOfTheHouseAreToldAtTheJob) {
  EXPECT_EQ(Error("jobs:\n  unit:\n    test: [{run: x, cwd: ../..}]\n"),
            ".waggle.yml:2:3: job `unit`: test[0].cwd: `../..` leaves the directory; write a path below it\n"
            "  2 |   unit:\n"
            "    |   ^^^^ [WG100]");
  EXPECT_THAT(JobError("env: {1A: x}"), HasSubstr("job `unit`: env: `1A` is no variable name"));
  EXPECT_THAT(Error("test: " + std::string(limits::kJobDocument + 1, 'x') + "\n"),
              HasSubstr("196609 bytes; at most 196608"));
  std::string jobs = "jobs:\n";
  for (int i = 0; i < limits::kPipelineJobs; ++i) jobs += "  j" + std::to_string(i) + ": {test: x}\n";
  EXPECT_EQ(Read(jobs).size(), 1000u);
  EXPECT_THAT(Error(jobs + "  one-more: {test: x}\n"), HasSubstr(":1:1: 1001 jobs after expansion\n"));
}

}  // namespace
}  // namespace waggle::pipeline
