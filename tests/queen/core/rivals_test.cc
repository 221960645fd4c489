#include "queen/core/rivals.h"

#include <gtest/gtest.h>

namespace waggle::queen {
namespace {

using namespace std::chrono_literals;

constexpr Time kStart = Time(1000s);

TEST(RivalsTest, WhoeverComesBackAfterItWasDeposedSwaps) {
  Rivals rivals;
  EXPECT_EQ(rivals.OnSession("a", "", kStart), 0);
  EXPECT_EQ(rivals.OnSession("b", "a", kStart), 0) << "moved, as far as one knows";
  EXPECT_EQ(rivals.OnSession("a", "b", kStart), 1);
  EXPECT_EQ(rivals.OnSession("b", "a", kStart), 2);
  EXPECT_EQ(rivals.OnSession("a", "", kStart), 3) << "the other had left meanwhile";
}

TEST(RivalsTest, OneReturnIsOneSwap) {
  Rivals rivals;
  rivals.OnSession("a", "", kStart);
  rivals.OnSession("b", "a", kStart);
  EXPECT_EQ(rivals.OnSession("a", "b", kStart), 1);
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(rivals.OnSession("a", i % 2 == 0 ? "a" : "", kStart), 0) << "it reconnects";
}

TEST(RivalsTest, RestartsAndRebootsAreNone) {
  Rivals rivals;
  for (int i = 0; i < 100; ++i) {
    const std::string boot = "boot " + std::to_string(i);
    // The queen has not noticed that the host went down.
    EXPECT_EQ(rivals.OnSession(boot, i == 0 ? "" : "boot " + std::to_string(i - 1), kStart), 0);
    EXPECT_EQ(rivals.OnSession(boot, boot, kStart), 0);
  }
}

TEST(RivalsTest, WhoDoesNotSayIsNeverOne) {
  Rivals rivals;
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(rivals.OnSession("", "a", kStart), 0);
    EXPECT_EQ(rivals.OnSession("a", "", kStart), 0);
  }
}

TEST(RivalsTest, OldSwapsAreForgotten) {
  Rivals rivals;
  rivals.OnSession("a", "", kStart);
  rivals.OnSession("b", "a", kStart);
  EXPECT_EQ(rivals.OnSession("a", "b", kStart), 1);
  EXPECT_EQ(rivals.OnSession("b", "a", kStart + kSwapWindow - 1ns), 2);
  EXPECT_EQ(rivals.OnSession("a", "b", kStart + kSwapWindow), 2) << "the first is too old";
  EXPECT_EQ(rivals.OnSession("b", "a", kStart + 3 * kSwapWindow), 1);
}

TEST(RivalsTest, ManySwapsAreBounded) {
  Rivals rivals;
  rivals.OnSession("p0", "", kStart);
  int most = 0;
  for (int i = 1; i < 10'000; ++i) {
    const auto place = [](int n) { return "p" + std::to_string(n % 3); };
    most = std::max(most, rivals.OnSession(place(i), place(i - 1), kStart));
  }
  EXPECT_EQ(most, kSwaps + 1);
}

}  // namespace
}  // namespace waggle::queen
