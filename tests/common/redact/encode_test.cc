#include "common/redact/encode.h"

#include <gtest/gtest.h>

namespace waggle::redact {
namespace {

using namespace std::string_view_literals;

// What the named tools of Debian 12 print for these.
constexpr std::string_view kHard = "p\303\244/s+'w\042o$r `d\134~\303\251\012<&>\360\237\230\200!";
constexpr std::string_view kOneLine = "p\303\244/s+'w\042o$r `d\134~\303\251<&>\360\237\230\200!";

TEST(Encode, Base64AsPythonDoes) {
  EXPECT_EQ(Base64(kHard, Alphabet::kStandard), "cMOkL3MrJ3cibyRyIGBkXH7DqQo8Jj7wn5iAIQ==");
  EXPECT_EQ(Base64("\xFB\xEF\xFF", Alphabet::kStandard), "++//");
  EXPECT_EQ(Base64("\xFB\xEF\xFF", Alphabet::kUrl), "--__");
}

TEST(Encode, Base64InsideIsInEveryTextAroundIt) {
  for (std::string secret : {"hunter", "hunter2", "hunter22", "p\xC3\xA4ssword?>"}) {
    for (std::size_t before = 0; before < 7; ++before) {
      for (std::size_t after = 0; after < 4; ++after) {
        for (char filler : {'\0', 'A', '\xFF'}) {
          const std::string around = std::string(before, filler) + secret + std::string(after, filler);
          for (Alphabet alphabet : {Alphabet::kStandard, Alphabet::kUrl}) {
            const std::string inside = Base64Inside(secret, before % 3, alphabet);
            EXPECT_NE(Base64(around, alphabet).find(inside), std::string::npos) << secret << before << after;
            EXPECT_GE(inside.size(), secret.size());
          }
        }
      }
    }
  }
}

TEST(Encode, WrapsLikeBase64) {
  EXPECT_EQ(Wrapped("abcdefgh", 3), "abc\ndef\ngh");
  EXPECT_EQ(Wrapped("abcdef", 3), "abc\ndef");
  EXPECT_EQ(Wrapped("", 3), "");
}

TEST(Encode, HexAndPercent) {
  EXPECT_EQ(Hex("\x0A\xFFz", Case::kLower), "0aff7a");
  EXPECT_EQ(Hex("\x0A\xFFz", Case::kUpper), "0AFF7A");
  EXPECT_EQ(Percent(kHard, "-._~/", false, Case::kUpper),
            "p%C3%A4/s%2B%27w%22o%24r%20%60d%5C~%C3%A9%0A%3C%26%3E%F0%9F%98%80%21");
  EXPECT_EQ(Percent(kHard, "-._~", true, Case::kUpper),
            "p%C3%A4%2Fs%2B%27w%22o%24r+%60d%5C~%C3%A9%0A%3C%26%3E%F0%9F%98%80%21");
  EXPECT_EQ(Percent("a/\xFF", "", false, Case::kLower), "a%2f%ff");
  EXPECT_EQ(PercentAll("a/", Case::kLower), "%61%2f");
}

TEST(Encode, JsonAsItsWritersDo) {
  // Python with and without ensure_ascii.
  EXPECT_EQ(Json(kHard, {.ascii = true}), "p\\u00e4/s+'w\\\"o$r `d\\\\~\\u00e9\\n<&>\\ud83d\\ude00!");
  EXPECT_EQ(Json(kHard, {}), "p\303\244/s+'w\\\"o$r `d\\\\~\303\251\\n<&>\360\237\230\200!");
  EXPECT_EQ(Json("a/\x01\x1f\b\f\r\t", {.slash = true}), "a\\/\\u0001\\u001f\\b\\f\\r\\t");
  EXPECT_EQ(Json("<&>\xE2\x80\xA8", {.html = true}), "\\u003c\\u0026\\u003e\\u2028");
  EXPECT_EQ(Json("a+b\"\xC3\xA4", {.careful = true, .digits = Case::kUpper}), "a\\u002Bb\\u0022\\u00E4");
  EXPECT_EQ(Json("aK\n", {.everything = true}), "\\u0061\\u004b\\u000a");
  EXPECT_EQ(Json("a\xFFz", {}), "a\xEF\xBF\xBDz");
}

TEST(Encode, ShellWordsAsBashDoes) {
  // shlex.quote, printf %q, set -x, declare -p
  EXPECT_EQ(ShellQuoted(kHard, Shell::kSinglePython),
            "p\303\244/s+'\042'\042'w\042o$r `d\134~\303\251\012<&>\360\237\230\200!");
  EXPECT_EQ(
      ShellQuoted(kOneLine, Shell::kBackslash),
      "p\303\244/s+\134'w\134\042o\134$r\134 \134`d\134\134~\303\251\134<\134&\134>\360\237\230\200\134!");
  EXPECT_EQ(ShellQuoted(kOneLine, Shell::kSingle),
            "p\303\244/s+'\134''w\042o$r `d\134~\303\251<&>\360\237\230\200!");
  EXPECT_EQ(ShellQuoted(kOneLine, Shell::kDouble),
            "p\303\244/s+'w\134\042o\134$r \134`d\134\134~\303\251<&>\360\237\230\200!");
  EXPECT_EQ(ShellQuoted(kHard, Shell::kAnsi),
            "p\303\244/s+\134'w\042o$r `d\134\134~\303\251\134n<&>\360\237\230\200!");
  EXPECT_EQ(ShellQuoted(kHard, Shell::kAnsiOctal),
            "p\134303\134244/s+\134'w\042o$r `d\134\134~\134303\134251\134n<&>\134360\134237\134230\134200!");
  EXPECT_EQ(ShellQuoted("a=b c'", Shell::kBackslashAll), "a\\=b\\ c\\'");
}

TEST(Encode, Utf16) {
  EXPECT_EQ(Utf16(kHard),
            "p\0\344\0/\0s\0+\0'\0w\0\042\0o\0$\0r\0 \0`\0d\0\134\0~\0\351\0\012\0<\0&\0>\0=\330"
            "\0\336!\0"sv);
  EXPECT_EQ(Utf16("a\xFF"), "a\0\xFF\0"sv);
}

}  // namespace
}  // namespace waggle::redact
