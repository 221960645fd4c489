#include "queen/store/sqlite/migrations.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "queen/store/sqlite/sqlite_store.h"
#include "tests/queen/store/raw_database.h"
#include "tests/queen/store/store_contract.h"

namespace waggle::queen::sqlite {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr Migration kOne = {"people",
                            "CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT) STRICT;"
                            "INSERT INTO people(name) VALUES('ada'),('grace')"};
constexpr Migration kTwo = {
    "ages",
    "CREATE TABLE ages(id INTEGER PRIMARY KEY, age INTEGER) STRICT;"
    "INSERT INTO ages(age) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n "
    "WHERE i<2000) SELECT i FROM n;"
    "ALTER TABLE people ADD COLUMN age INTEGER; UPDATE people SET age=36"};
constexpr Migration kBroken = {"oops", "CREATE TABLE half(id INTEGER) STRICT; INSERT INTO nowhere VALUES(1)"};

class MigrationsTest : public testing::Test {
 protected:
  std::string path() const { return directory_.path() + "/queen.db"; }
  absl::Status MigrateTo(std::vector<Migration> steps) {
    auto connection = Connection::Open(path(), Connection::Mode::kWriter);
    return connection.ok() ? Migrate(**connection, steps) : connection.status();
  }
  std::string Ask(const std::string& sql) { return RawDatabase(path()).Ask(sql); }
  std::string Tables() { return Ask("SELECT name FROM sqlite_schema WHERE type='table' ORDER BY name"); }

  ScratchDirectory directory_;
};

TEST_F(MigrationsTest, EmptyDatabaseGetsTheWholeSchema) {
  ASSERT_TRUE(OpenSqliteStore(path()).ok());
  EXPECT_EQ(Ask("PRAGMA user_version"), std::to_string(Migrations().size()) + "|");
  EXPECT_EQ(
      Tables(),
      "attempts|counters|documents|drones|invitations|jobs|peers|quarantine|restores|runs|submissions|");
  EXPECT_EQ(Ask("SELECT count(*) FROM pragma_table_list WHERE schema='main' AND NOT strict AND name NOT LIKE "
                "'sqlite_%'"),
            "0|");
}

TEST_F(MigrationsTest, OpeningAgainChangesNothing) {
  ASSERT_TRUE(OpenSqliteStore(path()).ok());
  std::string before = Ask("SELECT * FROM sqlite_schema");
  ASSERT_TRUE(OpenSqliteStore(path()).ok());
  EXPECT_EQ(Ask("SELECT * FROM sqlite_schema"), before);
}

TEST_F(MigrationsTest, OnlyMissingStepsAreApplied) {
  ASSERT_TRUE(MigrateTo({kOne}).ok());
  EXPECT_EQ(Ask("PRAGMA user_version"), "1|");
  RawDatabase(path()).Run("INSERT INTO people(name) VALUES('barbara')");
  ASSERT_TRUE(MigrateTo({kOne, kTwo}).ok());
  EXPECT_EQ(Ask("PRAGMA user_version"), "2|");
  EXPECT_EQ(Ask("SELECT name, age FROM people"), "ada|36|grace|36|barbara|36|");
}

TEST_F(MigrationsTest, FailedStepLeavesTheOldSchema) {
  absl::Status status = MigrateTo({kOne, kBroken});
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("version 2 (oops)"), HasSubstr(path()), HasSubstr("nowhere")));
  EXPECT_EQ(Ask("PRAGMA user_version"), "1|");
  EXPECT_EQ(Tables(), "people|");
  EXPECT_TRUE(MigrateTo({kOne, kTwo}).ok());
}

// Kills the process after every so many steps of SQLite's machine until the migration gets through.
TEST_F(MigrationsTest, KilledMigrationLeavesTheOldOrTheNewSchema) {
  int killed = 0;
  for (int steps = 1;; steps += 300) {
    directory_.Clear();
    ASSERT_TRUE(MigrateTo({kOne}).ok());
    ASSERT_EQ(Ask("PRAGMA journal_mode=WAL"), "wal|");
    pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto connection = Connection::Open(path(), Connection::Mode::kWriter);
      if (!connection.ok()) ::_exit(2);
      sqlite3_progress_handler((*connection)->handle(), steps, [](void*) { return ::raise(SIGKILL); },
                               nullptr);
      std::vector<Migration> both = {kOne, kTwo};
      ::_exit(Migrate(**connection, both).ok() ? 0 : 3);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    bool finished = WIFEXITED(status);
    ASSERT_TRUE(finished ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGKILL) << status;
    std::string version = Ask("PRAGMA user_version");
    EXPECT_EQ(Tables(), version == "1|" ? "people|" : "ages|people|") << "after " << steps;
    EXPECT_EQ(Ask("PRAGMA integrity_check"), "ok|");
    EXPECT_TRUE(MigrateTo({kOne, kTwo}).ok());
    EXPECT_EQ(Ask("SELECT count(*) FROM ages"), "2000|");
    if (finished) break;
    ++killed;
  }
  EXPECT_GT(killed, 20);
}

TEST_F(MigrationsTest, NewerSchemaIsRefusedUntouched) {
  ASSERT_TRUE(OpenSqliteStore(path()).ok());
  RawDatabase(path()).Run("PRAGMA user_version=99");
  absl::Status status = OpenSqliteStore(path()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("version 99"), HasSubstr("up to " + std::to_string(Migrations().size())),
                    HasSubstr("upgrade queen"), HasSubstr(path())));
  EXPECT_EQ(Ask("PRAGMA user_version"), "99|");
}

TEST_F(MigrationsTest, DatabaseOfAnotherProgramIsRefusedUntouched) {
  RawDatabase(path()).Run("CREATE TABLE bookmarks(id)");
  absl::Status status = OpenSqliteStore(path()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("another program"));
  EXPECT_EQ(Tables(), "bookmarks|");
  EXPECT_EQ(Ask("PRAGMA journal_mode"), "delete|");
}

}  // namespace
}  // namespace waggle::queen::sqlite
