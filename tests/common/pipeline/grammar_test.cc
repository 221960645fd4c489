// What the whole grammar makes of a run: settings and where they come from, the order of jobs, what is put in
// for ${…}, and the message about every mistake.
#include <gmock/gmock.h>

#include <chrono>

#include "common/base/limits.h"
#include "tests/common/pipeline/support.h"

namespace waggle::pipeline {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

const std::vector<Command>& Commands(const PipelineJob& job, Phase phase) {
  return job.spec.phases[static_cast<int>(phase)];
}

// The example of the handbook without what is not in this version.
constexpr char kFull[] = R"(# .waggle.yml
version: 1
name: shop
trigger:
  push: {branches: [main, "feat/**"]}
  pull_request: true
  tag: ["v*"]
  schedule: {nightly: "17 3 * * *"}
  paths_ignore: ["docs/**", "*.md"]
cancel_previous: true
concurrency: {group: "shop-${branch}", limit: 2}
vars: {BUILD_TYPE: RelWithDebInfo}
defaults:
  timeout: 30m
  silence: 15m
  retry: {infra: 2, failed: 0}
  needs: {os: linux, mem: 4G}
jobs:
  build-test:
    kind: TEST
    matrix:
      cc:   [gcc-12, clang-15]
      arch: [amd64, arm64]
      exclude: [{cc: clang-15, arch: arm64}]
      include: [{cc: clang-15, arch: amd64, SAN: address}]
    needs: {arch: "${matrix.arch}", docker: true}
    environment:
      isolation: host
      env: {CCACHE_DIR: /cache/ccache}
      plugins:
        - use: ccache@2
          with: {size: 5G}
      secrets: [NPM_TOKEN]
    prepare:
      checkout: {submodules: true}
      steps:
        - name: configure
          run: cmake -B build -DCMAKE_BUILD_TYPE="$BUILD_TYPE" -DCMAKE_CXX_COMPILER="$MATRIX_CC"
        - name: build
          run: cmake --build build
          timeout: 20m
    test:
      steps:
        - name: unit
          run: ctest --test-dir build --output-junit unit.xml
        - name: style
          run: ./tools/format-check.sh
          allow_failure: true
    cleanup:
      steps:
        - run: docker compose -f it.yml down -v
  release:
    kind: DEPLOY
    after: [build-test]
    when: {event: tag}
    deploy:
      steps:
        - name: install
          run: ./deploy/install.sh "$CI_COMMIT_TAG"
        - name: health
          run: curl -fsS --retry 10 "http://$CI_DEPLOY_SERVER:8080/healthz"
)";

TEST(Grammar, TheExampleOfTheHandbook) {
  const Pipeline pipeline = Parse(kFull, {.event = Event::kPush, .branch = "main"});
  EXPECT_EQ(pipeline.name, "shop");
  EXPECT_EQ(pipeline.unwanted, "");
  EXPECT_TRUE(pipeline.cancel_previous);
  ASSERT_TRUE(pipeline.concurrency);
  EXPECT_EQ(pipeline.concurrency->group, "shop-main");
  EXPECT_EQ(pipeline.concurrency->limit, 2);
  EXPECT_THAT(pipeline.schedules, ElementsAre(Pair("nightly", "17 3 * * *")));
  ASSERT_EQ(pipeline.jobs.size(), 4u);
  const PipelineJob& build = pipeline.jobs[0];
  EXPECT_EQ(build.name, "build-test/gcc-12-amd64");
  EXPECT_THAT(build.spec.needs, ElementsAre(Pair("arch", "amd64"), Pair("docker", "true"), Pair("mem", "4G"),
                                            Pair("os", "linux")));
  EXPECT_THAT(build.spec.env,
              ElementsAre(Pair("BUILD_TYPE", "RelWithDebInfo"), Pair("CCACHE_DIR", "/cache/ccache")));
  EXPECT_EQ(build.spec.limits.wall, 30min);
  EXPECT_EQ(build.spec.limits.silence, 15min);
  EXPECT_EQ(build.spec.isolation, Isolation::kNone);
  EXPECT_THAT(build.spec.secrets, ElementsAre("NPM_TOKEN"));
  ASSERT_EQ(build.spec.plugins.size(), 1u);
  EXPECT_EQ(build.spec.plugins[0].name, "ccache");
  EXPECT_EQ(build.spec.plugins[0].version, "2");
  EXPECT_EQ(build.spec.plugins[0].config_json, R"({"size":"5G"})");
  EXPECT_TRUE(build.spec.submodules);
  EXPECT_TRUE(build.cancel_previous);
  EXPECT_THAT(build.after, IsEmpty());
  EXPECT_EQ(build.skipped, "");
  EXPECT_THAT(Commands(build, Phase::kEnvironment), IsEmpty());
  ASSERT_EQ(Commands(build, Phase::kPrepare).size(), 2u);
  EXPECT_EQ(Commands(build, Phase::kPrepare)[1].wall, 20min);
  EXPECT_TRUE(Commands(build, Phase::kTest)[1].allow_failure);
  const PipelineJob& release = pipeline.jobs[3];
  EXPECT_EQ(release.name, "release");
  EXPECT_EQ(release.spec.type, JobType::kDeploy);
  EXPECT_THAT(release.after, ElementsAre(0, 1, 2));
  EXPECT_EQ(release.skipped, "`when.event` is tag, this is push");
  EXPECT_THAT(release.spec.matrix, IsEmpty());
  EXPECT_EQ(Parse(kFull, {.event = Event::kTag, .tag = "v1"}).jobs[3].skipped, "");
}

