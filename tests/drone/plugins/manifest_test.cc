#include "drone/plugins/manifest.h"

#include "drone/plugins/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waggle::plugins {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

constexpr char kWhole[] = R"(name: demo
version: 2.1.0
description: Shows everything
phases: [environment, test]
needs: [sh, awk]
config:
  size: {type: string, default: 5G, description: Of it}
  jobs: {type: integer, default: 4}
  fast: {type: boolean, default: true}
  args: {type: list, default: [a, b c]}
  vars: {type: map}
  mode:
    type: enum
    values: [slow, quick]
    required: true
)";

Manifest Whole() {
  return ReadManifest(kWhole, "plugin.yaml").value();
}

std::string Error(std::string_view text) {
  return std::string(ReadManifest(text, "p/plugin.yaml").status().message());
}

// With `line` in place of the one that begins with the same word.
std::string With(const std::string& more) {
  return Error("name: demo\nversion: 1\nphases: [test]\n" + more);
}

TEST(Manifest, Whole) {
  const Manifest m = Whole();
  EXPECT_EQ(m.name + " " + m.version + " " + m.description, "demo 2.1.0 Shows everything");
  EXPECT_THAT(m.phases, ElementsAre(true, false, true, false, false));
  EXPECT_THAT(m.needs, ElementsAre("sh", "awk"));
  ASSERT_EQ(m.config.size(), 6u);
  EXPECT_EQ(m.config[0].fallback, "\"5G\"");
  EXPECT_EQ(m.config[1].fallback, "4");
  EXPECT_EQ(m.config[2].fallback, "true");
  EXPECT_EQ(m.config[3].fallback, "[\"a\",\"b c\"]");
  EXPECT_EQ(m.config[4].fallback, "");
  EXPECT_TRUE(m.config[5].required);
  EXPECT_THAT(m.config[5].values, ElementsAre("slow", "quick"));
}

TEST(Manifest, Errors) {
  EXPECT_EQ(With("pahses: [test]\n"),
            "p/plugin.yaml:4:1: unknown key `pahses`\n"
            "  4 | pahses: [test]\n"
            "    | ^^^^^^ did you mean `phases`? [WG711]");
  EXPECT_EQ(Error("name: demo\nversion: 1\nphases: [tset]\n"),
            "p/plugin.yaml:3:10: `tset` is no phase\n"
            "  3 | phases: [tset]\n"
            "    |          ^^^^ did you mean `test`? [WG710]");
  EXPECT_EQ(Error("name: demo\nphases: [test]\n"),
            "p/plugin.yaml:1:1: `version` is missing\n  a plugin.yaml has name, version and phases [WG710]");
  EXPECT_THAT(Error("name: De mo\nversion: 1\nphases: [test]\n"), HasSubstr("`De mo` is no name"));
  EXPECT_THAT(Error("name: demo\nversion: v1\nphases: [test]\n"), HasSubstr("`v1` is no version"));
  EXPECT_THAT(Error("name: demo\nversion: 1\nphases: []\n"), HasSubstr("at least one phase"));
  EXPECT_THAT(Error("name: demo\nversion: 1\nphases: [test, test]\n"), HasSubstr("stands here twice"));
  EXPECT_THAT(Error("- name\n"), HasSubstr("the file must be a mapping"));
  EXPECT_THAT(Error("name: a\nname: b\n"), HasSubstr("[WG712]"));
  EXPECT_THAT(With("needs: cmake\n"), HasSubstr("`needs` must be a list"));
  EXPECT_THAT(With("config:\n  a: {type: strnig}\n"), HasSubstr("did you mean `string`?"));
  EXPECT_THAT(With("config:\n  a: {}\n"), HasSubstr("`a` has no type"));
  EXPECT_THAT(With("config:\n  a: {type: string, defualt: x}\n"), HasSubstr("did you mean `default`?"));
  EXPECT_THAT(With("config:\n  A b: {type: string}\n"), HasSubstr("is no name for a setting"));
  EXPECT_THAT(With("config:\n  enabled: {type: boolean}\n"), HasSubstr("is every plugin's already"));
  EXPECT_THAT(With("config:\n  a: {type: enum}\n"), HasSubstr("`a` has no values"));
  EXPECT_THAT(With("config:\n  a: {type: string, values: [x]}\n"), HasSubstr("only an enum has values"));
  EXPECT_EQ(With("config:\n  a: {type: integer, default: many}\n"),
            "p/plugin.yaml:5:31: the default must be a whole number, not `many`\n"
            "  5 |   a: {type: integer, default: many}\n"
            "    |                               ^^^^ the type is integer [WG710]");
  EXPECT_THAT(With("config:\n  a: {type: enum, values: [x, y], default: z}\n"),
              HasSubstr("the default must be one of x, y, not `z`"));
  EXPECT_THAT(With("config:\n  a: {type: string, required: true, default: x}\n"),
              HasSubstr("what is required has no default"));
}

