// Jobs from documents (`submit --job FILE`): phases, codes, streams, secrets, and documents that are refused.
#include <gmock/gmock.h>
#include <unistd.h>

#include "tests/support/hive_fixture.h"

namespace waggle::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class Document : public HiveFixture {
 protected:
  void SetUp() override {
    StartQueen();
    StartDrone("bee");
  }

  Outcome Run(const Json& document) { return Waggle({"submit", "--watch", "--job", WriteJob(document)}); }

  void ExpectRefused(const std::string& json, int code, const std::string& named) {
    const std::string path = temp_ / "jobs/bad.json";
    WriteText(path, json);
    const Outcome outcome = Waggle({"submit", "--job", path});
    EXPECT_EQ(outcome.code, code) << json << outcome;
    EXPECT_THAT(outcome.err, StartsWith("error: ")) << json;
    EXPECT_THAT(outcome.err, HasSubstr(named)) << json;
    EXPECT_EQ(outcome.out, "") << json;
  }
};

// Every phase says its name; those that fail are listed in `failing`.
Json AllPhases(const std::vector<std::string>& failing = {}) {
  Json job = {{"type", "TEST_AND_DEPLOY"}, {"name", "phases"}};
  for (const std::string phase : {"environment", "prepare", "test", "deploy", "cleanup"}) {
    std::string script = "echo $WAGGLE_PHASE one";
    for (const std::string& f : failing) script += f == phase ? "; exit 9" : "";
    job[phase] = {Step(script, "one"), Step("echo " + phase + " two", "two")};
  }
  return job;
}

TEST_F(Document, AllFivePhasesRunInOrder) {
  const Outcome outcome = Run(AllPhases());
  EXPECT_EQ(outcome.code, 0) << outcome;
  EXPECT_THAT(Lines(outcome.out),
              ElementsAre("environment one", "environment two", "prepare one", "prepare two", "test one",
                          "test two", "deploy one", "deploy two", "cleanup one", "cleanup two"));
  const Json job = Show(1);
  EXPECT_EQ(job["test_code"], 0);
  EXPECT_EQ(job["deploy_code"], 0);
  EXPECT_EQ(job["commands"].size(), 10u);
}

TEST_F(Document, FailureEndsThePhaseSkipsTheRestAndCleansUp) {
  const Outcome outcome = Run(AllPhases({"prepare"}));
  EXPECT_EQ(outcome.code, 9) << outcome;
  EXPECT_THAT(Lines(outcome.out),
              ElementsAre("environment one", "environment two", "prepare one", "cleanup one", "cleanup two"));
  EXPECT_EQ(Show(1)["failed_step"], "prepare/one");
}

TEST_F(Document, DeployIsNotTriedAfterAFailedTest) {
  const Outcome outcome = Run(AllPhases({"test", "deploy"}));
  EXPECT_EQ(outcome.code, 9) << outcome;
  EXPECT_THAT(outcome.out, Not(HasSubstr("deploy")));
  EXPECT_THAT(outcome.out, HasSubstr("cleanup two\n"));
  EXPECT_EQ(Show(1)["test_code"], 9);
}

TEST_F(Document, FailedDeployAndFailedCleanupAreToldApart) {
  EXPECT_EQ(Run(AllPhases({"deploy"})).code, 9);
  const Json deploy = Show(1);
  EXPECT_EQ(deploy["state"], "failed");
  EXPECT_EQ(deploy["test_code"], 0);
  EXPECT_EQ(deploy["deploy_code"], 9);
  EXPECT_EQ(deploy["failed_step"], "deploy/one");
}

TEST_F(Document, CommandNotFoundIs127) {
  const Outcome program = Run({{"test", {{{"command", "no-such-program"}, {"args", {"--now"}}}}}});
  EXPECT_EQ(program.code, 127) << program;
  EXPECT_THAT(program.err, HasSubstr("no-such-program: command not found"));
  const Outcome script = Run(TestJob({"no-such-program --now"}));
  EXPECT_EQ(script.code, 127) << script;
}

