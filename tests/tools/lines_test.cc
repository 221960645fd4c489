#include "tools/waggle/lines.h"

#include <gtest/gtest.h>

namespace waggle::cli {
namespace {

TEST(LineFilterTest, TakesWholeLinesOutOfOneFragment) {
  LineFilter filter(2, 3);
  std::string out;
  EXPECT_EQ(filter.Take(0, 1, "one\ntwo\nthree\nfour\n", &out), 2u);
  EXPECT_EQ(out, "two\nthree\n");
  EXPECT_TRUE(filter.done());
}

TEST(LineFilterTest, ALineOverManyFragmentsIsTakenWhole) {
  LineFilter filter(2, 2);
  std::string out;
  filter.Take(0, 1, "one\ntw", &out);
  EXPECT_FALSE(filter.done());
  filter.Take(0, 2, "o, and mo", &out);
  EXPECT_FALSE(filter.done());
  filter.Take(0, 2, "re\nthree", &out);
  EXPECT_EQ(out, "two, and more\n");
  EXPECT_TRUE(filter.done());
}

TEST(LineFilterTest, StreamsThatInterleaveKeepTheirNumbers) {
  LineFilter filter(1, 3);
  std::string out;
  filter.Take(0, 1, "out one ", &out);       // stdout line 1, unfinished
  filter.Take(1, 2, "err two\nerr ", &out);  // stderr lines 2 and 3
  filter.Take(0, 1, "ends\nout four\n", &out);
  EXPECT_FALSE(filter.done());  // line 3 is still open
  filter.Take(1, 3, "three\n", &out);
  EXPECT_EQ(out, "out one err two\nerr ends\nthree\n");
  EXPECT_TRUE(filter.done());
}

TEST(LineFilterTest, JoiningInsideAnOldLineCountsBackFromTheWantedOne) {
  // stdout began line 3 and was overtaken by 497 lines of stderr; then it ends and line 501 follows.
  LineFilter filter(501, 502, /*joined=*/true);
  std::string out;
  EXPECT_EQ(filter.Take(0, 3, "... done\nnext\n", &out), 501u);
  filter.Take(1, 502, "last\n", &out);
  EXPECT_EQ(out, "next\nlast\n");
  EXPECT_TRUE(filter.done());

  LineFilter fresh(3, 3, /*joined=*/true);
  out.clear();
  EXPECT_EQ(fresh.Take(0, 1, "1\n2\n3\n4\n", &out), 3u);
  EXPECT_EQ(out, "3\n");
}

TEST(LineFilterTest, TheEndOfACommandClosesItsLines) {
  LineFilter filter(1, 1);
  std::string out;
  filter.Take(0, 1, "no newline", &out);
  EXPECT_FALSE(filter.done());
  filter.CloseLines();
  EXPECT_TRUE(filter.done());
}

TEST(LineFilterTest, WithoutAnEndItIsNeverDone) {
  LineFilter filter(3, 0);
  std::string out;
  EXPECT_EQ(filter.Take(0, 1, "a\nb\n", &out), 0u);
  filter.Take(0, 3, "c\n", &out);
  EXPECT_EQ(out, "c\n");
  EXPECT_FALSE(filter.done());
}

}  // namespace
}  // namespace waggle::cli
