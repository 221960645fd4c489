#include "queen/store/sqlite/sqlite_store.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "queen/store/sqlite/expiry.h"
#include "queen/store/sqlite/load.h"
#include "tests/queen/store/raw_database.h"
#include "tests/queen/store/store_contract.h"

namespace waggle::queen {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string FileIn(const std::string& directory) {
  return directory + "/queen.db";
}

INSTANTIATE_TEST_SUITE_P(Sqlite, StoreContract,
                         testing::Values(StoreBackend{"sqlite",
                                                      [](const std::string& directory) {
                                                        return OpenSqliteStore(FileIn(directory));
                                                      }}),
                         [](const auto& info) { return info.param.name; });

class SqliteStoreTest : public testing::Test {
 protected:
  std::string path() const { return FileIn(directory_.path()); }
  std::unique_ptr<Store> Open(SqliteOptions options = {}) {
    auto store = OpenSqliteStore(path(), options);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? std::move(*store) : nullptr;
  }
  // Three unfinished jobs with their attempts, three drones, counters.
  void Fill() {
    WriteBatch batch;
    for (std::uint64_t n = 1; n <= 3; ++n) {
      batch.jobs.push_back(FullJob(n));
      batch.jobs.back().attempt = Epoch(n);
      batch.attempts.push_back(FullAttempt(n));
      batch.drones.push_back(FullDrone(n));
    }
    batch.counters = FullCounters(10'000);
    ASSERT_TRUE(Open()->Commit(batch).ok());
  }
  void Damage(const std::string& sql) { RawDatabase(path()).Run(sql); }
  // Takes the types off a table, as a stray tool could, so that a wrong one can be put in.
  void Untype(const std::string& table) {
    RawDatabase(path()).Run(
        "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql=replace(sql,') STRICT',')') "
        "WHERE name='" +
        table + "'");
  }
  Snapshot Load() {
    auto snapshot = Open()->Load();
    EXPECT_TRUE(snapshot.ok()) << snapshot.status();
    return snapshot.ok() ? *std::move(snapshot) : Snapshot();
  }
  std::string Quarantined() {
    return RawDatabase(path()).Ask("SELECT table_name, row_key, reason FROM quarantine ORDER BY id");
  }

  ScratchDirectory directory_;
};

TEST_F(SqliteStoreTest, FileIsPrivateAndInWriteAheadMode) {
  Fill();
  struct stat info;
  ASSERT_EQ(::stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  RawDatabase raw(path());
  EXPECT_EQ(raw.Ask("PRAGMA journal_mode"), "wal|");
  EXPECT_EQ(raw.Ask("PRAGMA integrity_check"), "ok|");
}

TEST_F(SqliteStoreTest, RunsAreStored) {
  WriteBatch batch;
  batch.runs = {FullRun(8)};
  ASSERT_TRUE(Open()->Commit(batch).ok());
  EXPECT_EQ(RawDatabase(path()).Ask("SELECT * FROM runs"),
            "8|repo8|branch8|commit8|1700000000123|name8|event8|title8|by8|4|7|1700000000456|5000000000|1|");
}

TEST_F(SqliteStoreTest, RowsThatCannotBeDecodedAreSetAside) {
  const struct {
    const char* damage;
    const char* quarantined;
  } kCases[] = {
      {"UPDATE jobs SET type=77 WHERE id=2", "jobs|2|column type has the unknown value 77|"},
      {"UPDATE jobs SET state=0 WHERE id=2", "jobs|2|column state has the unknown value 0|"},
      {"UPDATE jobs SET reason=300 WHERE id=2", "jobs|2|column reason is out of range: 300|"},
      {"UPDATE jobs SET priority=1<<40 WHERE id=2", "jobs|2|column priority is out of range: 1099511627776|"},
      {"UPDATE jobs SET cancel_now=2 WHERE id=2", "jobs|2|column cancel_now is 2, not 0 or 1|"},
      {"UPDATE jobs SET needs='{\"os\":' WHERE id=2", "jobs|2|column needs is not a JSON object|"},
      {"UPDATE jobs SET needs='[]' WHERE id=2", "jobs|2|column needs is not a JSON object|"},
      {"UPDATE jobs SET needs='{\"os\":1}' WHERE id=2",
       "jobs|2|column needs has a value that is not a string at \"os\"|"},
      {"UPDATE jobs SET plugins='{}' WHERE id=2", "jobs|2|column plugins is not a JSON array|"},
      {"UPDATE jobs SET plugins='[[[[1]]]]' WHERE id=2",
       "jobs|2|column plugins has an element that is not a string|"},
      {"UPDATE jobs SET id=0 WHERE id=2", "jobs|0|column id is 0, which names nothing|"},
      {"UPDATE jobs SET id=-5 WHERE id=2", "jobs|-5|column id is out of range: -5|"},
      {"UPDATE jobs SET attempts='many' WHERE id=2", "jobs|2|column attempts is not an integer|"},
      {"UPDATE jobs SET name=NULL WHERE id=2", "jobs|2|column name is not text|"},
      {"UPDATE jobs SET name=x'00ff' WHERE id=2", "jobs|2|column name is not text|"},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.damage);
    directory_.Clear();
    Fill();
    Untype("jobs");
    Damage(
        "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql=replace(sql,'NOT NULL','') WHERE "
        "name='jobs'");
    Damage(c.damage);
    Snapshot snapshot = Load();
    EXPECT_THAT(JobIds(snapshot.jobs), ElementsAre(1, 3));
    EXPECT_THAT(JobIds(snapshot.drones), ElementsAre(1, 2, 3));
    EXPECT_EQ(Quarantined(), c.quarantined);
    EXPECT_EQ(RawDatabase(path()).Ask("SELECT count(*) FROM jobs"), "2|");
    EXPECT_THAT(RawDatabase(path()).Ask("SELECT raw FROM quarantine"), HasSubstr("\"repo\":\"repo2\""));
    Load();
    EXPECT_EQ(Quarantined(), c.quarantined) << "set aside twice";
  }
}

TEST_F(SqliteStoreTest, AttemptsAndDronesAreSetAsideToo) {
  Fill();
  Untype("drones");
  Damage(
      "UPDATE attempts SET granted=9 WHERE epoch=1; UPDATE drones SET speed='fast' WHERE id=2;"
      "UPDATE drones SET plugins='' WHERE id=3");
  Snapshot snapshot = Load();
  EXPECT_THAT(JobIds(snapshot.jobs), ElementsAre(1, 2, 3));
  EXPECT_THAT(Epochs(snapshot.attempts), ElementsAre(2, 3));
  EXPECT_THAT(JobIds(snapshot.drones), ElementsAre(1));
  EXPECT_EQ(Quarantined(),
            "attempts|1|column granted is 9, not 0 or 1|drones|2|column speed is not a number|"
            "drones|3|column plugins is not a JSON object|");
}

TEST_F(SqliteStoreTest, IdsInTheQuarantineAreNotUsedAgain) {
  Fill();
  Damage(
      "DELETE FROM counters; UPDATE jobs SET state=0, id=40 WHERE id=3;"
      "UPDATE attempts SET state=99, epoch=50, log_closed=0 WHERE epoch=3;"
      "UPDATE drones SET labels='', id=60 WHERE id=3");
  EXPECT_TRUE(Load().counters == (Counters{40, 0, 60, 50, 3003}));
  EXPECT_EQ(RawDatabase(path()).Ask("SELECT table_name, row_key FROM quarantine ORDER BY id"),
            "jobs|40|attempts|50|drones|60|");
  Counters again = Load().counters;
  EXPECT_EQ(again.job, 40u);
  EXPECT_EQ(again.epoch, 50u);
  EXPECT_EQ(again.drone, 60u);
}

TEST_F(SqliteStoreTest, BadCountersAreRebuiltFromTheRows) {
  Fill();
  Damage("UPDATE counters SET epoch=-1");
  EXPECT_TRUE(Load().counters == (Counters{3, 0, 3, 3, 3003}));
  EXPECT_EQ(Quarantined(), "counters|1|column epoch is out of range: -1|");
}

TEST_F(SqliteStoreTest, FinishedBadRowsDoNotDisturbLists) {
  auto store = Open();
  WriteBatch batch;
  for (std::uint64_t n = 1; n <= 6; ++n) batch.jobs.push_back(PlainJob(n, JobState::kPassed));
  batch.attempts = {PlainAttempt(1, 1, true), PlainAttempt(2, 1, true)};
  ASSERT_TRUE(store->Commit(batch).ok());
  Damage("UPDATE jobs SET needs='?' WHERE id IN (5, 4, 2); UPDATE attempts SET state=0 WHERE epoch=1");
  for (const JobQuery& query : {JobQuery{.limit = 2}, JobQuery{.limit = 2, .states = {JobState::kPassed}}}) {
    auto page = store->ListJobs(query);
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_THAT(JobIds(*page), ElementsAre(6, 3));
  }
  EXPECT_THAT(JobIds(store->ListJobs({}).value()), ElementsAre(6, 3, 1));
  EXPECT_THAT(Epochs(store->ListAttempts(JobId(1)).value()), ElementsAre(2));
  absl::Status status = store->GetJob(JobId(5)).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              testing::AllOf(HasSubstr("jobs"), HasSubstr("5"), HasSubstr("needs")));
}

TEST_F(SqliteStoreTest, LoadsTheAwaitedAttemptsWithTheirJobs) {
  {
    auto store = Open();
    WriteBatch batch;
    for (std::uint64_t n = 1; n <= 3; ++n) {
      batch.jobs.push_back(PlainJob(n, JobState::kErrored));
      batch.attempts.push_back(PlainAttempt(n, n, /*log_closed=*/true));
      batch.attempts.back().late_awaited = n != 2;
    }
    ASSERT_TRUE(store->Commit(batch).ok());
  }
  Damage("UPDATE jobs SET needs='?' WHERE id=3");
  const Snapshot snapshot = Load();
  EXPECT_THAT(snapshot.jobs, testing::IsEmpty());
  EXPECT_THAT(snapshot.attempts, testing::IsEmpty());
  ASSERT_EQ(snapshot.awaited.size(), 1u);
  EXPECT_EQ(snapshot.awaited[0].job.id, JobId(1));
  EXPECT_EQ(snapshot.awaited[0].attempt.epoch, Epoch(1));
}

TEST_F(SqliteStoreTest, LoadScansNoTableThatGrows) {
  Fill();
  RawDatabase raw(path());
  for (const std::string& sql : sqlite::LoadStatements()) {
    std::string plan = raw.Ask("EXPLAIN QUERY PLAN " + sql);
    EXPECT_TRUE(plan.find("SEARCH") != std::string::npos ||
                sql.find("attempts_awaiting") != std::string::npos)
        << sql;
    EXPECT_THAT(plan, Not(HasSubstr("SCAN jobs"))) << sql << plan;
    EXPECT_THAT(plan, Not(HasSubstr("SCAN runs"))) << sql << plan;
    // The index holds only the rows that are wanted.
    for (std::size_t at = plan.find("SCAN attempts"); at != std::string::npos;
         at = plan.find("SCAN attempts", at + 1)) {
      const std::string scan = plan.substr(at);
      EXPECT_TRUE(scan.starts_with("SCAN attempts USING INDEX attempts_with_open_log") ||
                  scan.starts_with("SCAN attempts USING INDEX attempts_awaiting"))
          << plan;
    }
  }
}

TEST_F(SqliteStoreTest, ExpiryScansNoTableThatGrows) {
  Fill();
  RawDatabase raw(path());
  for (const std::string& sql : sqlite::ExpiryStatements()) {
    const std::string plan = raw.Ask("EXPLAIN QUERY PLAN " + sql);
    EXPECT_TRUE(plan.find("SEARCH") != std::string::npos ||
                plan.find("SCAN attempts USING INDEX attempts_leaving") != std::string::npos)
        << sql << plan;  // that index holds only what is wanted
    EXPECT_THAT(plan, Not(HasSubstr("TEMP B-TREE FOR ORDER BY"))) << sql;
  }
}

TEST_F(SqliteStoreTest, LogIsCopiedBackAndStaysBounded) {
  auto store = Open();
  WriteBatch batch;
  for (int i = 0; i < 200; ++i) {  // 37 MiB in all
    batch.documents = {{JobId(1), std::string(190 * 1024, static_cast<char>(i))}};
    ASSERT_TRUE(store->Commit(batch).ok());
  }
  struct stat info;
  ASSERT_EQ(::stat((path() + "-wal").c_str(), &info), 0);
  EXPECT_GT(info.st_size, 1 * 1024 * 1024);
  EXPECT_LT(info.st_size, 8 * 1024 * 1024);
}

}  // namespace
}  // namespace waggle::queen