TEST(Grammar, AJobGoesOverDefaultsAndDefaultsOverVars) {
  const std::string file = R"(vars: {A: vars, B: vars, C: vars}
defaults:
  env: {B: defaults, C: defaults}
  needs: {os: linux, mem: 1G}
  timeout: 1m
  silence: 2m
  retry: {infra: 1, failed: 3}
  isolation: bubblewrap
  network: false
  secrets: [ONE]
  plugins: [cache@1, {use: other, with: {a: [1, {b: "x\"y"}]}}]
  priority: 3
  allow_failure: true
jobs:
  same: {test: x}
  own:
    test: x
    env: {C: job}
    needs: {mem: 8G}
    timeout: 5m
    retry: 7
    isolation: auto
    network: true
    secrets: [ONE, TWO]
    plugins: [cache@2.1.3]
    priority: -1
    allow_failure: false
    cancel_previous: true
)";
  const Pipeline pipeline = Parse(file);
  ASSERT_EQ(pipeline.jobs.size(), 2u);
  const PipelineJob &same = pipeline.jobs[0], &own = pipeline.jobs[1];
  EXPECT_THAT(same.spec.env, ElementsAre(Pair("A", "vars"), Pair("B", "defaults"), Pair("C", "defaults")));
  EXPECT_THAT(own.spec.env, ElementsAre(Pair("A", "vars"), Pair("B", "defaults"), Pair("C", "job")));
  EXPECT_THAT(own.spec.needs, ElementsAre(Pair("mem", "8G"), Pair("os", "linux")));
  EXPECT_EQ(same.spec.limits.wall, 1min);
  EXPECT_EQ(own.spec.limits.wall, 5min);
  EXPECT_EQ(own.spec.limits.silence, 2min);
  EXPECT_EQ(same.retry, (Retry{1, 3}));
  EXPECT_EQ(own.retry, (Retry{1, 7}));
  EXPECT_EQ(same.spec.isolation, Isolation::kBubblewrap);
  EXPECT_FALSE(same.spec.network);
  EXPECT_EQ(own.spec.isolation, Isolation::kAuto);
  EXPECT_TRUE(own.spec.network);
  EXPECT_THAT(same.spec.secrets, ElementsAre("ONE"));
  EXPECT_THAT(own.spec.secrets, ElementsAre("ONE", "TWO"));
  ASSERT_EQ(own.spec.plugins.size(), 2u);
  EXPECT_EQ(own.spec.plugins[0].version, "2.1.3") << "in the place of the one it replaces";
  EXPECT_EQ(own.spec.plugins[1].name, "other");
  EXPECT_EQ(own.spec.plugins[1].config_json, R"({"a":["1",{"b":"x\"y"}]})");
  EXPECT_EQ(own.spec.priority, -1);
  EXPECT_TRUE(same.allow_failure);
  EXPECT_FALSE(own.allow_failure);
  EXPECT_TRUE(own.cancel_previous);
  EXPECT_FALSE(same.cancel_previous);
  EXPECT_EQ(Only("test: x\n").retry, Retry());
  EXPECT_EQ(Only("vars: {A: 1}\ndefaults: {timeout: 3m}\ntest: x\n").spec.limits.wall, 3min);
}

