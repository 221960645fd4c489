#include "common/config/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <functional>

#include "common/base/limits.h"
#include "tests/common/config/table.h"

namespace waggle::config {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

struct Layer {
  std::string name;
  std::function<void(TestSources&)> set;  // lease and a label of this layer's own
  std::string origin;                     // DIR for the temporary directory
};

// Highest first. A user's file and --config are one layer: the second takes the place of the first.
std::vector<Layer> Layers() {
  return {
      {"flag",
       [](TestSources& s) {
         s.Flag("lease", "7s");
         s.Flag("labels", "flag=x");
         s.Flag("labels", "all=flag");
       },
       "--lease"},
      {"variable",
       [](TestSources& s) {
         s.Variable("BEE_LEASE", "6s");
         s.Variable("BEE_LABELS", "variable=x,all=variable");
       },
       "BEE_LEASE"},
      {"file", [](TestSources& s) { s.File("lease: 5s\nlabels: {file: x, all: file}\n"); },
       "DIR/given.yaml:1"},
      {"drop-in",
       [](TestSources& s) { s.DropIn("50-a.yaml", "lease: 3s\nlabels: {dropin: x, all: drop-in}\n"); },
       "DIR/etc/bee.d/50-a.yaml:1"},
      {"etc", [](TestSources& s) { s.Etc("# first\nlease: 2s\nlabels: {etc: x, all: etc}\n"); },
       "DIR/etc/bee.yaml:2"},
  };
}

TEST(Precedence, EveryLayerStandsOverEveryLowerOne) {
  const std::vector<Layer> layers = Layers();
  const std::array<int, 5> seconds = {7, 6, 5, 3, 2};
  for (std::size_t high = 0; high < layers.size(); ++high) {
    for (std::size_t low = high; low < layers.size(); ++low) {
      SCOPED_TRACE(layers[high].name + " over " + layers[low].name);
      TestSources s;
      layers[low].set(s);
      if (low != high) layers[high].set(s);
      auto settings = s.Load();
      ASSERT_TRUE(settings.ok()) << settings.status();
      EXPECT_EQ(settings->GetDuration("lease"), std::chrono::seconds(seconds[high]));
      std::string origin = layers[high].origin;
      if (origin.starts_with("DIR")) origin = s.dir.path() + origin.substr(3);
      EXPECT_EQ(settings->Origin("lease"), origin);
      const auto labels = settings->GetEntries("labels");
      EXPECT_EQ(labels.at("all"), layers[high].name);
      EXPECT_EQ(labels.size(), low == high ? 2u : 3u) << "entries of lower layers stay";
    }
  }
}

TEST(Precedence, BuiltInValuesAreTheLowest) {
  TestSources s;
  auto settings = s.Load();
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->GetDuration("lease"), std::chrono::seconds(30));
  EXPECT_EQ(settings->Origin("lease"), "built-in");
  EXPECT_EQ(settings->Get("slots"), "auto");
  EXPECT_EQ(settings->GetReal("speed"), 1.0);
  EXPECT_FALSE(settings->Has("data"));
  EXPECT_EQ(settings->Get("data"), "");
}

TEST(Precedence, WhatTheProgramFoundStandsOnlyOverTheBuiltIn) {
  TestSources s;
  s.sources.found.push_back({&KeyNamed("lease"), "9s", "found out"});
  EXPECT_EQ(s.Load()->Get("lease"), "9s");
  EXPECT_EQ(s.Load()->Origin("lease"), "found out");
  for (const Layer& layer : Layers()) {
    TestSources over;
    over.sources.found = s.sources.found;
    layer.set(over);
    EXPECT_NE(over.Load()->Get("lease"), "9s") << layer.name;
  }
}

TEST(Precedence, DropInsGoInLexicalOrderAndOnlyYamlCounts) {
  TestSources s;
  s.Etc("lease: 2s\nslots: 2\nspeed: 2\n");
  s.DropIn("20-b.yaml", "lease: 20s\nslots: 20\n");
  s.DropIn("10-a.yaml", "lease: 10s\nslots: 10\nspeed: 10\n");
  s.DropIn("9-last.yaml", "lease: 9s\n");
  for (const char* other : {".hidden.yaml", "30.yaml~", "40.yaml.dpkg-old", "README"})
    s.DropIn(other, "]not read");
  auto settings = s.Load();
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->Get("lease"), "9s") << "9 comes after 20 in lexical order";
  EXPECT_EQ(settings->GetWhole("slots"), 20);
  EXPECT_EQ(settings->GetReal("speed"), 10.0);
}

