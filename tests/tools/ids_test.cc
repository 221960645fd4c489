#include "tools/waggle/ids.h"

#include <gtest/gtest.h>

namespace waggle::cli {
namespace {

using Kind = Target::Kind;

TEST(IdsTest, EverySpellingOfAJobAndARun) {
  EXPECT_EQ(*ParseTarget("12"), (Target{Kind::kJob, 12, 0}));
  EXPECT_EQ(*ParseTarget("12@2"), (Target{Kind::kJob, 12, 2}));
  EXPECT_EQ(*ParseTarget("@last"), (Target{Kind::kLastJob, 0, 0}));
  EXPECT_EQ(*ParseTarget("r5"), (Target{Kind::kRun, 5, 0}));
  EXPECT_EQ(*ParseTarget("18446744073709551615"), (Target{Kind::kJob, 18446744073709551615u, 0}));
}

TEST(IdsTest, EverythingElseIsRefused) {
  for (const char* bad : {"", "0", "-1", "+1", " 1", "1 ", "12@", "12@0", "12@x", "@2", "r", "r0", "r-1",
                          "rr5", "abc", "1.5", "12@4294967296", "18446744073709551616", "@first"}) {
    EXPECT_FALSE(ParseTarget(bad).ok()) << bad;
  }
}

TEST(IdsTest, ARunIsNoJob) {
  auto job = ParseJobTarget("r5");
  ASSERT_FALSE(job.ok());
  EXPECT_NE(job.status().message().find("waggle jobs --run r5"), std::string::npos);
  EXPECT_EQ(*ParseRun("r5"), 5u);
  EXPECT_EQ(*ParseRun("5"), 5u);
  EXPECT_FALSE(ParseRun("x5").ok());
}

TEST(IdsTest, Lines) {
  EXPECT_EQ(*ParseLines("210-240"), (LineRange{210, 240}));
  EXPECT_EQ(*ParseLines("210-"), (LineRange{210, 0}));
  EXPECT_EQ(*ParseLines("210"), (LineRange{210, 210}));
  for (const char* bad : {"", "0", "0-5", "5-4", "-5", "a-b", "1-2-3", "5-0"})
    EXPECT_FALSE(ParseLines(bad).ok()) << bad;
}

}  // namespace
}  // namespace waggle::cli
