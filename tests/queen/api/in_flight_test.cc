#include "queen/api/in_flight.h"

#include <gtest/gtest.h>

#include <vector>

namespace waggle::queen {
namespace {

TEST(InFlight, RefusesWhatIsTooMuchUntilSomethingIsLetGo) {
  InFlight bytes(10'000);
  Hold first = bytes.Take(5'000);
  EXPECT_NE(first, nullptr);
  EXPECT_EQ(bytes.Take(5'000), nullptr) << "with what each message costs besides its bytes";
  first.reset();
  EXPECT_NE(bytes.Take(9'000), nullptr);
}

TEST(InFlight, EmptyMessagesAreNotFree) {
  InFlight bytes(10'000);
  std::vector<Hold> holds;
  while (Hold hold = bytes.Take(0)) {
    holds.push_back(hold);
    ASSERT_LT(holds.size(), 1000u);
  }
  EXPECT_GT(holds.size(), 10u);
}

TEST(InFlight, HoldsMayOutliveIt) {
  Hold hold;
  {
    InFlight bytes(1'000);
    hold = bytes.Take(1);
  }
  hold.reset();
}

}  // namespace
}  // namespace waggle::queen