TEST(Grammar, PhasesAreTextsListsOrMappings) {
  for (const char* form : {"a", "[a]", "[{run: a}]", "{steps: a}", "{steps: [a]}", "{steps: [{run: a}]}"}) {
    for (const char* phase : {"environment", "prepare", "test", "cleanup"}) {
      const PipelineJob job = Only("test: x\n" + std::string(phase == std::string("test") ? "" : phase) +
                                   (phase == std::string("test") ? "" : ": " + std::string(form) + "\n"));
      if (phase == std::string("test")) continue;
      EXPECT_EQ(Commands(job, *ParsePhase(phase))[0].command, "a") << phase << form;
    }
    EXPECT_EQ(Commands(Only("test: " + std::string(form) + "\n"), Phase::kTest)[0].command, "a") << form;
  }
  EXPECT_THAT(Fault("test: {steps: {run: a}}\n"), HasSubstr("`test.steps` must be a list of steps"));
  EXPECT_THAT(Fault("test: {steps: []}\n"), HasSubstr("`test.steps` is empty"));
  EXPECT_THAT(Fault("test: x\nprepare: {checkout: true}\n"),
              HasSubstr("`prepare.checkout` must be a mapping"));
  EXPECT_TRUE(Only("test: x\nprepare: {checkout: {submodules: true}}\n").spec.submodules);
}

TEST(Grammar, EveryKeyOfAStep) {
  const Command step = Commands(Only(R"(test:
  - name: n
    run: r
    env: {A: b}
    cwd: c
    silent: true
    screen: s
    timeout: 1m
    silence: 2s
    allow_failure: true
    shell: sh
    secrets: [TOKEN]
)"),
                                Phase::kTest)[0];
  EXPECT_EQ(step.name, "n");
  EXPECT_EQ(step.command, "r");
  EXPECT_THAT(step.env, ElementsAre(Pair("A", "b")));
  EXPECT_EQ(step.cwd, "c");
  EXPECT_TRUE(step.silent);
  EXPECT_EQ(step.screen, "s");
  EXPECT_EQ(step.wall, 1min);
  EXPECT_EQ(step.silence, 2s);
  EXPECT_TRUE(step.allow_failure);
  EXPECT_EQ(step.shell, "sh");
  EXPECT_THAT(step.secrets, ElementsAre("TOKEN"));
  EXPECT_EQ(Fault("test: [{run: x, shell: zsh}]\n"),
            ".waggle.yml:1:24: unknown shell `zsh`\n"
            "  1 | test: [{run: x, shell: zsh}]\n"
            "    |                        ^^^ did you mean `sh`? [WG100]");
}

TEST(Grammar, After) {
  const auto after = [](const std::string& a, const std::string& b) {
    return "jobs:\n  a: {test: x, " + a + "}\n  b: {test: x, " + b +
           "}\n  c: {test: x, matrix: {m: [1, 2]}}\n";
  };
  Pipeline pipeline = Parse(after("after: c", "after: [a, c]"));
  EXPECT_THAT(pipeline.jobs[0].after, ElementsAre(2, 3));
  EXPECT_THAT(pipeline.jobs[1].after, ElementsAre(0, 2, 3));
  EXPECT_THAT(pipeline.jobs[2].after, IsEmpty());
  EXPECT_EQ(Fault(after("after: d", "env: {}")),
            ".waggle.yml:2:23: there is no job `d`\n"
            "  2 |   a: {test: x, after: d}\n"
            "    |                       ^ [WG106]");
  EXPECT_THAT(Fault("jobs: {build: {test: x}, b: {test: x, after: [biuld]}}\n"),
              HasSubstr("there is no job `biuld`\n"));
  EXPECT_THAT(Fault("jobs: {build: {test: x}, b: {test: x, after: [biuld]}}\n"),
              HasSubstr("^^^^^ did you mean `build`? [WG106]"));
  EXPECT_THAT(Fault(after("after: a", "env: {}")), HasSubstr("job `a` cannot come after itself\n"));
  EXPECT_EQ(Fault(after("after: b", "after: a")),
            ".waggle.yml:2:16: jobs wait for each other: a → b → a\n"
            "  2 |   a: {test: x, after: b}\n"
            "    |                ^^^^^ take one of them out of `after` [WG106]");
  EXPECT_THAT(Fault(after("after: c/1", "env: {}")), HasSubstr("`c/1` is one cell of a job"));
  EXPECT_THAT(Fault(after("after: [c, c]", "env: {}")), HasSubstr("`c` appears twice in `jobs.a.after`"));
  EXPECT_THAT(Fault(after("after: []", "env: {}")), HasSubstr("`jobs.a.after` is empty"));
  EXPECT_THAT(Fault(after("after: {a: b}", "env: {}")), HasSubstr("must be a text, not a mapping"));
}

