// What retention asks of every store.
#include <gmock/gmock.h>

#include "tests/queen/store/store_contract.h"

namespace waggle::queen {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr WallMillis kDay = 24LL * 3600 * 1000;
constexpr WallMillis kNow = 1'790'000'000'000;  // in 2026

// Has ended, is sealed, awaits nothing: its log may go.
AttemptRow Ended(std::uint64_t epoch, WallMillis log_ended) {
  AttemptRow row = PlainAttempt(epoch, epoch, /*log_closed=*/true);
  row.state = JobState::kPassed;
  row.log_ended = log_ended;
  return row;
}

WriteBatch Of(std::vector<AttemptRow> rows) {
  WriteBatch batch;
  batch.attempts = std::move(rows);
  return batch;
}

std::vector<std::uint64_t> Expire(Store& store, WallMillis before, WallMillis now = kNow,
                                  std::size_t most = 100) {
  auto leaving = store.ExpireLogs(before, now, most);
  EXPECT_TRUE(leaving.ok()) << leaving.status();
  std::vector<std::uint64_t> epochs;
  for (Epoch epoch : leaving.value_or(std::vector<Epoch>())) epochs.push_back(epoch.value());
  return epochs;
}

WallMillis RemovedAt(Store& store, std::uint64_t epoch) {
  return store.GetAttempt(Epoch(epoch)).value_or(AttemptRow()).log_removed;
}

// Whatever the clock says: also that everything is old.
TEST_P(StoreContract, ExpiresOnlyWhatHasEndedIsSealedAndAwaitsNothing) {
  std::vector<AttemptRow> rows;
  for (JobState state : {JobState::kQueued, JobState::kReceived, JobState::kStarted}) {
    rows.push_back(Ended(rows.size() + 1, kNow - 90 * kDay));  // runs, whatever else its row says
    rows.back().state = state;
  }
  rows.push_back(Ended(4, kNow - 90 * kDay));
  rows.back().log_closed = false;  // is to be sealed
  rows.push_back(Ended(5, kNow - 90 * kDay));
  rows.back().late_awaited = true;
  rows.push_back(Ended(6, kNow - 90 * kDay));
  rows.push_back(PlainAttempt(7, 7, false));
  rows.push_back(Ended(8, 1000));  // under a clock that nobody had set
  Commit(Of(std::move(rows)));
  for (WallMillis ahead : {WallMillis{0}, kDay, 3650 * kDay, 100'000 * kDay}) {
    EXPECT_THAT(Expire(store(), kNow + ahead, kNow + ahead), ElementsAre(6));
  }
  EXPECT_EQ(RemovedAt(store(), 6), kNow);
  for (std::uint64_t epoch : {1, 2, 3, 4, 5, 7, 8}) EXPECT_EQ(RemovedAt(store(), epoch), 0) << epoch;
}

TEST_P(StoreContract, ExpiresOnlyWhatEndedBefore) {
  Commit(Of({Ended(1, kNow - 1), Ended(2, kNow), Ended(3, kNow + 1)}));
  EXPECT_THAT(Expire(store(), kNow - 1), IsEmpty());
  EXPECT_THAT(Expire(store(), -kNow), IsEmpty());
  EXPECT_THAT(Expire(store(), kNow), ElementsAre(1));
}

TEST_P(StoreContract, ExpiredLogsAreGivenUntilTheyAreGoneAlsoAfterARestart) {
  Commit(Of({Ended(1, kNow - 5), Ended(2, kNow - 4), Ended(3, kNow)}));
  EXPECT_THAT(Expire(store(), kNow, 111), ElementsAre(1, 2));
  Reopen();
  EXPECT_THAT(Expire(store(), 0, 222), ElementsAre(1, 2));
  EXPECT_EQ(RemovedAt(store(), 2), 111);
  ASSERT_TRUE(store().LogsGone({Epoch(1)}).ok());
  EXPECT_THAT(Expire(store(), 0, 333), ElementsAre(2));
  ASSERT_TRUE(store().LogsGone({Epoch(2)}).ok());
  Reopen();
  EXPECT_THAT(Expire(store(), kNow), IsEmpty());
  EXPECT_EQ(RemovedAt(store(), 1), 111);
}

// The core may still hold the row from before.
TEST_P(StoreContract, ExpiredLogsStaySoWhenTheRowIsWrittenAgain) {
  Commit(Of({Ended(1, kNow - 5)}));
  EXPECT_THAT(Expire(store(), kNow, 111), ElementsAre(1));
  ASSERT_TRUE(store().LogsGone({Epoch(1)}).ok());
  AttemptRow again = Ended(1, kNow - 5);
  again.detail = "written again";
  Commit(Of({again}));
  EXPECT_EQ(store().GetAttempt(Epoch(1))->detail, "written again");
  EXPECT_EQ(RemovedAt(store(), 1), 111);
  EXPECT_THAT(Expire(store(), kNow), IsEmpty());
}

TEST_P(StoreContract, ExpiresTheOldestFirstAndNoMoreThanAsked) {
  Commit(Of({Ended(1, kNow - 1), Ended(2, kNow - 3), Ended(3, kNow - 2), Ended(4, kNow - 4)}));
  EXPECT_THAT(Expire(store(), kNow, kNow, 2), ElementsAre(2, 4));
  EXPECT_EQ(RemovedAt(store(), 1), 0);
  EXPECT_EQ(RemovedAt(store(), 3), 0);
}

TEST_P(StoreContract, ExpiredOnlyWhatWasMarked) {
  Commit(Of({Ended(1, kNow - 1)}));
  ASSERT_TRUE(store().LogsGone({Epoch(1), Epoch(99)}).ok());
  EXPECT_EQ(RemovedAt(store(), 1), 0);
  EXPECT_THAT(Expire(store(), kNow), ElementsAre(1));
}

}  // namespace
}  // namespace waggle::queen
