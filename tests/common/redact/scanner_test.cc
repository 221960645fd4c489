#include "common/redact/scanner.h"

#include <gtest/gtest.h>

#include "tests/common/redact/naive.h"

namespace waggle::redact {
namespace {

using Names = std::vector<std::string>;

class ScannerTest : public testing::Test {
 protected:
  std::string Blank(std::string chunk) {
    found_ = scanner_.Blank(chunk);
    return chunk;
  }

  const std::unique_ptr<const Patterns> patterns_ =
      Compile({{"NPM_TOKEN", "hunter22"}, {"LONG", "xx-hunter22-yy"}, {"KEY", "first line\nsecond line"}});
  Scanner scanner_{*patterns_};
  bool found_ = false;
};

TEST_F(ScannerTest, LeavesOtherTextAlone) {
  EXPECT_EQ(Blank("hunter2 and more\r\n\x1b[m"), "hunter2 and more\r\n\x1b[m");
  EXPECT_FALSE(found_);
  EXPECT_EQ(scanner_.names(), Names{});
}

TEST_F(ScannerTest, BlanksWithoutChangingLengths) {
  EXPECT_EQ(Blank("a=hunter22 b=aHVudGVyMjI= c"), "a=******** b=************ c");
  EXPECT_TRUE(found_);
  EXPECT_EQ(scanner_.names(), Names{"NPM_TOKEN"});
  EXPECT_EQ(Blank("hun\x1b[1mter22."), "************.");
  EXPECT_FALSE(scanner_.late());
}

TEST_F(ScannerTest, NamesEverySecretInsideAnother) {
  EXPECT_EQ(Blank("xx-hunter22-yy"), "**************");
  EXPECT_EQ(scanner_.names(), (Names{"LONG", "NPM_TOKEN"}));
  EXPECT_EQ(Blank("second line"), "***********");
  EXPECT_EQ(scanner_.names(), (Names{"KEY", "LONG", "NPM_TOKEN"}));
}

TEST_F(ScannerTest, BlanksTheRestOfWhatBeganEarlier) {
  EXPECT_EQ(Blank("a hun"), "a hun");
  EXPECT_FALSE(found_);
  EXPECT_EQ(Blank("ter22 b"), "***** b");
  EXPECT_TRUE(found_);
  EXPECT_TRUE(scanner_.late());
  EXPECT_EQ(scanner_.names(), Names{"NPM_TOKEN"});
}

TEST_F(ScannerTest, FindsNothingAcrossTheEndOfACommand) {
  Blank("a hun");
  scanner_.Finish();
  EXPECT_EQ(Blank("ter22"), "ter22");
  EXPECT_FALSE(found_);
}

TEST_F(ScannerTest, EveryCutBlanksWhatTheNaiveWayCovers) {
  const std::string text = "ab hunter22xx-hunt\rer22-yy first\x1b[m line %68%75%6e%74%65%72%32%32 end";
  const std::vector<bool> covered = NaiveCover(
      PatternsOf({{"A", "hunter22"}, {"B", "xx-hunter22-yy"}, {"C", "first line\nsecond line"}}), text);
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    Scanner scanner(*patterns_);
    std::string front = text.substr(0, cut), back = text.substr(cut);
    scanner.Blank(front);
    scanner.Blank(back);
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char c = i < cut ? front[i] : back[i - cut];
      if (!covered[i]) {
        ASSERT_EQ(c, text[i]);
      } else if (i >= cut || !scanner.late()) {
        ASSERT_EQ(c, '*') << cut;
      }
    }
    EXPECT_EQ(scanner.names(), (Names{"KEY", "LONG", "NPM_TOKEN"})) << cut;
  }
}

TEST(Scanner, WithoutSecretsFindsNothing) {
  const auto none = Compile({});
  Scanner scanner(*none);
  std::string text = "anything";
  EXPECT_FALSE(scanner.Blank(text));
}

}  // namespace
}  // namespace waggle::redact
