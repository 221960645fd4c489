#include "queen/store/sqlite/backup.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/status_macros.h"
#include "queen/store/sqlite/connection.h"
#include "queen/store/sqlite/migrations.h"

namespace waggle::queen {
namespace {

using sqlite::Connection;

constexpr const char* kOperation = "copy database";

absl::Status Moved(int result, const std::string& from, const std::string& to) {
  if (result == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("move ", from, " to ", to));
}

void RemoveDatabase(const std::string& path) {
  for (const char* part : {"", "-wal", "-shm", "-journal"}) ::unlink((path + part).c_str());
}

absl::Status CopyDatabase(Connection& from, const std::string& to) {
  ASSIGN_OR_RETURN(std::unique_ptr<Connection> target, Connection::Open(to, Connection::Mode::kWriter));
  sqlite3_backup* copying = sqlite3_backup_init(target->handle(), "main", from.handle(), "main");
  if (copying == nullptr) return target->Error(sqlite3_extended_errcode(target->handle()), kOperation);
  const int code = sqlite3_backup_step(copying, -1);
  sqlite3_backup_finish(copying);
  return code == SQLITE_DONE ? absl::OkStatus() : target->Error(code, kOperation);
}

absl::StatusOr<std::unique_ptr<Connection>> OpenWhole(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0)
    return absl::NotFoundError(absl::StrCat("there is no database ", path));
  ASSIGN_OR_RETURN(std::unique_ptr<Connection> connection, Connection::Open(path, Connection::Mode::kReader));
  RETURN_IF_ERROR(sqlite::CheckSchema(*connection, sqlite::Migrations()));
  ASSIGN_OR_RETURN(const std::int64_t version, connection->QueryInt("PRAGMA user_version", kOperation));
  if (version == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is empty: it is no backup of a queen's database"));
  }
  ASSIGN_OR_RETURN(const std::string damage, connection->QueryText("PRAGMA integrity_check(1)", kOperation));
  if (damage != "ok") return connection->Error(SQLITE_CORRUPT, kOperation, damage);
  return connection;
}

// What was given by the queen whose database is replaced, as far as it can be read.
struct Given {
  std::int64_t job = 0, run = 0, epoch = 0, session = 0;
};

// Brings its write-ahead log into the database, so that none is left to be taken for the next one's.
absl::StatusOr<Given> ReadGiven(const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<Connection> connection, Connection::Open(path, Connection::Mode::kWriter));
  RETURN_IF_ERROR(sqlite::CheckSchema(*connection, sqlite::Migrations()));
  Given given;
  ASSIGN_OR_RETURN(given.job, connection->QueryInt("SELECT max(job) FROM counters", kOperation));
  ASSIGN_OR_RETURN(given.run, connection->QueryInt("SELECT max(run) FROM counters", kOperation));
  ASSIGN_OR_RETURN(given.epoch, connection->QueryInt("SELECT max(epoch) FROM counters", kOperation));
  ASSIGN_OR_RETURN(given.session, connection->QueryInt("SELECT max(session) FROM counters", kOperation));
  RETURN_IF_ERROR(connection->QueryInt("PRAGMA wal_checkpoint(TRUNCATE)", kOperation).status());
  return given;
}

absl::Status MarkRestored(Connection& connection, const Given& given) {
  RETURN_IF_ERROR(connection.Begin(kOperation));
  RETURN_IF_ERROR(connection.Execute(
      absl::StrCat("INSERT OR IGNORE INTO counters(id,job,run,drone,epoch,session) VALUES(1,0,0,0,0,0);"
                   "INSERT OR REPLACE INTO restores(first_epoch,last_epoch,begun) SELECT 1+max(epoch,"
                   "(SELECT ifnull(max(epoch),0) FROM attempts)),0,0 FROM counters;"
                   "UPDATE counters SET job=max(job,",
                   given.job, "),run=max(run,", given.run, "),epoch=max(epoch,", given.epoch,
                   "),session=max(session,", given.session, ")"),
      "mark the database as restored"));
  return connection.Commit(kOperation);
}

absl::StatusOr<RestoredStore> Prepare(const std::string& path, const Given& given) {
  ASSIGN_OR_RETURN(std::unique_ptr<Connection> connection, Connection::Open(path, Connection::Mode::kWriter));
  RETURN_IF_ERROR(sqlite::Migrate(*connection, sqlite::Migrations()));
  RETURN_IF_ERROR(MarkRestored(*connection, given));
  RestoredStore restored;
  ASSIGN_OR_RETURN(const std::int64_t jobs, connection->QueryInt("SELECT count(*) FROM jobs", kOperation));
  restored.jobs = static_cast<std::uint64_t>(jobs);
  ASSIGN_OR_RETURN(restored.newest, connection->QueryInt("SELECT max(created) FROM jobs", kOperation));
  RETURN_IF_ERROR(connection->QueryInt("PRAGMA wal_checkpoint(TRUNCATE)", kOperation).status());
  return restored;
}

}  // namespace

absl::Status BackUpSqliteStore(const std::string& path, const std::string& to) {
  if (::access(to.c_str(), F_OK) == 0) {
    return absl::AlreadyExistsError(absl::StrCat(to, " is there already\nnext: name a new one"));
  }
  if (::access(path.c_str(), F_OK) != 0)
    return absl::NotFoundError(absl::StrCat("there is no database ", path));
  const std::string part = to + ".part";
  RemoveDatabase(part);
  auto clean = absl::MakeCleanup([&part] { RemoveDatabase(part); });
  {
    ASSIGN_OR_RETURN(std::unique_ptr<Connection> from, Connection::Open(path, Connection::Mode::kReader));
    RETURN_IF_ERROR(sqlite::CheckSchema(*from, sqlite::Migrations()));
    RETURN_IF_ERROR(CopyDatabase(*from, part));
  }
  RETURN_IF_ERROR(Moved(::rename(part.c_str(), to.c_str()), part, to));
  return SyncDirectory(std::filesystem::path(to).parent_path().string());
}

absl::StatusOr<RestoredStore> RestoreSqliteStore(const std::string& from, const std::string& path) {
  const std::string fresh = path + ".restoring", kept = path + ".replaced";
  RemoveDatabase(fresh);
  auto clean = absl::MakeCleanup([&fresh] { RemoveDatabase(fresh); });
  {
    ASSIGN_OR_RETURN(std::unique_ptr<Connection> backup, OpenWhole(from));
    RETURN_IF_ERROR(CopyDatabase(*backup, fresh));
  }
  const bool replaced = ::access(path.c_str(), F_OK) == 0;
  absl::StatusOr<Given> given = replaced ? ReadGiven(path) : Given();
  ASSIGN_OR_RETURN(RestoredStore restored, Prepare(fresh, given.value_or(Given())));
  restored.replaced = replaced;
  restored.readable = replaced && given.ok();
  if (replaced) {
    RemoveDatabase(kept);
    RETURN_IF_ERROR(Moved(::link(path.c_str(), kept.c_str()), path, kept));
    const std::string log =
        path + "-wal";  // of one that could not be read: it must not meet the next database
    if (::access(log.c_str(), F_OK) == 0) {
      RETURN_IF_ERROR(Moved(::rename(log.c_str(), (kept + "-wal").c_str()), log, kept + "-wal"));
    }
    ::unlink((path + "-shm").c_str());
  }
  RETURN_IF_ERROR(Moved(::rename(fresh.c_str(), path.c_str()), fresh, path));
  RETURN_IF_ERROR(SyncDirectory(std::filesystem::path(path).parent_path().string()));
  return restored;
}

}  // namespace waggle::queen