TEST(Grammar, LongCirclesAreShownInPart) {
  std::string jobs = "jobs:\n  start: {test: x, after: j0}\n";
  for (int i = 0; i < 900; ++i) {
    jobs += "  j" + std::to_string(i) + ": {test: x, after: j" + std::to_string((i + 1) % 900) + "}\n";
  }
  EXPECT_THAT(Fault(jobs),
              HasSubstr("jobs wait for each other: j0 → j1 → j2 → j3 → j4 → j5 → j6 → j7 → … → j0\n"));
}

TEST(Grammar, WhatIsPutIn) {
  const RunFacts facts{
      .event = Event::kTag, .branch = "b", .tag = "v1", .commit = std::string(40, 'a'), .name = "shop"};
  const PipelineJob job = Only(Unit("needs: {a: \"${branch}-${tag}-${event}-${name}\", b: \"${commit}\", "
                                    "c: \"$x $${y} $$z\", d: \"$\"}"),
                               facts);
  EXPECT_THAT(job.spec.needs, ElementsAre(Pair("a", "b-v1-tag-shop"), Pair("b", std::string(40, 'a')),
                                          Pair("c", "$x ${y} $$z"), Pair("d", "$")));
  const PipelineJob cell =
      Only(Unit("matrix: {m: [5m]}\n    timeout: ${matrix.m}\n    plugins: [{use: p, with: "
                "{k: \"${matrix.m}\"}}]\n    prepare: [{run: x, name: \"${matrix.m}\", cwd: "
                "\"${matrix.m}\"}]"));
  EXPECT_EQ(cell.spec.limits.wall, 5min);
  EXPECT_EQ(cell.spec.plugins[0].config_json, R"({"k":"5m"})");
  EXPECT_EQ(Commands(cell, Phase::kPrepare)[0].name, "5m");
  EXPECT_EQ(Commands(cell, Phase::kPrepare)[0].cwd, "5m");
  EXPECT_EQ(Only(Unit("needs: {a: \"${branch}\"}"), {.branch = "${tag}"}).spec.needs.at("a"), "${tag}")
      << "what was put in is not looked at again";
}

TEST(Grammar, UnknownNames) {
  EXPECT_EQ(Fault(Unit("needs: {a: \"x-${brnch}\"}")),
            ".waggle.yml:4:19: unknown name `brnch` in `jobs.unit.needs.a`\n"
            "  4 |     needs: {a: \"x-${brnch}\"}\n"
            "    |                   ^^^^^^^^ did you mean `branch`? [WG110]");
  EXPECT_THAT(Fault(Unit("needs: {a: \"${matrix.cc}\"}")), HasSubstr("there is no `matrix` here [WG110]"));
  EXPECT_THAT(Fault(Unit("matrix: {arch: [x]}\n    needs: {a: \"${matrix.acrh}\"}")),
              HasSubstr("did you mean `matrix.arch`?"));
  EXPECT_THAT(Fault(Unit("needs: {a: \"${}\"}")),
              HasSubstr("known: branch, tag, commit, event, name [WG110]"));
  EXPECT_THAT(Fault(Unit("needs: {a: \"${branch\"}")), HasSubstr("a `${` is not closed"));
  EXPECT_THAT(Fault("concurrency: \"${matrix.a}\"\ntest: x\n"), HasSubstr("unknown name `matrix.a`"));
}

