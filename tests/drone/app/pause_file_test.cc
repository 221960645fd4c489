#include "drone/app/pause_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace waggle::drone {
namespace {

using testing::HasSubstr;

constexpr WallMillis kNow = 1'700'000'000'000;

class PauseFileTest : public testing::Test {
 protected:
  test::TempDir dir_;
  PauseFile file_{dir_.path()};
};

TEST_F(PauseFileTest, WhatIsSavedIsLoaded) {
  EXPECT_FALSE(file_.Load(kNow).has_value());
  ASSERT_TRUE(file_.Save({kNow + 5, "two\nlines, ä"}).ok());
  const auto pause = file_.Load(kNow);
  ASSERT_TRUE(pause.has_value());
  EXPECT_EQ(pause->until, kNow + 5);
  EXPECT_EQ(pause->reason, "two\nlines, ä");
  ASSERT_TRUE(file_.Remove().ok());
  EXPECT_FALSE(file_.Load(kNow).has_value());
  EXPECT_TRUE(file_.Remove().ok()) << "there is none";
}

TEST_F(PauseFileTest, OneThatIsOverIsNone) {
  ASSERT_TRUE(file_.Save({kNow, ""}).ok());
  EXPECT_TRUE(file_.Load(kNow - 1).has_value());
  EXPECT_FALSE(file_.Load(kNow).has_value());
  ASSERT_TRUE(file_.Save({0, ""}).ok());
  EXPECT_TRUE(file_.Load(kNow).has_value()) << "has no end";
}

TEST_F(PauseFileTest, ADamagedOneCountsAsAPauseThatSaysSo) {
  for (const std::string& text : {std::string(), std::string("soon\n"), std::string("12"),
                                  std::string("-1\nx"), std::string(1 << 20, 'x')}) {
    test::WriteText(dir_ / "paused", text);
    const auto pause = file_.Load(kNow);
    ASSERT_TRUE(pause.has_value()) << text.substr(0, 10);
    EXPECT_EQ(pause->until, 0);
    EXPECT_THAT(pause->reason, HasSubstr("cannot be read"));
  }
}

}  // namespace
}  // namespace waggle::drone