TEST_F(Document, DeathBySignalIs128AndItsNumber) {
  EXPECT_EQ(Run(TestJob({"kill -SEGV $$"})).code, 139);
  EXPECT_EQ(Run(TestJob({"kill -KILL $$"})).code, 137);
  EXPECT_EQ(Show(1)["commands"][0]["signal"], 11);
  EXPECT_EQ(Show(2)["commands"][0]["signal"], 9);
  EXPECT_EQ(Show(2)["state"], "failed");
}

TEST_F(Document, CodesThatMeanSomethingElseAreReportedAsOne) {
  EXPECT_EQ(Run(TestJob({"exit 120"})).code, 1);
  EXPECT_EQ(Run(TestJob({"exit 130"})).code, 1);
  EXPECT_EQ(Run(TestJob({"exit 119"})).code, 119);
  EXPECT_EQ(Run(TestJob({"exit 255"})).code, 255);
  EXPECT_EQ(Show(1)["failed_code"], 120);
}

TEST_F(Document, StreamsAreKeptApart) {
  const Outcome outcome =
      Run(TestJob({"echo to out; sleep 0.05; echo to err >&2; sleep 0.05; printf 'no newline'"}));
  EXPECT_EQ(outcome.code, 0) << outcome;
  EXPECT_EQ(Raw(1, {"--stream", "stdout"}), "to out\nno newline");
  EXPECT_EQ(Raw(1, {"--stream", "stderr"}), "to err\n");
  EXPECT_EQ(Raw(1), "to out\nto err\nno newline");
  EXPECT_EQ(Raw(1, {"--lines", "2-2"}), "to err\n");
  EXPECT_EQ(Raw(1, {"-n", "1"}), "no newline");
}

TEST_F(Document, ScriptsStopAtTheFirstFailureAlsoInAPipe) {
  EXPECT_EQ(Run(TestJob({"false\necho not reached"})).code, 1);
  EXPECT_EQ(Run(TestJob({"(exit 5) | cat\necho not reached"})).code, 5);
  EXPECT_EQ(Run(TestJob({"echo $NOT_SET_AT_ALL"})).code, 1);
  EXPECT_EQ(Raw(1) + Raw(2), "");
}

TEST_F(Document, ArgumentsAreNoShellWords) {
  const Outcome outcome =
      Run({{"test", {{{"command", "printf"}, {"args", {"<%s>", "a b", "$HOME", "*", ""}}}}}});
  EXPECT_EQ(outcome.code, 0) << outcome;
  EXPECT_EQ(outcome.out, "<a b><$HOME><*><>");
}

TEST_F(Document, SilentAndScreenedTextIsNowhere) {
  const std::string screened = "screened-" + std::to_string(::getpid());
  const std::string printed = "printed-" + std::to_string(::getpid());
  Json silent = Step("printf 'pri'; echo 'nted-" + std::to_string(::getpid()) + "'; exit 4");
  silent["silent"] = true;
  Json job = {{"test", {{{"command", "true"}, {"args", {screened}}, {"screen", "log in"}}, silent}}};
  const Outcome outcome = Run(job);
  EXPECT_EQ(outcome.code, 4) << outcome;
  EXPECT_THAT(outcome.err, HasSubstr("▸ test/#0: log in\n"));
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(Waggle({"logs", "1"}).out, HasSubstr("output withheld: "));
  for (const Words& args : {Words{"show", "1"}, Words{"show", "1", "-o", "json"}, Words{"logs", "1"},
                            Words{"logs", "1", "-o", "json"}, Words{"jobs", "-o", "json"}}) {
    EXPECT_THAT(Waggle(args).out, Not(HasSubstr(screened))) << args[0];
  }
  // Only the queen's own database has it: a job may have to be tried again.
  EXPECT_THAT(FilesContaining(QueenData() + "/logs", screened), IsEmpty());
  EXPECT_TRUE(Eventually([&] { return FilesContaining(DroneData("bee"), screened).empty(); }));
  EXPECT_THAT(FilesContaining(QueenData(), printed), IsEmpty());
  EXPECT_THAT(FilesContaining(DroneData("bee"), printed), IsEmpty());
  ExpectVerified(1);
}

