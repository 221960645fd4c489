#include <gtest/gtest.h>

#include <algorithm>

#include "queen/app/descriptors.h"
#include "queen/http/limits.h"

namespace waggle::queen {
namespace {

TEST(Descriptors, SomeAreLeftForFilesWhateverThePortsTake) {
  for (std::size_t limit : {64u, 256u, 1024u, 20'000u, 65'536u, 1'000'000u}) {
    const DescriptorShares shares = SharesOf(limit);
    EXPECT_GE(limit - shares.remote - shares.local - shares.http, limit / 8) << limit;
    EXPECT_GE(limit - shares.remote - shares.local - shares.http, std::min<std::size_t>(limit / 2, 64))
        << limit;
    EXPECT_GT(shares.remote, 0u);
    EXPECT_GT(shares.local, 0u);
    EXPECT_GT(shares.http, 0u);
  }
  EXPECT_EQ(SharesOf(1'000'000).http, http::kConnections);
  EXPECT_EQ(SharesOf(~std::size_t{0}).remote, SharesOf(1'000'000).remote) << "without a limit too";
}

}  // namespace
}  // namespace waggle::queen
