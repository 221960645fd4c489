#include "queen/app/storage_guard.h"

#include <gmock/gmock.h>

#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/fd.h"
#include "common/base/limits.h"
#include "tests/support/temp_dir.h"

namespace waggle::queen {
namespace {

using limits::kGiB;
using limits::kMiB;
using testing::HasSubstr;

TEST(StorageTrouble, BelowTheSmallerOfTheTwoLimits) {
  EXPECT_EQ(StorageTrouble({100 * kGiB, 512 * kMiB, 0, 0}, false), "");
  EXPECT_THAT(StorageTrouble({100 * kGiB, 512 * kMiB - 1, 0, 0}, false),
              HasSubstr("less than 524288 KiB free"));
  EXPECT_EQ(StorageTrouble({100 * kMiB, 5 * kMiB, 0, 0}, false), "");
  EXPECT_THAT(StorageTrouble({100 * kMiB, 5 * kMiB - 1, 0, 0}, false), HasSubstr("less than 5120 KiB free"));
}

TEST(StorageTrouble, IsOverOnlyWithAQuarterMore) {
  EXPECT_NE(StorageTrouble({100 * kGiB, 640 * kMiB - 1, 0, 0}, true), "");
  EXPECT_EQ(StorageTrouble({100 * kGiB, 640 * kMiB, 0, 0}, true), "");
}

TEST(StorageTrouble, FilesMayRunOutBeforeBytes) {
  EXPECT_THAT(StorageTrouble({kGiB, kGiB, 1'000'000, 999}, false), HasSubstr("less than 1000 files left"));
  EXPECT_EQ(StorageTrouble({kGiB, kGiB, 1'000'000, 1000}, false), "");
  EXPECT_THAT(StorageTrouble({kGiB, kGiB, 400, 19}, false), HasSubstr("less than 20 files left"));
  EXPECT_EQ(StorageTrouble({kGiB, kGiB, 400, 20}, false), "");
  EXPECT_EQ(StorageTrouble({kGiB, kGiB, 0, 0}, false), "") << "this file system does not count them";
}

// A write that found no space while there is enough (a quota, a moment): trouble, then it is over.
TEST(StorageGuard, AStarvedWriteIsToldOnceAndIsOverOnce) {
  test::TempDir data;
  absl::Mutex mutex;
  std::vector<std::string> said;
  StorageGuard guard(data.path(), [&](const std::string& trouble) {
    absl::MutexLock lock(&mutex);
    said.push_back(trouble);
  });
  guard.Starved(absl::ResourceExhaustedError("append to 7.000: No space left on device\nnext: free some"));
  auto over = [&] { return said.size() >= 2; };
  {
    absl::MutexLock lock(&mutex);
    ASSERT_TRUE(mutex.AwaitWithTimeout(absl::Condition(&over), absl::Seconds(30)));
    EXPECT_EQ(said[0], "the queen's disk is full: append to 7.000: No space left on device");
    EXPECT_EQ(said[1], "");
  }
  guard.Stop();
  EXPECT_TRUE(FileExists(data / "ballast")) << "made again";
  EXPECT_EQ(said.size(), 2u);
}

}  // namespace
}  // namespace waggle::queen
