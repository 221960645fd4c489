#include "drone/plugins/catalog.h"

#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "common/base/plugin_name.h"
#include "drone/attempt/plugin_frame.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"

namespace waggle::plugins {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

class CatalogTest : public ::testing::Test {
 protected:
  void Install(const std::string& at, const std::string& name, const std::string& more = "",
               const std::string& version = "1.0.0") {
    test::WriteText(temp_ / (at + "/" + name + "/plugin.yaml"),
                    absl::StrCat("name: ", name, "\nversion: ", version, "\nphases: [test]\n", more));
    const std::string program = temp_ / (at + "/" + name + "/plugin");
    test::WriteText(program, "#!/bin/sh\n");
    ::chmod(program.c_str(), 0755);
  }
  Catalog Scan() { return Catalog::Scan({temp_ / "a", temp_ / "missing", temp_ / "b"}, "/usr/bin:/bin"); }
  std::string Refusal(std::string_view wanted) { return std::string(Scan().Find(wanted).status().message()); }

  test::TempDir temp_;
};

TEST_F(CatalogTest, TheEarlierDirectoryWins) {
  Install("a", "one", "", "2.0.0");
  Install("b", "one", "", "1.0.0");
  Install("b", "two");
  test::WriteText(temp_ / "b/lib.sh", "");
  test::WriteText(temp_ / "b/other/readme", "");
  EXPECT_THAT(Scan().Offered(), ElementsAre(Pair("one", "2.0.0"), Pair("two", "1.0.0")));
}

TEST_F(CatalogTest, WhyAPluginIsNotOffered) {
  Install("a", "needy", "needs: [sh, no-such-program]\n");
  Install("a", "wrong", "phaess: [test]\n");
  Install("a", "dead");
  ::chmod((temp_ / "a/dead/plugin").c_str(), 0644);
  Install("a", "other");
  test::WriteText(temp_ / "a/other/plugin.yaml", "name: else\nversion: 1\nphases: [test]\n");
  EXPECT_TRUE(Scan().Offered().empty());
  EXPECT_EQ(
      Refusal("needy"),
      "the plugin needy cannot be used on this drone: it needs `no-such-program`, which is not in the PATH "
      "of jobs: install it");
  EXPECT_THAT(Refusal("wrong"), HasSubstr("unknown key `phaess`"));
  EXPECT_THAT(Refusal("other"), HasSubstr("its folder is named `other`, its plugin.yaml says `else`"));
  if (::geteuid() != 0) {
    EXPECT_THAT(Refusal("dead"), HasSubstr("is missing or cannot be executed"));
  }
}

TEST_F(CatalogTest, FindsByNameAndVersion) {
  Install("a", "one", "", "2.1.0");
  EXPECT_TRUE(Scan().Find("one").ok());
  EXPECT_TRUE(Scan().Find("one@2").ok());
  EXPECT_EQ(Refusal("one@3"), "this drone has version 2.1.0 of the plugin one; the job wants 3");
  EXPECT_EQ(Refusal("two"), "this drone has no plugin `two`; `drone plugins` lists what it has");
}

TEST(PluginName, Versions) {
  EXPECT_EQ(SplitPlugin("a@2").name, "a");
  EXPECT_EQ(SplitPlugin("a@2").version, "2");
  EXPECT_EQ(SplitPlugin("a").version, "");
  EXPECT_EQ(JoinPlugin("a", "2"), "a@2");
  EXPECT_EQ(JoinPlugin("a", ""), "a");
  for (const char* wanted : {"", "2", "2.1", "2.1.0"}) EXPECT_TRUE(VersionMeets("2.1.0", wanted)) << wanted;
  for (const char* wanted : {"1", "2.10", "2.", "2.1.0.0", "21"})
    EXPECT_FALSE(VersionMeets("2.1.0", wanted)) << wanted;
}

TEST_F(CatalogTest, OfAJob) {
  Install("a", "one", "config: {size: {type: string, default: 5G}}\n", "2.1.0");
  attempt::Facts facts;
  facts.job = JobId(7);
  pipeline::JobSpec spec;
  spec.name = "j";
  spec.plugins = {{"gone", "{\"enabled\": false}"}, {"one", "{\"size\":\"1G\"}", "2"}};
  auto made = attempt::MakePlugins(spec, facts, Scan());
  ASSERT_TRUE(made.ok()) << made.status();
  ASSERT_EQ(made->uses.size(), 1u);
  EXPECT_EQ(made->uses[0].program, temp_ / "a/one/plugin");
  EXPECT_EQ(made->uses[0].config, "{\"size\":\"1G\"}");
  EXPECT_EQ(made->uses[0].phases, 4);
  EXPECT_THAT(made->job, HasSubstr("\"id\":7"));
  EXPECT_EQ(made->fault, "");

  spec.plugins[1].config_json = "{\"siez\":1}";
  EXPECT_EQ(attempt::MakePlugins(spec, facts, Scan())->fault,
            "plugin one: config.siez is not known; did you mean `size`?");
  spec.plugins[0].config_json = "{\"enabled\": true}";
  EXPECT_EQ(attempt::MakePlugins(spec, facts, Scan()).status().message(),
            "this drone has no plugin `gone`; `drone plugins` lists what it has");
}

TEST(Plugin, EnabledUnlessItSaysFalse) {
  auto enabled = [](const char* json) { return pipeline::Plugin{"p", json}.enabled(); };
  for (const char* json :
       {"{}", "{\"enabled\":true}", "{\"a\":{\"enabled\":false}}", "{\"a\":\"enabled\",\"b\":false}",
        "{\"a\":[\"enabled\", false]}", "{\"enabledx\":false}", "{\"a\":\"\\\"enabled\\\":false\"}",
        "{\"enabled\":0}", "{\"enabled\"", "{\"enabled\":null}"}) {
    EXPECT_TRUE(enabled(json)) << json;
  }
  for (const char* json : {"{\"enabled\":false}", " { \"a\" : [1, {\"b\": 2}], \"enabled\" : false }",
                           "{\"enabled\":\"false\"}", "{\"a\":\"x\\\\\",\"enabled\":false}"}) {
    EXPECT_FALSE(enabled(json)) << json;
  }
}

}  // namespace
}  // namespace waggle::plugins