TEST(Precedence, ConfigStandsInPlaceOfTheUsersFile) {
  TestSources s;
  s.User("lease: 4s\nslots: 4\n");
  EXPECT_EQ(s.Load()->Get("lease"), "4s");
  s.File("lease: 5s\n");
  auto settings = s.Load();
  EXPECT_EQ(settings->Get("lease"), "5s");
  EXPECT_EQ(settings->Get("slots"), "auto");
}

TEST(Precedence, AnEmptyVariableIsNotSet) {
  TestSources s;
  s.Etc("lease: 2s\n");
  s.Variable("BEE_LEASE", "");
  s.Variable("BEEHIVE", "x");
  s.Variable("OTHER_LEASE", "9s");
  EXPECT_EQ(s.Load()->Get("lease"), "2s");
}

TEST(Files, MissingAndEmptyOnesAreFine) {
  TestSources s;
  s.sources.user_file = s.dir / "none.yaml";
  EXPECT_EQ(s.Error(), "");
  s.Etc("");
  s.DropIn("1.yaml", "# only a comment\n");
  EXPECT_EQ(s.Error(), "");
  s.Etc("log:\n#  level: debug\nlabels:\n#  a: b\n");
  EXPECT_EQ(s.Error(), "");
}

TEST(Files, WhatCannotBeReadIsNamed) {
  TestSources s;
  s.sources.closing = "the bee was not started";
  s.sources.file = s.dir / "none.yaml";
  EXPECT_EQ(s.Error(),
            "cannot read the configuration file DIR/none.yaml: No such file or directory\n"
            "the bee was not started [WG600]");
  s.sources.file = s.dir.path();
  EXPECT_EQ(s.Error(),
            "DIR is a directory; a configuration file is expected\nthe bee was not started [WG600]");
  s.File(std::string(limits::kPipelineBytes + 1, '#'));
  EXPECT_THAT(s.Error(), StartsWith("the configuration file DIR/given.yaml has more than 1048576 bytes\n"));
  s.File(std::string(100'000, '#'));
  EXPECT_EQ(s.Error(), "");
  s.sources.file.clear();
  std::filesystem::create_directories(s.dir / "etc/bee.yaml");
  EXPECT_THAT(s.Error(), StartsWith("DIR/etc/bee.yaml is a directory; "));
  std::filesystem::remove(s.dir / "etc/bee.yaml");
  test::WriteText(s.dir / "etc/bee.d", "a file");
  EXPECT_THAT(s.Error(), StartsWith("cannot read the directory DIR/etc/bee.d: Not a directory"));
}

TEST(Files, DropInsAreBounded) {
  TestSources s;
  for (std::size_t i = 0; i <= limits::kConfigFiles; ++i) s.DropIn(std::to_string(i) + ".yaml", "");
  EXPECT_THAT(s.Error(), HasSubstr("more than 256 files"));
}

struct BadFile {
  std::string text, error;  // without "DIR/etc/bee.yaml:" and the end
};

TEST(Files, EveryMistakeHasItsPlace) {
  const std::vector<BadFile> cases = {
      {"data: /x\nleese: 3s\n",
       "2:1: unknown key `leese`\n  2 | leese: 3s\n    | ^^^^^ did you mean `lease`?"},
      {"quux: 1\n",
       "1:1: unknown key `quux`\n  1 | quux: 1\n    | ^^^^ known: data, name, lease, slots, speed, labels, "
       "log"},
      {"log: {levl: info}\n",
       "1:7: unknown key `levl` in `log`\n  1 | log: {levl: info}\n    |       ^^^^ did you mean `level`?"},
      {"log_level: info\n",
       "1:1: unknown key `log_level`\n  1 | log_level: info\n    | ^^^^^^^^^ write `level:` below `log:`"},
      {"log.level: info\n",
       "1:1: unknown key `log.level`\n  1 | log.level: info\n    | ^^^^^^^^^ write `level:` below `log:`"},
      {"log: info\n", "1:1: `log` must be a mapping\n  1 | log: info\n    | ^^^ write `level: …` below it"},
      {"data: here\n",
       "1:7: `data: here` is not an absolute path\n  1 | data: here\n    |       ^^^^ begin it with /"},
      {"data: ~\n", "1:7: `data: ~` is not an absolute path\n  1 | data: ~\n    |       ^ begin it with /"},
      {"lease: 30\n",
       "1:8: `lease: 30` has no unit\n  1 | lease: 30\n    |        ^^ write 90s, 2m or 1h30m"},
      {"lease: 2h\n", "1:8: `lease: 2h` is out of range\n  1 | lease: 2h\n    |        ^^ write 1s to 1h"},
      {"lease: soon\n",
       "1:8: `lease: soon` is no duration\n  1 | lease: soon\n    |        ^^^^ write 90s, 2m or 1h30m"},
      {"lease:\n", "1:1: `lease` has no value\n  1 | lease:\n    | ^^^^^ write one, or remove the line"},
      {"lease: [1s]\n",
       "1:1: `lease` must be one value, not a list\n  1 | lease: [1s]\n    | ^^^^^ write `lease: VALUE`"},
      {"lease: {s: 1}\n",
       "1:1: `lease` must be one value, not a mapping\n  1 | lease: {s: 1}\n    | ^^^^^ write `lease: "
       "VALUE`"},
      {"slots: 0\n",
       "1:8: `slots: 0` is out of range\n  1 | slots: 0\n    |        ^ write 1 to 1024, or auto"},
      {"slots: 2.5\n",
       "1:8: `slots: 2.5` is not a whole number\n  1 | slots: 2.5\n    |        ^^^ write 1 to 1024, or "
       "auto"},
      {"speed: nan\n",
       "1:8: `speed: nan` is not a number\n  1 | speed: nan\n    |        ^^^ write 0 to 1000, such as 1 or "
       "2.5"},
      {"log: {level: inof}\n",
       "1:14: `level: inof` is not known\n  1 | log: {level: inof}\n    |              ^^^^ did you mean "
       "`info`? use one of "
       "error, info, debug"},
      {"name: two words\n",
       "1:7: `name: two words` has a space in it\n  1 | name: two words\n    |       ^^^^^^^^^ use one word"},
      {"name: ''\n", "1:7: `name: ` is empty\n  1 | name: ''\n    |       ^ write a value, or leave it out"},
      {"labels: [a]\n",
       "1:1: `labels` must be a mapping\n  1 | labels: [a]\n    | ^^^^^^ write `NAME: value` lines below it"},
      {"labels: {muchtoolong: 1}\n",
       "1:10: `muchtoolong: 1` has a bad name\n  1 | labels: {muchtoolong: 1}\n    |          ^^^^^^^^^^^ "
       "use 1 to 8 bytes"},
      {"labels: {a: {b: c}}\n",
       "1:10: `labels.a` must be one value, not a mapping\n  1 | labels: {a: {b: c}}\n    |          ^ write "
       "`a: VALUE`"},
      {"labels: {a: 1, b: 1, c: 1, d: 1}\n",
       "1:28: `d: 1` is one too many\n  1 | labels: {a: 1, b: 1, c: 1, d: 1}\n    |                          "
       "  ^ at most 3 are kept"},
      {"data: /a\ndata: /b\n",
       "2:1: key `data` appears twice (first at line 1)\n  YAML would silently keep only one of them\n"
       "  next: merge the two blocks"},
      {"log:\n\tlevel: info\n",
       "2:1: a tab cannot indent YAML\n  next: replace the tab on line 2 by two spaces"},
      {"data: \"/a\xff\"\n", "1:10: invalid UTF-8\n  next: save the file as plain UTF-8 text"},
      {"text\n", "1:1: the file must be a mapping\n  1 | text\n    | ^^^^ write `data: …`"},
      {"data: &a /x\n",
       "1:7: anchors are not part of configuration files\n  1 | data: &a /x\n    |       ^ write the value "
       "again"},
      {"data: /x\n---\ndata: /y\n",
       "2:1: a second document begins here\n  2 | ---\n    | ^^^ keep one configuration per file"},
      {"data: [\n",
       "2:1: not valid YAML: end of sequence flow not found\n  2 | \n    | ^ a `[` is not closed"},
  };
  for (const BadFile& bad : cases) {
    TestSources s;
    s.Etc(bad.text);
    EXPECT_THAT(s.Error(), StartsWith("DIR/etc/bee.yaml:" + bad.error + " [WG60")) << bad.text;
    EXPECT_EQ(s.Load().status().code(), absl::StatusCode::kFailedPrecondition);
    s.sources.closing = "the bee was not started";
    EXPECT_THAT(s.Error(), HasSubstr("\n  the bee was not started [WG60")) << bad.text;
  }
}

TEST(Files, MistakesHaveTheirCodes) {
  const std::vector<std::pair<std::string, std::string>> cases = {{"quux: 1\n", " [WG601]"},
                                                                  {"data: /a\ndata: /b\n", " [WG602]"},
                                                                  {"lease: 30\n", " [WG603]"},
                                                                  {"log:\n\tlevel: info\n", " [WG604]"},
                                                                  {"slots: 0\n", " [WG600]"}};
  for (const auto& [text, code] : cases) {
    TestSources s;
    s.File(text);
    EXPECT_THAT(s.Error(), EndsWith(code)) << text;
  }
}

TEST(Files, AMistakeBelowIsFoundEvenWhenALayerAboveIsGood) {
  TestSources s;
  s.Etc("lease: 3\n");
  s.Flag("lease", "3s");
  EXPECT_THAT(s.Error(), StartsWith("DIR/etc/bee.yaml:1:8:"));
}

TEST(Variables, ErrorsNameThem) {
  const std::vector<std::array<std::string, 3>> cases = {
      {"BEE_LEASE", "3", "environment variable BEE_LEASE: `3` has no unit\nwrite 90s, 2m or 1h30m [WG603]"},
      {"BEE_SLOTS", "many",
       "environment variable BEE_SLOTS: `many` is not a whole number\nwrite 1 to 1024, or auto [WG600]"},
      {"BEE_LABELS", "a=1,b",
       "environment variable BEE_LABELS: `b` has no NAME=VALUE\nwrite it as NAME=VALUE, a comma between two "
       "[WG600]"},
      {"BEE_NAME", "\xff",
       "environment variable BEE_NAME: `?` has invalid UTF-8 in it\nwrite plain UTF-8 text [WG600]"},
      {"BEE_LEESE", "3s",
       "the environment variable `BEE_LEESE` is no setting of the bee\ndid you mean BEE_LEASE? [WG601]"},
      {"BEE_LABEL", "a=b",
       "the environment variable `BEE_LABEL` is no setting of the bee\ndid you mean BEE_LABELS? [WG601]"},
      {"BEE_QUUXQUUX", "1",
       "the environment variable `BEE_QUUXQUUX` is no setting of the bee\n"
       "next: unset it; `bee config keys` lists what there is [WG601]"},
  };
  for (const auto& [name, value, error] : cases) {
    TestSources s;
    s.Variable(name, value);
    EXPECT_EQ(s.Error(), error);
    EXPECT_EQ(s.Load().status().code(), absl::StatusCode::kFailedPrecondition);
  }
}

TEST(Variables, AProgramWithoutAPrefixOfItsOwnLeavesOthersAlone) {
  TestSources s;
  Program client = kTestProgram;
  client.daemon = false;
  s.Variable("BEE_JOB", "12");
  s.Variable("BEE_LEASE", "3s");
  auto settings = Settings::Load(client, s.sources);
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->Get("lease"), "3s");
}

TEST(Variables, ThreeSpellingsOfOneName) {
  const Key& key = KeyNamed("log.max_size");
  EXPECT_EQ(FlagOf(key), "--log-max-size");
  EXPECT_EQ(VariableOf(kTestProgram, key), "BEE_LOG_MAX_SIZE");
  TestSources s;
  s.Etc("log: {max_size: 1}\n");
  EXPECT_EQ(s.Load()->GetWhole("log.max_size"), 1);
  s.Variable("BEE_LOG_MAX_SIZE", "2");
  EXPECT_EQ(s.Load()->GetWhole("log.max_size"), 2);
  s.Flag("log.max_size", "3");
  EXPECT_EQ(s.Load()->GetWhole("log.max_size"), 3);
}

TEST(Durations, DaysAndAWordInTheirPlace) {
  constexpr Key kKeep{.name = "keep",
                      .rule = Duration{std::chrono::seconds(1), std::chrono::hours(3650 * 24), "forever"},
                      .fallback = "90d",
                      .placeholder = "TIME",
                      .help = "…"};
  EXPECT_EQ(KindOf(kKeep), "duration, 1s to 3650d, or forever");
  for (const char* good : {"forever", "90d", "1d12h", "1s", "3650d", "2160h"})
    EXPECT_FALSE(Check(kKeep, good)) << good;
  for (const auto& [bad, what] : std::vector<std::array<std::string, 2>>{{"0", "has no unit"},
                                                                         {"90", "has no unit"},
                                                                         {"0s", "is out of range"},
                                                                         {"3651d", "is out of range"},
                                                                         {"Forever", "is no duration"},
                                                                         {"never", "is no duration"},
                                                                         {"90 d", "is no duration"},
                                                                         {"12h1d", "is no duration"},
                                                                         {"-1d", "is no duration"},
                                                                         {"", "is no duration"}}) {
    const std::optional<Fault> fault = Check(kKeep, bad);
    ASSERT_TRUE(fault) << bad;
    EXPECT_EQ(fault->what, what) << bad;
    EXPECT_EQ(fault->hint,
              what == "is out of range" ? "write 1s to 3650d, or forever" : "write 12h, 90d or forever");
  }
  EXPECT_TRUE(Check(KeyNamed("lease"), "forever")) << "only where the table has it";
}

TEST(Flags, ErrorsNameThemAndAreUsageErrors) {
  const std::vector<std::array<std::string, 3>> cases = {
      {"lease", "3", "--lease `3` has no unit\nwrite 90s, 2m or 1h30m"},
      {"data", "", "--data `` is empty\nwrite a path"},
      {"speed", "1001", "--speed `1001` is out of range\nwrite 0 to 1000, such as 1 or 2.5"},
      {"speed", "-1", "--speed `-1` is out of range\nwrite 0 to 1000, such as 1 or 2.5"},
      {"speed", "inf", "--speed `inf` is not a number\nwrite 0 to 1000, such as 1 or 2.5"},
      {"slots", "010", "--slots `010` is not a whole number\nwrite 1 to 1024, or auto"},
      {"slots", "99999999999999999999",
       "--slots `99999999999999999999` is not a whole number\nwrite 1 to 1024, or auto"},
      {"labels", "gpu", "--label `gpu` has no NAME=VALUE\nwrite it as NAME=VALUE"},
      {"labels", "=x", "--label `=x` has no NAME=VALUE\nwrite it as NAME=VALUE"},
  };
  for (const auto& [key, value, error] : cases) {
    TestSources s;
    s.Flag(key, value);
    EXPECT_EQ(s.Error(), error);
    EXPECT_EQ(s.Load().status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(Flags, ARelativePathIsTakenFromWhereOneIs) {
  TestSources s;
  s.Flag("data", "here");
  EXPECT_EQ(s.Load()->Get("data"), "here");
}

TEST(Required, TheMissingKeyIsNamedWithAllItsSpellings) {
  TestSources s;
  const absl::Status status = s.Load()->RequireAll();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(std::string(status.message()),
            "`data` is not set: Where things are\n"
            "next: bee serve --data DIR, or BEE_DATA, or `data:` in /etc/bee/bee.yaml");
  s.Etc("data: /x\n");
  EXPECT_TRUE(s.Load()->RequireAll().ok());
}

TEST(SystemSources, SystemdMayNameTheDirectory) {
  ::unsetenv("CONFIGURATION_DIRECTORY");
  EXPECT_EQ(SystemSources(kTestProgram).directory, "/etc/bee");
  ::setenv("CONFIGURATION_DIRECTORY", "/a/bee:/b", 1);
  EXPECT_EQ(SystemSources(kTestProgram).directory, "/a/bee");
  Program client = kTestProgram;
  client.daemon = false;
  EXPECT_EQ(SystemSources(client).directory, "/etc/bee") << "that of another program's service";
  ::unsetenv("CONFIGURATION_DIRECTORY");
}

}  // namespace
}  // namespace waggle::config
