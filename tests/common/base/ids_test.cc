#include "common/base/ids.h"

#include <gtest/gtest.h>

#include <type_traits>
#include <unordered_set>

namespace waggle {
namespace {

TEST(Ids, ZeroMeansNone) {
  EXPECT_FALSE(JobId());
  EXPECT_FALSE(JobId(0));
  EXPECT_TRUE(JobId(1));
  EXPECT_EQ(JobId().value(), 0u);
}

TEST(Ids, OrderLikeTheirNumbers) {
  EXPECT_LT(Epoch(1), Epoch(2));
  EXPECT_GT(Epoch(~std::uint64_t{0}), Epoch(2));
  EXPECT_EQ(Epoch(7), Epoch(7));
  EXPECT_NE(Epoch(7), Epoch(8));
}

TEST(Ids, OfDifferentThingsDoNotMix) {
  static_assert(!std::is_convertible_v<JobId, RunId>);
  static_assert(!std::is_convertible_v<std::uint64_t, JobId>);
  static_assert(!std::is_convertible_v<JobId, std::uint64_t>);
  static_assert(!std::is_constructible_v<JobId, Epoch>);
}

TEST(Ids, AreHashKeys) {
  std::unordered_set<DroneId> ids;
  for (std::uint64_t i = 0; i < 1000; ++i) ids.insert(DroneId(i % 500));
  EXPECT_EQ(ids.size(), 500u);
  EXPECT_TRUE(ids.contains(DroneId(499)));
  EXPECT_FALSE(ids.contains(DroneId(500)));
}

}  // namespace
}  // namespace waggle
