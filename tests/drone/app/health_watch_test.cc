#include "drone/app/health_watch.h"

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace waggle::drone {
namespace {

TEST(SaysDownTest, OnlyTheWordItself) {
  for (const char* down :
       {"down", " DOWN\r\n", "{\"state\":\"down\"}", "\n{\"state\": \"Down\", \"by\": 1}"}) {
    EXPECT_TRUE(SaysDown(down)) << down;
  }
  for (const char* up : {"", "up", "download", "not down", "{}", "{\"state\":\"up\"}", "{\"state\":1}",
                         "[\"down\"]", "{\"state\":\"down\"", "<html>down</html>", "\"down\""}) {
    EXPECT_FALSE(SaysDown(up)) << up;
  }
}

class HealthWatchTest : public testing::Test {
 protected:
  void SetUp() override {
    auto poller = attempt::Poller::Create();
    ASSERT_TRUE(poller.ok());
    poller_ = *std::move(poller);
  }
  void Watch(const std::string& place) {
    auto watch = HealthWatch::Create(place, poller_.get(), [this] { ++down_; });
    ASSERT_TRUE(watch.ok()) << watch.status();
    watch_ = *std::move(watch);
  }
  // Runs the loop until it was told, or for so long.
  void Wait(Duration length) {
    const Time until = BootClock::now() + length;
    while (down_ == 0 && BootClock::now() < until) {
      poller_->WakeAt(until);
      ASSERT_TRUE(poller_->Wait().ok());
    }
  }

  test::TempDir dir_;
  std::unique_ptr<attempt::Poller> poller_;
  std::unique_ptr<HealthWatch> watch_;
  int down_ = 0;
};

TEST_F(HealthWatchTest, AFileThatSaysDownIsTold) {
  test::WriteText(dir_ / "health", "down\n");
  Watch(dir_ / "health");
  Wait(std::chrono::seconds(60));
  EXPECT_EQ(down_, 1);
}

TEST_F(HealthWatchTest, WhatCannotBeHadSaysNothing) {
  for (const std::string& place : {dir_ / "missing", dir_.path(), std::string("http://127.0.0.1:1/down")}) {
    Watch(place);
    Wait(std::chrono::milliseconds(50));
    EXPECT_EQ(down_, 0) << place;
  }
}

}  // namespace
}  // namespace waggle::drone