TEST(Grammar, NothingIsPutIntoScripts) {
  EXPECT_EQ(Fault("test: cc=${matrix.cc} make\n"),
            ".waggle.yml:1:10: `${matrix.cc}` in what a shell is given\n"
            "  1 | test: cc=${matrix.cc} make\n"
            "    |          ^^^^^^^^^^^^ write $MATRIX_CC in the script [WG120]");
  EXPECT_THAT(Fault("test:\n  - run: |\n      a\n      b ${commit.message}\n"),
              HasSubstr("`${commit.message}` in"));
  EXPECT_THAT(Fault("test: x ${{ github.ref }}\n"),
              HasSubstr("`${{ github.ref }}` in what a shell is given"));
  EXPECT_THAT(Fault("test: [{run: x, screen: \"${matrix.a}\"}]\n"), HasSubstr("[WG120]"));
  EXPECT_THAT(Fault("vars: {A: \"${matrix.a}\"}\ntest: x\n"), HasSubstr("[WG120]"));
  EXPECT_THAT(Fault("test: [{run: x, env: {A: \"${matrix.a}\"}}]\n"), HasSubstr("[WG120]"));
  for (const char* script :
       {"echo ${VAR} ${VAR:-x.y} ${#VAR} ${VAR%.txt} ${VERSION-1.0} $MATRIX_CC ${branch} $${x} ${.a} ${a.}",
        "node -e \"console.log(\\${process.version})\"", "awk '{print ${1}}'", "echo $", "echo ${"}) {
    EXPECT_EQ(Commands(Only("test: |\n  " + std::string(script) + "\n"), Phase::kTest)[0].command,
              std::string(script) + "\n");
  }
}

// X5: every field that is a number.
TEST(Grammar, NumbersHaveRanges) {
  for (const char* number : {"-1", "2147483648", "9223372036854775808", "1e400", "08", "1.5", "0x1", "+1",
                             "''", "NaN", ".inf", "~", "many", "1 "}) {
    const std::string n = number == std::string("1 ") ? "\"1 \"" : number;
    for (const std::string& file :
         {"concurrency: {group: g, limit: " + n + "}\ntest: x\n", Unit("retry: " + n),
          Unit("retry: {infra: " + n + "}"), Unit("retry: {failed: " + n + "}")}) {
      EXPECT_THAT(Fault(file), HasSubstr("[WG109]")) << file;
    }
    if (n != "-1") {
      EXPECT_THAT(Fault(Unit("priority: " + n)), HasSubstr("[WG109]"));
    }
    EXPECT_THAT(Fault(Unit("timeout: " + n)), HasSubstr("timeout: "));
    EXPECT_THAT(Fault("version: " + n + "\ntest: x\n"), HasSubstr("is not known"));
  }
  EXPECT_EQ(Fault("concurrency: {group: g, limit: 0}\ntest: x\n"),
            ".waggle.yml:1:32: `limit: 0` is no whole number from 1 to 1000\n"
            "  1 | concurrency: {group: g, limit: 0}\n"
            "    |                                ^ [WG109]");
  EXPECT_THAT(Fault(Unit("retry: 11")), HasSubstr("`retry: 11` is no whole number from 0 to 10"));
  EXPECT_EQ(Only(Unit("priority: -2147483648")).spec.priority, INT32_MIN);
  EXPECT_EQ(Only(Unit("retry: 0")).retry.failed, 0);
}

