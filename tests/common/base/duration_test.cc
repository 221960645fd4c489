#include "common/base/duration.h"

#include <gtest/gtest.h>

namespace waggle {
namespace {

using namespace std::chrono_literals;

TEST(ParseDuration, ReadsUnits) {
  EXPECT_EQ(ParseDuration("10m").value, 10min);
  EXPECT_EQ(ParseDuration("600s").value, 10min);
  EXPECT_EQ(ParseDuration("1h30m").value, 90min);
  EXPECT_EQ(ParseDuration("1h0m5s").value, 1h + 5s);
  EXPECT_EQ(ParseDuration("010m").value, 10min);
  EXPECT_EQ(ParseDuration("0s").value, 0s);
  EXPECT_EQ(ParseDuration("90d").value, 90 * 24h);
  EXPECT_EQ(ParseDuration("1d12h").value, 36h);
}

TEST(ParseDuration, HugeNumbersStayBounded) {
  ParsedDuration huge = ParseDuration(std::string(10'000, '9') + "h");
  EXPECT_EQ(huge.fault, DurationFault::kNone);
  EXPECT_EQ(huge.value, 36'500 * 24h);
  EXPECT_EQ(ParseDuration("999h99999999999999999999m").value, 36'500 * 24h);
  EXPECT_EQ(ParseDuration("36501d").value, 36'500 * 24h);
}

TEST(ParseDuration, Faults) {
  EXPECT_EQ(ParseDuration("10").fault, DurationFault::kNoUnit);
  for (const char* bad : {"", "m", "10 m", "10m5", "5s10m", "1m1m", "-5m", "1.5h", "10ms", "1w", "10M",
                          "1h 30m", "٣m", "d", "12h1d", "1d1d", "1.5d"}) {
    EXPECT_EQ(ParseDuration(bad).fault, DurationFault::kMalformed) << bad;
  }
}

}  // namespace
}  // namespace waggle
