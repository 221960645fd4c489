#include "queen/store/sqlite/backup.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "queen/store/sqlite/migrations.h"
#include "queen/store/sqlite/sqlite_store.h"
#include "tests/queen/store/raw_database.h"
#include "tests/queen/store/sample_rows.h"
#include "tests/support/temp_dir.h"

namespace waggle::queen {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class SqliteBackup : public testing::Test {
 protected:
  std::string path() const { return directory_ / "queen.db"; }
  std::string backup() const { return directory_ / "backup.db"; }
  // A job with an attempt of this number, and counters that gave it.
  static void Give(Store& store, std::uint64_t n) {
    WriteBatch batch;
    batch.jobs.push_back(FullJob(n));
    batch.jobs.back().attempt = Epoch(n);
    batch.attempts.push_back(FullAttempt(n));
    batch.counters = Counters{.job = n, .run = n, .drone = n, .epoch = n, .session = n, .peer = n};
    ASSERT_TRUE(store.Commit(batch).ok());
  }
  std::unique_ptr<Store> Open() const { return OpenSqliteStore(path()).value(); }
  RestoredStore Restored() const {
    absl::StatusOr<RestoredStore> restored = RestoreSqliteStore(backup(), path());
    EXPECT_TRUE(restored.ok()) << restored.status();
    return restored.value_or(RestoredStore());
  }
  Snapshot Loaded() const { return Open()->Load().value(); }

  test::TempDir directory_;
};

TEST_F(SqliteBackup, IsWhatIsCommittedAtThatMomentAlsoFromTheLog) {
  std::unique_ptr<Store> store = Open();
  Give(*store, 1);
  ASSERT_TRUE(BackUpSqliteStore(path(), backup()).ok());
  Give(*store, 2);
  std::unique_ptr<Store> copy = OpenSqliteStore(backup()).value();
  EXPECT_TRUE(copy->GetJob(JobId(1)).ok());
  EXPECT_TRUE(absl::IsNotFound(copy->GetJob(JobId(2)).status()));
}

TEST_F(SqliteBackup, ReplacesNothing) {
  Give(*Open(), 1);
  ASSERT_TRUE(BackUpSqliteStore(path(), backup()).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(BackUpSqliteStore(path(), backup())));
}

TEST_F(SqliteBackup, ARestoreIsMarkedBehindTheEpochsOfTheBackupAndKnowsTheNumbersThatWereGiven) {
  std::unique_ptr<Store> store = Open();
  Give(*store, 3);
  ASSERT_TRUE(BackUpSqliteStore(path(), backup()).ok());
  Give(*store, 50);
  store.reset();
  const RestoredStore restored = Restored();
  EXPECT_EQ(restored.jobs, 1u);
  EXPECT_TRUE(restored.replaced);
  EXPECT_TRUE(restored.readable);
  const Snapshot snapshot = Loaded();
  EXPECT_EQ(snapshot.counters.job, 50u);
  EXPECT_EQ(snapshot.counters.epoch, 50u);
  EXPECT_EQ(snapshot.counters.session, 50u);
  ASSERT_THAT(snapshot.restores, SizeIs(1));
  EXPECT_EQ(snapshot.restores[0].first, Epoch(4));
  EXPECT_FALSE(snapshot.restores[0].last);
  EXPECT_FALSE(snapshot.restores[0].begun);
  EXPECT_EQ(RawDatabase(path() + ".replaced").Ask("SELECT max(id) FROM jobs"), "50|");
}

TEST_F(SqliteBackup, TheOpenRestoreIsTheLast) {
  WriteBatch batch;
  batch.restores = {
      {.first = Epoch(2), .begun = true}, {Epoch(5), Epoch(9), true}, {Epoch(20), Epoch(30), true}};
  ASSERT_TRUE(Open()->Commit(batch).ok());
  const Snapshot snapshot = Loaded();
  ASSERT_THAT(snapshot.restores, SizeIs(3));
  EXPECT_EQ(snapshot.restores[0].last, Epoch(9));
  EXPECT_EQ(snapshot.restores[2].first, Epoch(2));
  EXPECT_TRUE(snapshot.restores[2].begun);
}

// A log of the old database must not be taken for one of the new.
TEST_F(SqliteBackup, TheLogOfTheReplacedDatabaseGoesWithIt) {
  Give(*Open(), 1);
  ASSERT_TRUE(BackUpSqliteStore(path(), backup()).ok());
  test::WriteText(path(), "damaged");
  test::WriteText(path() + "-wal", "its log");
  EXPECT_FALSE(Restored().readable);
  EXPECT_FALSE(std::filesystem::exists(path() + "-wal"));
  EXPECT_TRUE(Open()->GetJob(JobId(1)).ok());
}

TEST_F(SqliteBackup, AnOlderBackupIsBroughtUpToDate) {
  Give(*Open(), 1);
  ASSERT_TRUE(BackUpSqliteStore(path(), backup()).ok());
  RawDatabase older(backup());  // without what the newest step added to runs
  for (const char* column : {"name", "event", "title", "submitted_by", "state", "verdict", "finished",
                             "duration_ms", "fast_finish"}) {
    older.Run(std::string("ALTER TABLE runs DROP COLUMN ") + column);
  }
  for (const char* column : {"waits_for", "runs_after", "allow_failure", "not_wanted", "retry_infra",
                             "retry_failed", "failed_before", "retried"}) {
    older.Run(std::string("ALTER TABLE jobs DROP COLUMN ") + column);
  }
  older.Run("PRAGMA user_version=" + std::to_string(sqlite::Migrations().size() - 1));
  EXPECT_EQ(Restored().jobs, 1u);
  EXPECT_THAT(Loaded().restores, SizeIs(1));
}

TEST_F(SqliteBackup, WhatIsNoBackupChangesNothing) {
  Give(*Open(), 1);
  EXPECT_TRUE(absl::IsNotFound(RestoreSqliteStore(backup(), path()).status()));
  test::WriteText(backup(), "");
  EXPECT_THAT(std::string(RestoreSqliteStore(backup(), path()).status().message()), HasSubstr("is empty"));
  test::WriteText(backup(), std::string(9000, 'x'));
  EXPECT_TRUE(absl::IsDataLoss(RestoreSqliteStore(backup(), path()).status()));
  EXPECT_THAT(Loaded().restores, IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(path() + ".replaced"));
  EXPECT_FALSE(std::filesystem::exists(path() + ".restoring"));
}

}  // namespace
}  // namespace waggle::queen
