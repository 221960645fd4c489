#include <gtest/gtest.h>

#include "queen/api/call_budget.h"
#include "queen/api/call_guard.h"

namespace waggle::queen {
namespace {

using namespace std::chrono_literals;

TEST(CallBudget, SoManyAtOnceThenOneAtATime) {
  CallBudget budget(3, 10ms);
  const Time now = Time(1h);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(budget.Take("a", now));
  EXPECT_FALSE(budget.Take("a", now));
  EXPECT_FALSE(budget.Take("a", now + 9ms)) << "and a refusal costs nothing:";
  EXPECT_TRUE(budget.Take("a", now + 10ms));
  EXPECT_FALSE(budget.Take("a", now + 10ms));
  EXPECT_TRUE(budget.Take("b", now)) << "everybody has their own";
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(budget.Take("a", now + 1h));
  EXPECT_FALSE(budget.Take("a", now + 1h)) << "rest is not saved up";
}

TEST(CallGuard, AddressesAreThoseOfTheDoor) {
  EXPECT_EQ(PeerAddress("ipv4:127.0.0.1:50123"), "127.0.0.1:50123");
  EXPECT_EQ(PeerAddress("ipv6:%5B::1%5D:50123"), "[::1]:50123");
  EXPECT_EQ(PeerAddress("ipv6:[::1]:50123"), "[::1]:50123");
  EXPECT_EQ(PeerAddress("ipv6:%5Bfe80::1%252%5D:1"), "[fe80::1]:1");
  EXPECT_EQ(PeerAddress("unix:"), "");
  EXPECT_EQ(PeerAddress(""), "");
}

}  // namespace
}  // namespace waggle::queen
