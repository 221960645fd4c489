#include "common/config/logging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

namespace waggle::config {
namespace {

using testing::HasSubstr;

std::string Logged(std::string_view level, std::string_view format, const std::string& message) {
  testing::internal::CaptureStderr();
  EXPECT_TRUE(SetUpLogging("drone", level, format).ok());
  spdlog::info(message);
  spdlog::default_logger()->flush();
  return testing::internal::GetCapturedStderr();
}

TEST(Logging, TextIsOneLineWhateverTheMessageHolds) {
  const std::string line = Logged("info", "text", "two\nlines {} and \x1b[31m");
  EXPECT_THAT(line, HasSubstr("info    two lines {} and  [31m\n"));
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
}

TEST(Logging, JsonIsEscaped) {
  const std::string line = Logged("info", "json", "say \"a\\b\"\n");
  EXPECT_THAT(line, HasSubstr(R"("level":"info","name":"drone","message":"say \"a\\b\"\u000a"})"));
}

TEST(Logging, LevelsBelowAreSilent) {
  EXPECT_EQ(Logged("warn", "text", "hush"), "");
}

TEST(Logging, UnknownWordsNameTheKnownOnes) {
  EXPECT_THAT(std::string(SetUpLogging("x", "loud").message()),
              HasSubstr("unknown log level `loud`: use one of error"));
  EXPECT_THAT(std::string(SetUpLogging("x", "info", "xml").message()), HasSubstr("auto, text, json"));
}

}  // namespace
}  // namespace waggle::config
