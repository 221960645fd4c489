#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/config/table.h"

namespace waggle::config {
namespace {

using testing::HasSubstr;

TEST(Show, OriginsStandBesideTheValues) {
  TestSources s;
  s.sources.directory = "/none";
  s.File("\ndata: /var/lib/bee\nlabels:\n  site: lab 2\n");
  s.Variable("BEE_LOG_LEVEL", "debug");
  s.Flag("labels", "gpu=no");
  const std::string file = s.sources.file;
  EXPECT_EQ(ShowSettings(*s.Load(), true), "data: /var/lib/bee  # " + file +
                                               ":2\n"
                                               "# name: the host name\n"
                                               "lease: 30s          # built-in\n"
                                               "slots: auto         # built-in\n"
                                               "speed: 1            # built-in\n"
                                               "labels:\n"
                                               "  gpu: no           # --label\n"
                                               "  site: \"lab 2\"     # " +
                                               file +
                                               ":4\n"
                                               "log:\n"
                                               "  level: debug      # BEE_LOG_LEVEL\n"
                                               "  max_size: 5       # built-in\n");
}

TEST(Show, WhatIsShownMeansTheSameAsAFile) {
  const std::vector<std::string> values = {
      "plain", "a: b",   "#x",  "x #y", "\"q\"", "back\\slash", "tab\there", "line\nend", "'",  "~",
      "null",  "- a",    "{a}", "",     "*x",    "&x",          "!x",        "%x",        "a:", "ü日本",
      " lead", "trail ", "?",   "1e5",  "@x",    "`x`",         ">",         "true"};
  for (const std::string& value : values) {
    TestSources given;
    given.Flag("data", "/x y");
    given.Flag("labels", "a=" + value);
    given.Flag("labels", "b: c=1");
    given.Flag("lease", "90s");
    auto settings = given.Load();
    ASSERT_TRUE(settings.ok()) << settings.status();
    for (bool origin : {false, true}) {
      TestSources again;
      again.File(ShowSettings(*settings, origin));
      auto read = again.Load();
      ASSERT_TRUE(read.ok()) << value << "\n" << read.status() << "\n" << ShowSettings(*settings, origin);
      EXPECT_EQ(read->GetEntries("labels"), settings->GetEntries("labels")) << value;
      EXPECT_EQ(ShowSettings(*read, false), ShowSettings(*settings, false));
    }
  }
}

TEST(Show, ARequiredKeyWithoutAValueSaysSo) {
  TestSources s;
  const std::string text = ShowSettings(*s.Load(), true);
  EXPECT_THAT(text, HasSubstr("# data: not set, must be given\n"));
  EXPECT_THAT(text, HasSubstr("# labels: none\n"));
}

TEST(Keys, EveryKeyHasItsSpellingsKindAndDefault) {
  const std::string text = ShowKeys(kTestProgram);
  EXPECT_THAT(text, HasSubstr("data\n  Where things are\n  path; must be given; needs a restart\n"
                              "  --data DIR · BEE_DATA\n"));
  EXPECT_THAT(text, HasSubstr("lease\n  Its lease\n  duration, 1s to 1h; default 30s; needs a restart\n"
                              "  --lease TIME · BEE_LEASE\n"));
  EXPECT_THAT(text,
              HasSubstr("labels\n  Its labels\n  NAME: value below it, at most 3; default: none; needs a "
                        "restart\n  --label NAME=VALUE · BEE_LABELS\n"));
  EXPECT_THAT(
      text,
      HasSubstr("log.level\n  What it logs\n  one of error, info, debug; default info; needs a restart\n"
                "  --log-level LEVEL · BEE_LOG_LEVEL\n"));
}

}  // namespace
}  // namespace waggle::config
