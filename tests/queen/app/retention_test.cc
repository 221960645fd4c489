// Retention over the real store and real log files, under clocks of the test.
#include "queen/app/retention.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "queen/logs/removal.h"
#include "queen/store/sqlite/sqlite_store.h"
#include "tests/support/child.h"
#include "tests/support/temp_dir.h"

namespace waggle::queen {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr WallMillis kDay = 24LL * 3600 * 1000;
constexpr WallMillis kNow = 1'790'000'000'000;
constexpr std::chrono::milliseconds kLimit = 90 * 24h;

class RetentionTest : public testing::Test {
 protected:
  void SetUp() override {
    auto store = OpenSqliteStore(directory_ / "queen.db");
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    LogStore::Callbacks callbacks;
    callbacks.failed = [](absl::Status status) { ADD_FAILURE() << status; };
    callbacks.starved = callbacks.failed;
    callbacks.complete = [](event::LogComplete) {};
    callbacks.appended = [](Epoch) {};
    auto logs = LogStore::Create(directory_ / "logs", 1, std::move(callbacks));
    ASSERT_TRUE(logs.ok()) << logs.status();
    logs_ = *std::move(logs);
  }

  // An attempt whose log ended so many days ago, with a file for each kind there is.
  void Ended(std::uint64_t epoch, WallMillis days_ago, bool running = false) {
    AttemptRow row;
    row.epoch = Epoch(epoch);
    row.job = JobId(epoch);
    row.state = running ? JobState::kStarted : JobState::kPassed;
    row.log_closed = !running;
    row.log_ended = running ? 0 : wall_ - days_ago * kDay;
    WriteBatch batch;
    batch.attempts = {row};
    JobRow job;
    job.id = row.job;
    job.times.created = wall_ - days_ago * kDay;
    batch.jobs = {job};
    ASSERT_TRUE(store_->Commit(batch).ok());
    for (const char* kind : {".000", ".002", ".idx", "-late.000", "-late.idx"}) WriteFile(epoch, kind);
  }
  void WriteFile(std::uint64_t epoch, const char* kind) {
    const std::string directory = logs_->At(Epoch(epoch)).directory;
    std::filesystem::create_directories(directory);
    test::WriteText(absl::StrCat(directory, "/", epoch, kind), "bytes");
  }
  // The attempts with any file.
  std::set<std::uint64_t> Stored() const {
    std::set<std::uint64_t> epochs;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_ / "logs")) {
      const auto epoch = EpochOfLogFile(entry.path().filename().string());
      if (epoch && !entry.is_directory()) epochs.insert(epoch->value());
    }
    return epochs;
  }
  RetentionClocks Clocks() {
    return {[this] { return boot_; }, [this] { return wall_; }};
  }
  void Pass(Duration time) {
    boot_ += time;
    wall_ += std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  }
  std::unique_ptr<Retention> Make(std::chrono::milliseconds limit = kLimit) {
    return std::make_unique<Retention>(
        *store_, *logs_, limit, [](const absl::Status& status) { ADD_FAILURE() << status; }, Clocks());
  }

  test::TempDir directory_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<LogStore> logs_;
  Time boot_ = Time(1000s);
  WallMillis wall_ = kNow;
};

TEST_F(RetentionTest, OnlyOldLogsGoWithAllTheirFiles) {
  Ended(1, 91);
  Ended(5000, 200);  // in a directory of its own
  Ended(2, 89);
  Ended(3, 400, /*running=*/true);
  WriteFile(77, ".000");  // of no attempt
  Ended(6000, 0);
  auto retention = Make();
  EXPECT_EQ(retention->Sweep(), 2u);
  EXPECT_THAT(Stored(), ElementsAre(2, 3, 77, 6000));
  EXPECT_EQ(store_->GetAttempt(Epoch(1))->log_removed, kNow);
  EXPECT_EQ(retention->Sweep(), 0u);
  Pass(25h);
  EXPECT_EQ(retention->Sweep(), 1u);
  EXPECT_THAT(Stored(), ElementsAre(3, 77, 6000));
}