TEST_F(Document, EnvironmentAndDirectoryOfEachStep) {
  Json step = Step("echo \"$A $B $C\"; basename \"$PWD\"");
  step["env"] = {{"B", "step"}, {"C", "only here"}};
  step["cwd"] = "sub/dir";
  Json job = {{"env", {{"A", "job"}, {"B", "job"}}},
              {"prepare", {Step("mkdir -p sub/dir")}},
              {"test", {step, Step("echo \"$A $B ${C:-none}\"")}}};
  const Outcome outcome = Run(job);
  EXPECT_EQ(outcome.code, 0) << outcome;
  EXPECT_THAT(Lines(outcome.out), ElementsAre("job step only here", "dir", "job job none"));
}

TEST_F(Document, NothingOfTheDaemonsEnvironmentReachesAJob) {
  EXPECT_EQ(Run(TestJob({"env"})).code, 0);
  const std::string environment = Raw(1);
  EXPECT_THAT(environment, Not(HasSubstr("WAGGLE_QUEEN=")));
  EXPECT_THAT(environment, Not(HasSubstr("GIT_CONFIG_NOSYSTEM=")));
  EXPECT_THAT(environment, HasSubstr("\nCI=true\n"));
}

TEST_F(Document, TestJobWithoutTestStepsPassesWithAWarning) {
  const Outcome outcome = Run({{"type", "TEST"}, {"prepare", {Step("echo ready")}}});
  EXPECT_EQ(outcome.code, 0) << outcome;
  EXPECT_EQ(outcome.out, "ready\n");
  EXPECT_THAT(outcome.err, HasSubstr("warning: nothing ran in the test phase"));
}

TEST_F(Document, WrongDocumentsAreRefusedByName) {
  ExpectRefused("{}", 1, "commands: none in any phase");
  ExpectRefused(R"({"type": "TEST", "test": []})", 1, "commands: none in any phase");
  ExpectRefused(R"({"test": [{"command": "true"}], "tset": []})", 2, "tset");
  ExpectRefused(R"({"test": [{"command": "true", "wait": 1}]})", 2, "wait");
  ExpectRefused(R"({"test": [{"command": ""}]})", 1, "test[0].command");
  ExpectRefused(R"({"type": "BUILD", "test": [{"command": "true"}]})", 2, "BUILD");
  ExpectRefused(R"({"test": [{"command": "true", "cwd": "../.."}]})", 1, "test[0].cwd");
  ExpectRefused(R"({"test": [{"command": "true"}], "limits": {"wall_ms": 90000000}})", 1, "limits.wall");
  ExpectRefused(R"({"test": [{"command": "true"}], "env": {"NO WAY": "1"}})", 1, "env");
  ExpectRefused("{\"test\": [{", 2, "not valid JSON");
  ExpectRefused("", 2, "not valid JSON");
  const Outcome missing = Waggle({"submit", "--job", temp_ / "jobs/none.json"});
  EXPECT_EQ(missing.code, 2) << missing;
  EXPECT_TRUE(Jobs().empty());
}

TEST_F(Document, TooLargeADocumentIsRefusedWithTheLimit) {
  const Outcome outcome = Waggle({"submit", "--job", WriteJob(TestJob({std::string(200'000, '#')}))});
  EXPECT_EQ(outcome.code, 1) << outcome;
  EXPECT_THAT(outcome.err, HasSubstr("at most 196608"));
  EXPECT_TRUE(Jobs().empty());
}

TEST_F(Document, AJobCannotReadItsInput) {
  EXPECT_EQ(Run(TestJob({"cat; echo done"})).out, "done\n");
}

}  // namespace
}  // namespace waggle::test
