#include "queen/core/said.h"

#include <gtest/gtest.h>

namespace waggle::queen {
namespace {

TEST(Said, OrdinaryTextStaysAsItIs) {
  for (const char* text : {"", "plain", "caf\u00e9 \u2713 \U0001F41D", "a?b"}) {
    EXPECT_TRUE(IsPresentable(text)) << text;
    EXPECT_EQ(Presentable(text, 100), text);
  }
}

TEST(Said, WhatSteersATerminalDoesNotGetThrough) {
  const std::string bad[] = {
      "\x1b[2J", std::string("a\0b", 3), "a\rb", "a\x7f", "\u0085", "\u009b", "\u202e", "\u2066", "\u200f",
      "\u2028"};
  for (const std::string& text : bad) {
    EXPECT_FALSE(IsPresentable(text));
    EXPECT_TRUE(IsPresentable(Presentable(text, 100)));
  }
  EXPECT_EQ(Presentable("\x1b[2J\u202ex", 100), "?[2J?x");
  EXPECT_EQ(Presentable("a\n\tb", 100), "a  b");
  EXPECT_EQ(Presentable("a\n\tb", 100, Shape::kText), "a\n\tb");
  EXPECT_FALSE(IsPresentable("a\nb"));
}

TEST(Said, WhatIsNotUtf8IsReplaced) {
  const std::string replaced = "\xEF\xBF\xBD";
  const std::string bad[] = {"\xff", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                             "\xe9", "\x80"};
  for (const std::string& text : bad) {
    EXPECT_FALSE(IsPresentable(text));
    EXPECT_EQ(Presentable(text, 100).substr(0, 3), replaced);
    EXPECT_TRUE(IsPresentable(Presentable(text, 100)));
  }
}

TEST(Said, ACutNeverGoesThroughACharacter) {
  const std::string text = "ab\u00e9\u20ac\U0001F41D";
  for (std::size_t limit = 0; limit <= text.size(); ++limit) {
    const std::string cut = Presentable(text, limit);
    EXPECT_LE(cut.size(), limit);
    EXPECT_TRUE(IsPresentable(cut)) << limit;
    EXPECT_EQ(text.substr(0, cut.size()), cut);
  }
}

}  // namespace
}  // namespace waggle::queen