// Under every clock there can be, at the sweep and for days after it.
TEST_F(RetentionTest, ARunningAttemptIsNeverTouched) {
  std::uint64_t epoch = 0;
  for (WallMillis jump : {kDay, -kDay, 3650 * kDay, -3650 * kDay, 50'000 * kDay}) {
    wall_ = kNow;
    const std::uint64_t ended = ++epoch, running = ++epoch;
    Ended(ended, 1);
    Ended(running, 500, /*running=*/true);
    auto retention = Make(1s);
    for (int hour = 0; hour < 60; ++hour) {
      if (hour == 3) wall_ += jump;
      retention->Sweep();
      EXPECT_TRUE(Stored().contains(running)) << jump << " " << hour;
      Pass(1h);
    }
    EXPECT_EQ(store_->GetAttempt(Epoch(running))->log_removed, 0);
    EXPECT_EQ(Stored().contains(ended), jump < -kDay) << "the sweeps did run, unless nothing became old";
  }
}

TEST_F(RetentionTest, AJumpOfTheClockDeletesNothingForADay) {
  Ended(1, 1);
  auto retention = Make();
  EXPECT_EQ(retention->Sweep(), 0u);
  wall_ += 3650 * kDay;
  for (int hour = 0; hour < 24; ++hour) {
    EXPECT_EQ(retention->Sweep(), 0u) << hour;
    Pass(1h);
  }
  EXPECT_THAT(Stored(), ElementsAre(1));
  wall_ -= 3650 * kDay;  // somebody set it right
  for (int hour = 0; hour < 60; ++hour) {
    EXPECT_EQ(retention->Sweep(), 0u) << hour;
    Pass(1h);
  }
  EXPECT_THAT(Stored(), ElementsAre(1));
}

TEST_F(RetentionTest, AStartUnderAClockFarAheadDeletesNothingForADay) {
  Ended(1, 1);
  wall_ += 3650 * kDay;
  auto retention = Make();
  EXPECT_EQ(retention->Sweep(), 0u);
  EXPECT_THAT(Stored(), ElementsAre(1));
  Pass(24h);
  EXPECT_EQ(retention->Sweep(), 1u) << "or the queen was only away";
}

TEST_F(RetentionTest, ALogThatIsStillOpenGoesLater) {
  Ended(1, 91);
  Ended(2, 91);
  Ended(3, 0);
  logs_->OpenLog(Epoch(2), SessionId(1));
  ASSERT_TRUE(test::Eventually([&] { return logs_->Last(Epoch(2)).has_value(); }));
  auto retention = Make();
  EXPECT_EQ(retention->Sweep(), 1u);
  EXPECT_THAT(Stored(), ElementsAre(2, 3));
  logs_->CloseLog(Epoch(2));
  ASSERT_TRUE(test::Eventually([&] { return !logs_->Last(Epoch(2)).has_value(); }));
  EXPECT_EQ(retention->Sweep(), 1u);
  EXPECT_THAT(Stored(), ElementsAre(3));
}

TEST_F(RetentionTest, ManyGoInBatchesAndNoMoreThanASweepMay) {
  WriteBatch batch;
  for (std::uint64_t n = 1; n <= Retention::kSweep + 300; ++n) {
    AttemptRow row;
    row.epoch = Epoch(n);
    row.job = JobId(n);
    row.state = JobState::kPassed;
    row.log_closed = true;
    row.log_ended = kNow - 91 * kDay;
    batch.attempts.push_back(row);
  }
  ASSERT_TRUE(store_->Commit(batch).ok());
  Ended(Retention::kSweep + 1000, 0);
  auto retention = Make();
  const std::size_t first = retention->Sweep();
  EXPECT_GE(first, Retention::kSweep);
  EXPECT_LT(first, Retention::kSweep + Retention::kBatch);
  EXPECT_EQ(first + retention->Sweep(), Retention::kSweep + 300);
}

TEST_F(RetentionTest, TheThreadSweepsAtStartAndAsOftenAsAShortLimit) {
  wall_ = WallNow();
  Ended(1, 0);
  Retention retention(*store_, *logs_, 1s, [](const absl::Status& status) { ADD_FAILURE() << status; });
  retention.Start();
  EXPECT_TRUE(test::Eventually([&] { return Stored().empty(); }));
  retention.Stop();
}

}  // namespace
}  // namespace waggle::queen
