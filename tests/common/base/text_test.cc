#include "common/base/text.h"

#include <gtest/gtest.h>

namespace waggle {
namespace {

using namespace std::string_view_literals;

TEST(FindBadByte, AcceptsText) {
  for (std::string_view good :
       {""sv, "plain\ttext\r\n"sv, "Übung, 日本, 🐝"sv, "\u0085"sv, "\xF4\x8F\xBF\xBF"sv}) {
    EXPECT_FALSE(FindBadByte(good, true).has_value()) << good;
  }
  EXPECT_FALSE(FindBadByte("\x1b[31m\x04", false).has_value());
}

TEST(FindBadByte, FindsWhatIsNot) {
  struct Case {
    std::string_view text;
    std::size_t offset;
    std::string_view why;
  };
  for (const Case& c :
       {Case{"ab\0c"sv, 2, "a NUL byte"}, Case{"a\xFF"sv, 1, "invalid UTF-8"},
        Case{"\xC0\x80"sv, 0, "invalid UTF-8"},          // overlong NUL
        Case{"\xE0\x80\xAF"sv, 0, "invalid UTF-8"},      // overlong slash
        Case{"\xED\xA0\x80"sv, 0, "invalid UTF-8"},      // surrogate
        Case{"\xF4\x90\x80\x80"sv, 0, "invalid UTF-8"},  // above U+10FFFF
        Case{"a\xE2\x82"sv, 1, "invalid UTF-8"},         // cut short
        Case{"\x80"sv, 0, "invalid UTF-8"}, Case{"a\x1b"sv, 1, "a control character"},
        Case{"\xC2\x9B"sv, 0, "a control character"}, Case{"\x7f"sv, 0, "a control character"}}) {
    auto bad = FindBadByte(c.text, true);
    ASSERT_TRUE(bad.has_value()) << c.text;
    EXPECT_EQ(bad->offset, c.offset);
    EXPECT_EQ(bad->why, c.why);
  }
}

TEST(DidYouMean, FindsTypingErrors) {
  constexpr std::string_view kWords[] = {"branches", "needs", "timeout", "env", "test"};
  EXPECT_EQ(DidYouMean("brances", kWords), "branches");
  EXPECT_EQ(DidYouMean("tiemout", kWords), "timeout");
  EXPECT_EQ(DidYouMean("need", kWords), "needs");
  EXPECT_EQ(DidYouMean("Test", kWords), "test");
  EXPECT_EQ(DidYouMean("evn", kWords), "env");
  EXPECT_EQ(DidYouMean("colour", kWords), "");
  EXPECT_EQ(DidYouMean("", kWords), "");
  EXPECT_EQ(DidYouMean(std::string(100'000, 't'), kWords), "");
}

TEST(Quoted, IsShortAndHarmless) {
  EXPECT_EQ(Quoted("unit"), "`unit`");
  EXPECT_EQ(Quoted("a\nb\tc"), "`a b c`");
  EXPECT_EQ(Quoted("\x1b[31m\xFF"sv), "`?[31m?`");
  EXPECT_EQ(Quoted(std::string(1'000, 'x')), "`" + std::string(64, 'x') + "…`");
  EXPECT_EQ(Quoted(std::string(63, 'x') + "ü"), "`" + std::string(63, 'x') + "…`");
}

}  // namespace
}  // namespace waggle
