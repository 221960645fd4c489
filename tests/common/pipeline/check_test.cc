#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "common/base/limits.h"
#include "common/pipeline/job_spec.h"

namespace waggle::pipeline {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

JobSpec Good() {
  JobSpec spec;
  spec.name = "unit";
  spec.trigger.timestamp = 1;
  spec.phases[static_cast<int>(Phase::kTest)].push_back({.name = "make", .command = "make test"});
  return spec;
}

JobSpec WithRepo() {
  JobSpec spec = Good();
  spec.repo.url = "https://git.example.com/shop.git";
  spec.ref.branch = "main";
  return spec;
}

Command& First(JobSpec& spec) {
  return spec.phases[static_cast<int>(Phase::kTest)][0];
}

// Applies one change to a good spec and gives the message it is refused with; "" if it is accepted.
std::string After(JobSpec spec, const std::function<void(JobSpec&)>& change) {
  change(spec);
  absl::Status status = Check(spec);
  if (!status.ok()) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  }
  return std::string(status.message());
}

TEST(Check, AcceptsGoodSpecs) {
  EXPECT_TRUE(Check(Good()).ok()) << Check(Good());
  EXPECT_TRUE(Check(WithRepo()).ok()) << Check(WithRepo());
  for (const char* url : {"https://u:p@host/x", "http://host/x", "ssh://git@host/x", "git://host/x",
                          "git@host:team/x", "/srv/git/shop.git"}) {
    EXPECT_EQ(After(WithRepo(), [&](JobSpec& s) { s.repo.url = url; }), "") << url;
  }
  EXPECT_EQ(After(WithRepo(), [](JobSpec& s) { s.ref = {.fetch = "+refs/pull/141/merge"}; }), "");
  EXPECT_EQ(After(WithRepo(), [](JobSpec& s) { s.ref.id = std::string(40, 'a'); }), "");
}

TEST(Check, Names) {
  EXPECT_EQ(After(Good(), [](JobSpec& s) { s.name = ""; }), "name: empty");
  EXPECT_EQ(After(Good(), [](JobSpec& s) { s.name.assign(limits::kNameBytes, 'x'); }), "");
  EXPECT_EQ(After(Good(), [](JobSpec& s) { s.name.assign(limits::kNameBytes + 1, 'x'); }),
            "name: 129 bytes; at most 128");
  EXPECT_EQ(After(Good(), [](JobSpec& s) { s.name = "a\nb"; }), "name: a control character at byte 1");
  EXPECT_EQ(After(Good(), [](JobSpec& s) { s.user_id = "a\xFF"; }), "user_id: invalid UTF-8 at byte 1");
}