// X6: every field that is a name.
TEST(Grammar, NamesHaveACharset) {
  const std::string long_name(4'096, 'n'), long_key(1'000, 'n');
  for (const std::string name : {"''", "..", "../x", "\"a\\nb\"", "\"\\u202eabc\"", "\"p\u0430ypal\"", "-rf",
                                 ".git", "a b", "a/b", "\"\\ufeffa\"", long_key.c_str()}) {
    if (name != "''") {
      EXPECT_THAT(Fault("jobs: {" + name + ": {test: x}}\n"), HasSubstr("no name for a job")) << name;
      EXPECT_THAT(Fault("trigger: {schedule: {" + name + ": 1 1 1 1 1}}\ntest: x\n"),
                  HasSubstr("no name for a"));
    }
    EXPECT_THAT(Fault("name: " + name + "\ntest: x\n"), HasSubstr("is no name")) << name;
    EXPECT_THAT(Fault(Unit("plugins: [" + name + "]")), HasSubstr("is no plugin")) << name;
    EXPECT_THAT(Fault(Unit("secrets: [" + name + "]")),
                testing::AnyOf(HasSubstr("secrets"), HasSubstr("is empty")));
    if (name != "\'\'") {
      EXPECT_THAT(Fault(Unit("env: {" + name + ": x}")), HasSubstr("is no variable name")) << name;
    }
    if (name != "\'\'") {
      EXPECT_THAT(Fault(Unit("matrix: {" + name + ": [x]}")), HasSubstr("no name for an axis"));
    }
  }
  EXPECT_THAT(Fault("name: \"a\\0b\"\ntest: x\n"), HasSubstr("an escape gives a NUL byte"));
  EXPECT_THAT(Fault("concurrency: \"a\\nb\"\ntest: x\n"), HasSubstr("is no name of a group"));
  EXPECT_THAT(Fault("concurrency: ''\ntest: x\n"), HasSubstr("is no name of a group"));
  EXPECT_THAT(Fault("concurrency: " + long_name + "\ntest: x\n"), HasSubstr("is no name of a group"));
  EXPECT_THAT(Fault("test: [{run: x, name: " + long_name + "}]\n"), HasSubstr("4096 bytes; at most 128"));
  for (const char* plugin : {"a@", "a@x", "a@1.2.3.4", "a@-1", "@1", "a@1@2", "a@1..2", "a@9999999999"}) {
    EXPECT_THAT(Fault(Unit("plugins: [\"" + std::string(plugin) + "\"]")), HasSubstr("is no plugin"))
        << plugin;
  }
}

TEST(Grammar, OneSettingStandsInOnePlace) {
  EXPECT_EQ(Fault(Unit("env: {A: 1}\n    environment: {env: {B: 2}, steps: [x]}")),
            ".waggle.yml:5:19: `env` stands at the job, too\n"
            "  5 |     environment: {env: {B: 2}, steps: [x]}\n"
            "    |                   ^^^ keep one of them [WG112]");
  EXPECT_THAT(Fault(Unit("plugins: [a, a@2]")), HasSubstr("plugin `a` appears twice"));
  EXPECT_THAT(Fault(Unit("secrets: [A, A]")), HasSubstr("`A` appears twice in `jobs.unit.secrets`"));
  EXPECT_THAT(Fault(Unit("environment: {needs: {a: b}}")), HasSubstr("^^^^^ it belongs to a job [WG101]"));
}

TEST(Grammar, ShapesOfValues) {
  EXPECT_EQ(Fault(Unit("isolation: bublewrap")),
            ".waggle.yml:4:16: unknown isolation `bublewrap`\n"
            "  4 |     isolation: bublewrap\n"
            "    |                ^^^^^^^^^ did you mean `bubblewrap`? [WG100]");
  EXPECT_THAT(Fault(Unit("network: no")), HasSubstr("`network: no` is neither true nor false"));
  EXPECT_THAT(Fault(Unit("isolation: none\n    network: false")),
              HasSubstr("cannot keep a job from the network"));
  EXPECT_THAT(Fault(Unit("plugins: ccache")), HasSubstr("`jobs.unit.plugins` must be a list"));
  EXPECT_THAT(Fault(Unit("plugins: [{with: {}}]")), HasSubstr("`jobs.unit.plugins[0]` has no `use`"));
  EXPECT_THAT(Fault(Unit("plugins: [{use: a, with: b}]")),
              HasSubstr("`jobs.unit.plugins[0].with` must be a mapping"));
  EXPECT_THAT(Fault(Unit("plugins: [{use: a, with: {b: }}]")),
              HasSubstr("`jobs.unit.plugins[0].with.b` has no value"));
  EXPECT_THAT(Fault(Unit("secrets: [[a]]")), HasSubstr("must be a text, not a list"));
  EXPECT_THAT(Fault(Unit("retry: {often: 1}")), HasSubstr("unknown key `often` in `jobs.unit.retry`"));
  EXPECT_THAT(Fault("concurrency: {limit: 1}\ntest: x\n"), HasSubstr("`concurrency` has no `group`"));
  EXPECT_THAT(Fault("defaults: x\ntest: x\n"), HasSubstr("`defaults` must be a mapping"));
  EXPECT_THAT(Fault("vars: [A]\ntest: x\n"), HasSubstr("`vars` must be a mapping"));
  EXPECT_THAT(Fault("cancel_previous: yes\ntest: x\n"), HasSubstr("is neither true nor false"));
}

}  // namespace
}  // namespace waggle::pipeline
