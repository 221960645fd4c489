#include "tools/waggle/text.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "absl/status/status.h"
#include "tools/waggle/errors.h"
#include "tools/waggle/json.h"

namespace waggle::cli {
namespace {

TEST(TextTest, TimesCountsAndSizes) {
  EXPECT_EQ(ClockTime(41'000), "0:41");
  EXPECT_EQ(ClockTime(-5), "0:00");
  EXPECT_EQ(ClockTime(3'723'000), "1:02:03");
  EXPECT_EQ(Seconds(410), "0.41 s");
  EXPECT_EQ(Seconds(9'999), "10.00 s");
  EXPECT_EQ(Seconds(12'340), "12.3 s");
  EXPECT_EQ(Seconds(130'000), "2:10");
  EXPECT_EQ(Age(59'000), "59s");
  EXPECT_EQ(Age(7'200'000), "2h");
  EXPECT_EQ(Age(12 * 86'400'000LL), "12d");
  EXPECT_EQ(WallTime(1'795'172'582'000), "2026-11-20T11:03:02Z");
  EXPECT_EQ(WallTime(0), "");
  EXPECT_EQ(Count(0), "0");
  EXPECT_EQ(Count(999), "999");
  EXPECT_EQ(Count(268'435'456), "268,435,456");
  EXPECT_EQ(Size(212ull * 1024 * 1024), "212G");
}

TEST(TextTest, OneLineCutsAndDisarms) {
  Style style;
  style.unicode = true;
  EXPECT_EQ(OneLine("make check\n", 80, style), "make check");
  EXPECT_EQ(OneLine("a\nb", 80, style), "a …");
  EXPECT_EQ(OneLine("\x1b[31mred\tx", 80, style), "?[31mred x");
  EXPECT_EQ(OneLine("äöüß", 2, style), "äö …");
  EXPECT_EQ(OneLine("abc", 2, Style()), "ab ...");
}

TEST(TextTest, TableAlignsByColumnsNotBytes) {
  Style style{true, true};
  std::string table = Table({{"JOB", "STATE", "NOTE"},
                             {"1", style.Painted(JobState::kPassed, "✓ passed"), ""},
                             {"22", "⚡ errored", "x"}});
  EXPECT_EQ(table,
            " JOB  STATE       NOTE\n"
            " 1    \x1b[32m✓ passed\x1b[0m\n"
            " 22   ⚡ errored  x\n");
}

TEST(TextTest, ColourAndIconsFollowTerminalLocaleAndNoColor) {
  setenv("LC_ALL", "en_US.UTF-8", 1);
  unsetenv("NO_COLOR");
  EXPECT_TRUE(Style::Detect(ColorMode::kAuto, STDIN_FILENO).unicode);
  EXPECT_TRUE(Style::Detect(ColorMode::kAlways, -1).color);
  EXPECT_FALSE(Style::Detect(ColorMode::kAuto, -1).color);
  setenv("LC_ALL", "C", 1);
  EXPECT_EQ(Style::Detect(ColorMode::kAuto, -1).Icon(JobState::kFailed), "XX");
  EXPECT_EQ((Style{false, true}.Icon(JobState::kCanceled)), "⊘");
}

TEST(ErrorsTest, ShapeAndExitCodes) {
  EXPECT_EQ(FormatError(absl::NotFoundError("there is no job 5\nit was never made\nnext: waggle jobs")),
            "error: there is no job 5\n  it was never made\n  next: waggle jobs\n");
  EXPECT_EQ(FormatError(absl::InternalError("")), "error: the queen gave no reason\n");
  EXPECT_EQ(FormatError(absl::InternalError("a\x1b[2Jb")), "error: a?[2Jb\n");
  EXPECT_EQ(ExitCodeOf(absl::NotFoundError(""), false), 3);
  EXPECT_EQ(ExitCodeOf(absl::PermissionDeniedError(""), false), 4);
  EXPECT_EQ(ExitCodeOf(absl::UnauthenticatedError(""), false), 4);
  EXPECT_EQ(ExitCodeOf(absl::UnavailableError(""), false), 5);
  EXPECT_EQ(ExitCodeOf(absl::DeadlineExceededError(""), false), 5);
  EXPECT_EQ(ExitCodeOf(absl::FailedPreconditionError(""), false), 1);
  EXPECT_EQ(ExitCodeOf(absl::NotFoundError(""), true), 125);
}

TEST(JsonTest, BytesThatAreNotUtf8ComeAsBase64) {
  Json object = Json::object();
  SetBytes("data", "grüße", &object);
  SetBytes("raw", std::string_view("\xff\0x", 3), &object);
  EXPECT_EQ(Compact(object), R"({"data":"grüße","raw_base64":"/wB4"})");
  for (const char* bad :
       {"\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xf0\x80\x80\x80"}) {
    EXPECT_FALSE(ValidUtf8(bad));
  }
  EXPECT_TRUE(ValidUtf8("\xf0\x9f\x90\x9d bee"));
}

}  // namespace
}  // namespace waggle::cli