TEST(Check, Repository) {
  for (const char* url : {"ext::sh -c id", "file:///etc", "--upload-pack=x", "relative/path", "https://",
                          "a b@host:x", "@host:x", "host:x", "git@host:"}) {
    EXPECT_THAT(After(WithRepo(), [&](JobSpec& s) { s.repo.url = url; }),
                StartsWith("repo.url: write https://"))
        << url;
  }
  EXPECT_EQ(After(WithRepo(), [](JobSpec& s) { s.repo.url = "https://h/" + std::string(2'039, 'x'); }),
            "repo.url: 2049 bytes; at most 2048");
  EXPECT_EQ(After(WithRepo(), [](JobSpec& s) { s.repo.vcs = "svn"; }),
            "repo.vcs: `svn` is not known; write git or hg");
  EXPECT_EQ(After(WithRepo(), [](JobSpec& s) { s.repo.auth = SshAuth{"key"}; }),
            "repo.ssh: needs an ssh:// or user@host:path url");
  EXPECT_EQ(After(WithRepo(),
                  [](JobSpec& s) {
                    s.repo.url = "/srv/x";
                    s.repo.auth = HttpsAuth{"u", "p"};
                  }),
            "repo.https: needs an https:// or http:// url");
  EXPECT_EQ(After(WithRepo(),
                  [](JobSpec& s) {
                    s.repo.url = "git@host:x";
                    s.repo.auth = SshAuth{std::string(16 * 1024 + 1, 'k')};
                  }),
            "repo.ssh.key: 16385 bytes; at most 16384");
  EXPECT_EQ(After(Good(),
                  [](JobSpec& s) {
                    s.repo.auth = HttpsAuth{"u", "p"};
                  }),
            "repo.url: empty, but credentials are given");
}

TEST(Check, MessagesShowNoCredential) {
  EXPECT_THAT(After(WithRepo(), [](JobSpec& s) { s.repo.url = "ftp://bob:hunter2@host/x"; }),
              testing::Not(HasSubstr("hunter2")));
}

TEST(Check, References) {
  EXPECT_EQ(After(WithRepo(), [](JobSpec& s) { s.ref = {}; }),
            "ref: missing: write ref.branch, ref.id or ref.fetch");
  EXPECT_EQ(After(Good(), [](JobSpec& s) { s.ref.branch = "main"; }), "ref: given without repo.url");
  EXPECT_EQ(After(WithRepo(), [](JobSpec& s) { s.ref.fetch = "refs/x"; }),
            "ref.fetch: stands instead of ref.branch and ref.id; give one or the other");
  EXPECT_EQ(After(WithRepo(), [](JobSpec& s) { s.ref.branch = "--all"; }),
            "ref.branch: `--all` starts with `-` or has a space in it");
  EXPECT_EQ(After(WithRepo(), [](JobSpec& s) { s.ref.id = "a17c"; }),
            "ref.id: `a17c` is not a commit of 40 hex digits");
  EXPECT_THAT(After(WithRepo(), [](JobSpec& s) { s.ref.id = std::string(40, 'g'); }),
              HasSubstr("40 hex digits"));
}

TEST(Check, Trigger) {
  EXPECT_THAT(After(Good(), [](JobSpec& s) { s.trigger.timestamp = 0; }),
              StartsWith("trigger.timestamp: 0 is no time"));
  EXPECT_THAT(After(Good(), [](JobSpec& s) { s.trigger.timestamp = -5; }),
              StartsWith("trigger.timestamp: -5"));
  EXPECT_THAT(After(Good(), [](JobSpec& s) { s.trigger.type = ""; }), StartsWith("trigger.type: empty"));
  EXPECT_EQ(After(Good(), [](JobSpec& s) { s.trigger.message = "two\nlines \x1b[m"; }), "");
  EXPECT_EQ(After(Good(), [](JobSpec& s) { s.trigger.message.assign(4097, 'm'); }),
            "trigger.message: 4097 bytes; at most 4096");
  EXPECT_EQ(After(Good(), [](JobSpec& s) { s.trigger.source_kind = "cron"; }),
            "trigger.source: `cron` is not known; write UI, API or plugin");
}

TEST(Check, Commands) {
  EXPECT_EQ(After(Good(), [](JobSpec& s) { s.phases = {}; }),
            "commands: none in any phase; write at least one, such as a test");
  EXPECT_EQ(After(Good(), [](JobSpec& s) { s.type = JobType::kDeploy; }),
            "commands: none that a job of type DEPLOY runs; set type to match the phases");
  EXPECT_EQ(After(Good(), [](JobSpec& s) { s.type = static_cast<JobType>(9); }), "type: 9 is no job type");
  EXPECT_EQ(After(Good(), [](JobSpec& s) { First(s).command = " \n"; }),
            "test[0].command: empty; write what to run");
  EXPECT_EQ(After(Good(), [](JobSpec& s) { First(s).command = std::string("a\0b", 3); }),
            "test[0].command: a NUL byte at byte 1");
  EXPECT_EQ(After(Good(),
                  [](JobSpec& s) {
                    First(s).args = {"-c", std::string("\0", 1)};
                  }),
            "test[0].args[1]: a NUL byte at byte 0");
  EXPECT_EQ(After(Good(), [](JobSpec& s) { First(s).args = {std::string(128 * 1024, 'x')}; }),
            "test[0].args[0]: 131072 bytes; at most 131071");
  auto many = [](std::size_t count) {
    return [count](JobSpec& s) {
      s.phases[static_cast<int>(Phase::kCleanup)].assign(count - 1, {.command = "x"});
    };
  };
  EXPECT_EQ(After(Good(), many(limits::kCommandsPerJob)), "");
  EXPECT_EQ(After(Good(), many(limits::kCommandsPerJob + 1)), "commands: 1001 in all phases; at most 1000");
}

TEST(Check, WorkingDirectoriesStayInside) {
  for (const char* good : {"", "src", "a/b/", "..a/b..", "./x", "a/...", "a//b"}) {
    EXPECT_EQ(After(Good(), [&](JobSpec& s) { First(s).cwd = good; }), "") << good;
  }
  for (const char* bad : {"/", "/etc", "..", "../x", "a/../../b", "a/..", "a//.."}) {
    EXPECT_THAT(After(Good(), [&](JobSpec& s) { First(s).cwd = bad; }), HasSubstr("leaves the directory"))
        << bad;
  }
}

TEST(Check, VariablesAndLabels) {
  for (const char* bad : {"", "1A", "A-B", "A=B", "Ä", "A B"}) {
    EXPECT_THAT(After(Good(), [&](JobSpec& s) { s.env[bad] = "x"; }), HasSubstr("is no variable name"))
        << bad;
    EXPECT_THAT(After(Good(), [&](JobSpec& s) { First(s).env[bad] = "x"; }), StartsWith("test[0].env: "))
        << bad;
  }
  EXPECT_EQ(After(Good(), [](JobSpec& s) { s.env["A"].assign(128 * 1024 - 3, 'x'); }), "");
  EXPECT_EQ(After(Good(), [](JobSpec& s) { s.env["A"].assign(128 * 1024 - 2, 'x'); }),
            "env.A: 131070 bytes; at most 131069");
  EXPECT_EQ(After(Good(), [](JobSpec& s) { s.env["A"] = std::string("\0", 1); }),
            "env.A: a NUL byte at byte 0");
  EXPECT_THAT(After(Good(), [](JobSpec& s) { s.needs["a b"] = "x"; }),
              StartsWith("needs: `a b` is no label name"));
  EXPECT_EQ(After(Good(), [](JobSpec& s) { s.needs["os"].assign(257, 'x'); }),
            "needs.os: 257 bytes; at most 256");
  EXPECT_EQ(After(Good(),
                  [](JobSpec& s) {
                    for (int i = 0; i < 65; ++i) s.needs["l" + std::to_string(i)] = "";
                  }),
            "needs: 65 labels; at most 64");
}

TEST(Check, AJobOfPluginsAlone) {
  auto only = [](const char* config) {
    return After(Good(), [&](JobSpec& s) {
      s.phases = {};
      s.plugins = {{"cmake", config}};
    });
  };
  EXPECT_EQ(only("{}"), "");
  EXPECT_EQ(only("{\"enabled\":false}"), "commands: none in any phase; write at least one, such as a test");
}

TEST(Check, PluginsAndLimits) {
  EXPECT_EQ(After(Good(), [](JobSpec& s) { s.plugins = {{"ccache", "{}"}}; }), "");
  EXPECT_EQ(After(Good(),
                  [](JobSpec& s) {
                    s.plugins = {{"ccache", "[1]"}};
                  }),
            "plugins[0].config: is not a JSON object");
  EXPECT_EQ(After(Good(), [](JobSpec& s) { s.plugins = {{"", "{}"}}; }), "plugins[0].name: empty");
  EXPECT_THAT(After(Good(),
                    [](JobSpec& s) {
                      s.plugins = {{"a", "{}", "1\n"}};
                    }),
              testing::StartsWith("plugins[0].version: "));
  EXPECT_EQ(After(Good(), [](JobSpec& s) { s.plugins.assign(65, {"p", "{}"}); }), "plugins: 65; at most 64");
  EXPECT_EQ(After(Good(), [](JobSpec& s) { s.limits.wall = std::chrono::hours(24); }), "");
  EXPECT_EQ(After(Good(), [](JobSpec& s) { s.limits.silence = std::chrono::milliseconds(-1); }),
            "limits.silence_ms: -1 ms; write 0 (the default) to 86400000 ms (24 h)");
  EXPECT_THAT(After(Good(), [](JobSpec& s) { s.limits.cleanup = std::chrono::hours(25); }),
              StartsWith("limits.cleanup_ms: 90000000 ms"));
}

TEST(Check, WhatAStepMayAskFor) {
  EXPECT_EQ(After(Good(), [](JobSpec& s) { First(s).wall = std::chrono::hours(24); }), "");
  EXPECT_THAT(After(Good(), [](JobSpec& s) { First(s).wall = std::chrono::hours(25); }),
              StartsWith("test[0].wall_ms: 90000000 ms"));
  EXPECT_THAT(After(Good(), [](JobSpec& s) { First(s).silence = std::chrono::milliseconds(-1); }),
              StartsWith("test[0].silence_ms: -1 ms"));
  for (const char* good : {"", "bash", "sh"}) {
    EXPECT_EQ(After(Good(), [&](JobSpec& s) { First(s).shell = good; }), "");
  }
  EXPECT_EQ(After(Good(), [](JobSpec& s) { First(s).shell = "fish"; }),
            "test[0].shell: `fish` is not known; write bash or sh");
  EXPECT_EQ(After(Good(), [](JobSpec& s) { First(s).secrets = {"TOKEN"}; }), "");
  EXPECT_THAT(After(Good(), [](JobSpec& s) { First(s).secrets = {"to ken"}; }),
              StartsWith("test[0].secrets: `to ken` is no variable name"));
}

TEST(Check, WhatAJobMayAskForOfItsHost) {
  EXPECT_EQ(After(Good(), [](JobSpec& s) { s.network = false; }), "");
  EXPECT_EQ(After(Good(),
                  [](JobSpec& s) {
                    s.network = false;
                    s.isolation = Isolation::kUser;
                  }),
            "no_network: isolation user cannot keep a job from the network");
  EXPECT_THAT(After(Good(), [](JobSpec& s) { s.secrets = {"1"}; }),
              StartsWith("secrets: `1` is no variable"));
  EXPECT_EQ(After(Good(), [](JobSpec& s) { s.secrets.assign(65, "A"); }), "secrets: 65; at most 64");
  EXPECT_THAT(After(Good(), [](JobSpec& s) { s.matrix["a-b"] = "x"; }), StartsWith("matrix: `a-b` is no"));
}

TEST(Check, WholeDocument) {
  EXPECT_THAT(After(Good(), [](JobSpec& s) { First(s).command.assign(limits::kJobDocument, 'x'); }),
              StartsWith("job document: "));
  EXPECT_THAT(After(Good(),
                    [](JobSpec& s) {
                      for (int i = 0; i < 40'000; ++i) s.env["V" + std::to_string(i)] = "";
                    }),
              StartsWith("job document: "));
}

}  // namespace
}  // namespace waggle::pipeline
