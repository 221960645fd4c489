#include "queen/app/wall_check.h"

#include <gmock/gmock.h>

namespace waggle::queen {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr WallMillis kNow = 1'790'000'000'000;
constexpr WallMillis kHour = 3600LL * 1000;
constexpr WallMillis kYear = 365 * 24 * kHour;

Time Boot(Duration at) {
  return Time(at);
}

TEST(WallCheck, ASteadyClockMayDecide) {
  WallCheck check(Boot(5s), kNow, kNow - kHour);
  EXPECT_EQ(check.Look(Boot(5s), kNow), "");
  EXPECT_EQ(check.Look(Boot(1h + 5s), kNow + kHour), "");
  EXPECT_EQ(check.Look(Boot(2h + 5s), kNow + 2 * kHour + 599'000), "") << "below ten minutes is no jump";
}

TEST(WallCheck, NothingIsOldForADayAfterAJump) {
  for (WallMillis jump : {24 * kHour, -24 * kHour, 10 * kYear, -10 * kYear, kHour / 5, 100 * kYear}) {
    WallCheck check(Boot(0s), kNow, kNow);
    EXPECT_EQ(check.Look(Boot(1h), kNow + kHour), "");
    const std::string why = check.Look(Boot(2h), kNow + 2 * kHour + jump);
    EXPECT_THAT(why, HasSubstr(jump > 0 ? "the clock stepped ahead by " : "the clock stepped back by "));
    for (int hour = 3; hour < 26; ++hour)
      EXPECT_EQ(check.Look(Boot(hour * 1h), kNow + hour * kHour + jump), why) << hour;
    EXPECT_EQ(check.Look(Boot(26h), kNow + 26 * kHour + jump), "") << "steady for a day: somebody meant it";
  }
}

TEST(WallCheck, AStepBackIsAJumpOfItsOwn) {
  WallCheck check(Boot(0s), kNow, kNow);
  EXPECT_THAT(check.Look(Boot(1h), kNow + 24 * kHour), HasSubstr("ahead by 23h"));
  EXPECT_THAT(check.Look(Boot(20h), kNow + 20 * kHour), HasSubstr("back by 23h"));
  EXPECT_NE(check.Look(Boot(43h), kNow + 43 * kHour), "");
  EXPECT_EQ(check.Look(Boot(44h), kNow + 44 * kHour), "");
}

// A start under a clock that runs ahead cannot be told from one after a long absence.
TEST(WallCheck, AStartFarAheadOfWhatIsStoredWaitsADay) {
  WallCheck check(Boot(1s), kNow + 10 * kYear, kNow);
  EXPECT_THAT(check.Look(Boot(1s), kNow + 10 * kYear), HasSubstr("ahead of the newest job"));
  EXPECT_NE(check.Look(Boot(24h), kNow + 10 * kYear + 24 * kHour), "");
  EXPECT_EQ(check.Look(Boot(24h + 1s), kNow + 10 * kYear + 24 * kHour), "");
  WallCheck fresh(Boot(1s), kNow, 0);
  EXPECT_EQ(fresh.Look(Boot(1s), kNow), "") << "nothing is stored";
  WallCheck behind(Boot(1s), kNow - kYear, kNow);
  EXPECT_EQ(behind.Look(Boot(1s), kNow - kYear), "") << "then nothing is old";
}

TEST(WallCheck, ASuspendedHostHasNotJumped) {
  WallCheck check(Boot(0s), kNow, kNow);
  EXPECT_EQ(check.Look(Boot(100h), kNow + 100 * kHour), "") << "the boot clock counts suspend";
}

}  // namespace
}  // namespace waggle::queen
