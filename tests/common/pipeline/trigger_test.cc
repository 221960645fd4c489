// Which runs a file wants (`trigger`) and which of its jobs a run wants (`when`).
#include "common/pipeline/trigger.h"

#include <gmock/gmock.h>

#include "tests/common/pipeline/support.h"

namespace waggle::pipeline {
namespace {

using ::testing::HasSubstr;

const RunFacts kManual;
RunFacts Push(const std::string& branch) {
  return {.event = Event::kPush, .branch = branch};
}
RunFacts Tag(const std::string& tag) {
  return {.event = Event::kTag, .tag = tag};
}
RunFacts PullRequest(const std::string& branch) {
  return {.event = Event::kPullRequest, .branch = branch};
}
RunFacts Cron(const std::string& schedule) {
  return {.event = Event::kCron, .branch = "main", .schedule = schedule};
}

std::string Unwanted(const std::string& trigger, const RunFacts& facts) {
  return Parse((trigger.empty() ? "" : "trigger: " + trigger + "\n") + "test: x\n", facts).unwanted;
}
std::string TriggerFault(const std::string& trigger) {
  return Fault("trigger: " + trigger + "\ntest: x\n");
}
std::string Skipped(const std::string& when, const RunFacts& facts) {
  return Only(Unit("when: " + when), facts).skipped;
}

TEST(Trigger, Table) {
  struct Case {
    const char* trigger;
    RunFacts facts;
    const char* unwanted;  // "" = it is wanted
  };
  for (const Case& c : std::initializer_list<Case>{
           {"", kManual, ""},
           {"", Push("any"), ""},
           {"", Tag("v1"), ""},
           {"", PullRequest("main"), ""},
           {"", Cron("nightly"), "`trigger.schedule` has no `nightly`"},
           {"{push: true}", Push("any"), ""},
           {"{push: false}", Push("any"), "`trigger` does not name push"},
           {"{push: true}", Tag("v1"), "`trigger` does not name tag"},
           {"{push: true}", PullRequest("main"), "`trigger` does not name pull_request"},
           {"{push: false}", kManual, ""},
           {"{push: main}", Push("main"), ""},
           {"{push: main}", Push("mai"), "`trigger.push` does not name branch `mai`"},
           {"{push: [main, \"feat/**\"]}", Push("feat/a/b"), ""},
           {"{push: {branches: [main, \"feat/**\"]}}", Push("feat/a/b"), ""},
           {"{push: {branches: main}}", Push("dev"), "`trigger.push` does not name branch `dev`"},
           {"{push: {ignore: [\"wip/*\"]}}", Push("wip/x"), "`trigger.push` ignores branch `wip/x`"},
           {"{push: {ignore: [\"wip/*\"]}}", Push("main"), ""},
           {"{push: {branches: \"*\", ignore: x}}", Push("x"), "`trigger.push` ignores branch `x`"},
           {"{tag: [\"v*\"]}", Tag("v2"), ""},
           {"{tag: [\"v*\"]}", Tag("w2"), "`trigger.tag` does not name tag `w2`"},
           {"{tag: true}", Tag("w2"), ""},
           {"{pull_request: {branches: [main]}}", PullRequest("main"), ""},
           {"{pull_request: {branches: [main]}}", PullRequest("dev"),
            "`trigger.pull_request` does not name branch `dev`"},
           {"{schedule: {nightly: \"17 3 * * *\"}}", Cron("nightly"), ""},
           {"{schedule: {nightly: \"17 3 * * *\"}}", Cron("weekly"), "`trigger.schedule` has no `weekly`"},
           {"{schedule: {nightly: \"17 3 * * *\"}}", Push("main"), "`trigger` does not name push"},
           {"{paths_ignore: x}", Push("main"), ""},
           {"{paths_ignore: x}", Tag("v1"), ""},
       }) {
    EXPECT_EQ(Unwanted(c.trigger, c.facts), c.unwanted) << c.trigger << " " << Name(c.facts.event);
  }
}

TEST(Trigger, PathsThatChangeNothing) {
  RunFacts facts = Push("main");
  const std::string trigger = "{paths_ignore: [\"docs/**\", \"*.md\"]}";
  for (const auto& [changed, wanted] :
       std::initializer_list<std::pair<std::vector<std::string>, bool>>{{{"docs/a/b.txt"}, false},
                                                                        {{"src/x.md", "docs/a"}, false},
                                                                        {{"docs/a", "src/x.cc"}, true},
                                                                        {{}, true}}) {
    facts.changed = changed;
    EXPECT_EQ(Unwanted(trigger, facts).empty(), wanted);
  }
  facts.changed = {"docs/a"};
  facts.event = Event::kManual;
  EXPECT_EQ(Unwanted(trigger, facts), "") << "who asks for a run gets it";
}

TEST(Trigger, Faults) {
  EXPECT_EQ(TriggerFault("{push: {brances: [main]}}"),
            ".waggle.yml:1:18: unknown key `brances` in `trigger.push`\n"
            "  1 | trigger: {push: {brances: [main]}}\n"
            "    |                  ^^^^^^^ did you mean `branches`? [WG101]");
  EXPECT_THAT(TriggerFault("push"), HasSubstr("`trigger` must be a mapping"));
  EXPECT_THAT(TriggerFault("{}"), HasSubstr("`trigger` is empty"));
  EXPECT_THAT(TriggerFault("{push: []}"), HasSubstr("`trigger.push` is empty"));
  EXPECT_THAT(TriggerFault("{tag: {branches: x}}"), HasSubstr("`trigger.tag` must be a text, not a mapping"));
  EXPECT_THAT(TriggerFault("{push: [" + std::string(257, 'x') + "]}"), HasSubstr("a pattern of 257 bytes"));
  std::string many = "a0";
  for (int i = 1; i < 257; ++i) many += ", a" + std::to_string(i);
  EXPECT_THAT(TriggerFault("{paths_ignore: [" + many + "]}"),
              HasSubstr("`trigger.paths_ignore` has 257 patterns"));
  EXPECT_EQ(TriggerFault("{schedule: {nightly: 17 3 * *}}"),
            ".waggle.yml:1:31: `17 3 * *` is no schedule: 4 fields instead of 5\n"
            "  1 | trigger: {schedule: {nightly: 17 3 * *}}\n"
            "    |                               ^^^^^^^^ minute hour day month weekday, such as 17 3 * * * "
            "[WG111]");
  EXPECT_THAT(TriggerFault("{schedule: nightly}"), HasSubstr("must be a mapping of names to times"));
}

TEST(Trigger, Cron) {
  for (const char* good :
       {"17 3 * * *", "*/5 * * * *", "0,30 0-6 1-31/2 1,2,12 0-7", "  0 0 1 1 0  ", "0 0 * * 7"}) {
    EXPECT_EQ(CronFault(good), "") << good;
  }
  for (const auto& [bad, fault] : std::initializer_list<std::pair<const char*, const char*>>{
           {"", "0 fields instead of 5"},
           {"60 * * * *", "`60` is no minute"},
           {"* 24 * * *", "`24` is no hour"},
           {"* * 0 * *", "`0` is no day"},
           {"* * * 13 *", "`13` is no month"},
           {"* * * * 8", "`8` is no weekday"},
           {"5-1 * * * *", "`5-1` is no minute"},
           {"*/0 * * * *", "`*/0` is no minute"},
           {"1, * * * *", "`1,` is no minute"},
           {"-1 * * * *", "`-1` is no minute"},
           {"99999999999999999999 * * * *", "`99999999999999999999` is no minute"},
           {"@daily", "`@daily` is no minute"},
           {"* * * * MON", "`MON` is no weekday"},
           {"* * * * * *", "6 fields instead of 5"},
       }) {
    EXPECT_EQ(CronFault(bad), fault) << bad;
  }
}

TEST(When, Table) {
  struct Case {
    const char* when;
    RunFacts facts;
    const char* skipped;  // "" = the job is wanted
  };
  for (const Case& c : std::initializer_list<Case>{
           {"{event: tag}", Tag("v1"), ""},
           {"{event: tag}", Push("main"), "`when.event` is tag, this is push"},
           {"{event: [push, pull_request]}", PullRequest("x"), ""},
           {"{event: [push, pull_request]}", kManual, "`when.event` is push, pull_request, this is manual"},
           {"{branch: main}", Push("main"), ""},
           {"{branch: [main, \"feat/*\"]}", Push("feat/a/b"), ""},
           {"{branch: main}", Push("dev"), "`when.branch` does not name `dev`"},
           {"{branch: \"*\"}", Tag("v1"), "`when.branch` is given, this run has no branch"},
           {"{tag: \"v*\"}", Tag("v1"), ""},
           {"{tag: \"v*\"}", Tag("w"), "`when.tag` does not name `w`"},
           {"{tag: \"v*\"}", Push("v"), "`when.tag` is given, this run has no tag"},
           {"{branch: main, event: push}", Push("dev"), "`when.branch` does not name `dev`"},
       }) {
    EXPECT_EQ(Skipped(c.when, c.facts), c.skipped) << c.when;
  }
}

TEST(When, CellsOfTheMatrix) {
  const Pipeline pipeline =
      Parse(Unit("matrix: {cc: [gcc, clang], v: [1, 2]}\n    when: {matrix: {cc: gcc, v: [2, 3]}}"));
  ASSERT_EQ(pipeline.jobs.size(), 4u);
  EXPECT_EQ(pipeline.jobs[0].skipped, "`when.matrix.v` does not name `1`");
  EXPECT_EQ(pipeline.jobs[1].skipped, "");
  EXPECT_EQ(pipeline.jobs[3].skipped, "`when.matrix.cc` does not name `clang`");
  EXPECT_THAT(Fault(Unit("matrix: {arch: [a]}\n    when: {matrix: {acrh: a}}")),
              HasSubstr("did you mean `arch`? [WG107]"));
}

TEST(When, Status) {
  const auto file = [](const std::string& status) {
    return "jobs:\n  a: {test: x}\n  b: {test: x, after: a, when: {status: " + status + "}}\n";
  };
  EXPECT_EQ(Parse(file("passed")).jobs[1].runs_after, RunsAfter::kPassed);
  EXPECT_EQ(Parse(file("failed")).jobs[1].runs_after, RunsAfter::kFailed);
  EXPECT_EQ(Parse(file("always")).jobs[1].runs_after, RunsAfter::kAlways);
  EXPECT_EQ(Parse(file("always")).jobs[1].skipped, "");
  EXPECT_THAT(Fault(file("faild")), HasSubstr("did you mean `failed`? [WG111]"));
  EXPECT_THAT(Fault(Unit("when: {status: failed}")), HasSubstr("`when.status` is about the jobs of `after`"));
}

TEST(When, Faults) {
  EXPECT_EQ(Fault(Unit("when: {event: pul_request}")),
            ".waggle.yml:4:19: unknown event `pul_request`\n"
            "  4 |     when: {event: pul_request}\n"
            "    |                   ^^^^^^^^^^^ did you mean `pull_request`? [WG111]");
  EXPECT_THAT(Fault(Unit("when: {event: commit}")),
              HasSubstr("known: manual, push, pull_request, tag, cron, deploy"));
  EXPECT_THAT(Fault(Unit("when: tag")), HasSubstr("`jobs.unit.when` must be a mapping"));
  EXPECT_THAT(Fault(Unit("when: {}")), HasSubstr("`jobs.unit.when` is empty"));
}

}  // namespace
}  // namespace waggle::pipeline