std::string Fault(std::string_view json) {
  return std::string(ReadConfig(Whole(), json).status().message());
}

TEST(Config, DefaultsAndVariables) {
  const auto config = ReadConfig(Whole(), R"({"mode":"slow","vars":{"A":"1","B":"x"}})");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(config->enabled);
  EXPECT_EQ(
      config->json,
      R"({"args":["a","b c"],"fast":true,"jobs":4,"mode":"slow","size":"5G","vars":{"A":"1","B":"x"}})");
  EXPECT_THAT(config->variables, ElementsAre(Pair("PLUGIN_ARGS", "a\nb c"), Pair("PLUGIN_FAST", "true"),
                                             Pair("PLUGIN_JOBS", "4"), Pair("PLUGIN_MODE", "slow"),
                                             Pair("PLUGIN_SIZE", "5G"), Pair("PLUGIN_VARS", "A=1\nB=x")));
}

TEST(Config, TextsOfPipelineFilesCountAsWhatTheySpell) {
  const auto config = ReadConfig(
      Whole(), R"({"mode":"quick","jobs":"12","fast":"false","size":18,"args":[1,true],"enabled":"true"})");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->json, R"({"args":["1","true"],"fast":false,"jobs":12,"mode":"quick","size":"18"})");
}

TEST(Config, Errors) {
  EXPECT_EQ(Fault("{}"), "config.mode is missing: the plugin needs it");
  EXPECT_EQ(Fault(R"({"mode":null})"), "config.mode is missing: the plugin needs it");
  EXPECT_EQ(Fault(R"({"mode":"fast"})"), "config.mode must be one of slow, quick, not `fast`");
  EXPECT_EQ(Fault(R"({"mode":"slow","siez":"1"})"), "config.siez is not known; did you mean `size`?");
  EXPECT_EQ(Fault(R"({"mode":"slow","zebra":"1"})"),
            "config.zebra is not known; there is enabled, size, jobs, fast, args, vars, mode");
  EXPECT_EQ(Fault(R"({"mode":"slow","size":["1"]})"), "config.size must be a text, not a list");
  EXPECT_EQ(Fault(R"({"mode":"slow","jobs":"x"})"), "config.jobs must be a whole number, not `x`");
  EXPECT_EQ(Fault(R"({"mode":"slow","jobs":1.5})"), "config.jobs must be a whole number, not `1.5`");
  EXPECT_EQ(Fault(R"({"mode":"slow","fast":"yes"})"), "config.fast must be true or false, not `yes`");
  EXPECT_EQ(Fault(R"({"mode":"slow","args":"x"})"), "config.args must be a list of texts, not `x`");
  EXPECT_EQ(Fault(R"({"mode":"slow","args":[{}]})"), "config.args must be a list of texts, not a mapping");
  EXPECT_EQ(Fault(R"({"mode":"slow","vars":[]})"), "config.vars must be a mapping of texts, not a list");
  EXPECT_EQ(Fault(R"({"mode":"slow","size":"\u0000"})"), "config.size has a NUL byte in it");
  EXPECT_EQ(Fault(R"({"enabled":3})"), "config.enabled must be true or false, not `3`");
  EXPECT_EQ(Fault("[]"), "config is not a JSON object");
  EXPECT_EQ(Fault("{"), "config is not a JSON object");
}

TEST(Config, DisabledOnlyByFalse) {
  EXPECT_FALSE(ReadConfig(Whole(), R"({"enabled":false})")->enabled);
  EXPECT_TRUE(ReadConfig(Whole(), R"({"enabled":true,"mode":"slow"})")->enabled);
}

}  // namespace
}  // namespace waggle::plugins
