#include "queen/store/sqlite/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/status_macros.h"

namespace waggle::queen::sqlite {
namespace {

// Waits of one call for a lock. Only a checkpoint and a foreign tool ever make a connection wait.
constexpr int kBusyMillis = 5000;

struct Meaning {
  absl::StatusCode code;
  const char* advice;
};

Meaning FromErrno(int error) {
  if (error == ENOSPC || error == EDQUOT) {
    return {absl::StatusCode::kResourceExhausted,
            "free space on its file system, then start the queen again"};
  }
  return {absl::StatusCode::kInternal,
          "the disk or its file system failed: look into the kernel log, then start the queen again"};
}

Meaning Explain(int code, int system_errno) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return {absl::StatusCode::kResourceExhausted,
              "free space on its file system or raise its size limit, then start the queen again"};
    case SQLITE_NOMEM:
      return {absl::StatusCode::kResourceExhausted, "the queen needs more memory"};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {absl::StatusCode::kDataLoss,
              "the file is damaged: stop the queen and go back to a backup with `queen restore DIR` (without "
              "one, move "
              "it away together with its -wal and -shm files: the queen starts empty)"};
    case SQLITE_IOERR:
      if (code == SQLITE_IOERR_DATA || code == SQLITE_IOERR_CORRUPTFS) {
        return {absl::StatusCode::kDataLoss,
                "the file system returned damaged data: check it, then restore a backup"};
      }
      // What a failed sync should have kept may be gone, whatever the reason.
      if (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC) return FromErrno(EIO);
      return FromErrno(system_errno);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {absl::StatusCode::kUnavailable, "another program holds the database: close it and try again"};
    case SQLITE_CANTOPEN:
      if (system_errno == ENOSPC || system_errno == EDQUOT) return FromErrno(system_errno);
      return {absl::StatusCode::kFailedPrecondition,
              "check that its directory exists and the queen may write there"};
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return {absl::StatusCode::kPermissionDenied, "let the queen's user write the file and its directory"};
    default:
      return {absl::StatusCode::kInternal, "this is a fault of the queen: please report it"};
  }
}

absl::string_view View(std::string_view text) {
  return absl::string_view(text.data(), text.size());
}

// Like open(2) with O_CREAT, but never closes a descriptor of an existing database: that would drop the locks
// this process holds on it.
absl::Status CreateIfMissing(const std::string& path) {
  if (::access(path.c_str(), F_OK) == 0) return absl::OkStatus();
  auto fd = waggle::Open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (fd.ok() || absl::IsAlreadyExists(fd.status())) return absl::OkStatus();
  return absl::Status(fd.status().code(),
                      absl::StrCat("create database: ", fd.status().message(),
                                   "; check that its directory exists and the queen may write there"));
}

}  // namespace

Statement::Statement(Statement&& other) noexcept
    : connection_(other.connection_),
      stmt_(std::exchange(other.stmt_, nullptr)),
      operation_(other.operation_),
      next_(other.next_),
      code_(other.code_),
      refused_(std::move(other.refused_)) {}

Statement::~Statement() {
  if (stmt_ == nullptr) return;
  sqlite3_reset(stmt_);
  sqlite3_clear_bindings(stmt_);
}

void Statement::BindInt(std::int64_t value) {
  Note(sqlite3_bind_int64(stmt_, next_++, value));
}
void Statement::BindReal(double value) {
  Note(sqlite3_bind_double(stmt_, next_++, value));
}

// A null pointer would bind NULL, and an empty view may hold one.
void Statement::BindText(std::string_view value) {
  Note(sqlite3_bind_text64(stmt_, next_++, value.empty() ? "" : value.data(), value.size(), SQLITE_TRANSIENT,
                           SQLITE_UTF8));
}
void Statement::BindBlob(std::string_view value) {
  Note(
      sqlite3_bind_blob64(stmt_, next_++, value.empty() ? "" : value.data(), value.size(), SQLITE_TRANSIENT));
}

void Statement::Refuse(absl::Status problem) {
  if (refused_.ok()) refused_ = std::move(problem);
}

absl::StatusOr<bool> Statement::Step() {
  RETURN_IF_ERROR(refused_);
  if (code_ != SQLITE_OK) return connection_->Error(code_, operation_);
  int code = sqlite3_step(stmt_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return connection_->Error(code, operation_);
}

absl::Status Statement::Run() {
  return Step().status();
}

std::int64_t Statement::Int(int column) const {
  return sqlite3_column_int64(stmt_, column);
}

std::string_view Statement::Bytes(int column) const {
  const void* data = sqlite3_column_blob(stmt_, column);
  auto size = static_cast<std::size_t>(sqlite3_column_bytes(stmt_, column));
  return data == nullptr ? std::string_view() : std::string_view(static_cast<const char*>(data), size);
}

void Connection::Finalize::operator()(sqlite3_stmt* stmt) const {
  sqlite3_finalize(stmt);
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const std::string& path, Mode mode) {
  if (mode == Mode::kWriter) RETURN_IF_ERROR(CreateIfMissing(path));
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  flags |= mode == Mode::kWriter ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
  sqlite3* db = nullptr;
  int code = sqlite3_open_v2(path.c_str(), &db, flags, nullptr);
  if (db == nullptr) return absl::ResourceExhaustedError(absl::StrCat("open database ", path, ": no memory"));
  std::unique_ptr<Connection> connection(new Connection(path, db));
  if (code != SQLITE_OK) return connection->Error(code, "open database");
  sqlite3_busy_timeout(db, kBusyMillis);
  // Checkpoints are made by the writer, in so many words: two connections that checkpoint are a known way to
  // damage a database with the SQLite of Debian 12.
  RETURN_IF_ERROR(
      connection->Execute("PRAGMA wal_autocheckpoint=0; PRAGMA trusted_schema=OFF; PRAGMA foreign_keys=ON; "
                          "PRAGMA cell_size_check=ON; "
                          "PRAGMA temp_store=MEMORY; PRAGMA synchronous=FULL;",
                          "configure connection"));
  return connection;
}

Connection::~Connection() {
  statements_.clear();
  sqlite3_close(db_);
}

absl::Status Connection::Execute(const std::string& sql, std::string_view operation) {
  int code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Error(code, operation);
}

absl::StatusOr<Statement> Connection::Prepare(std::string_view sql, std::string_view operation) {
  auto found = statements_.find(sql);
  if (found == statements_.end()) {
    sqlite3_stmt* stmt = nullptr;
    int code = sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                  &stmt, nullptr);
    if (code != SQLITE_OK) return Error(code, operation);
    found = statements_.emplace(std::string(sql), std::unique_ptr<sqlite3_stmt, Finalize>(stmt)).first;
  }
  return Statement(this, found->second.get(), operation);
}

absl::StatusOr<std::int64_t> Connection::QueryInt(std::string_view sql, std::string_view operation) {
  ASSIGN_OR_RETURN(Statement statement, Prepare(sql, operation));
  ASSIGN_OR_RETURN(bool row, statement.Step());
  return row ? statement.Int(0) : 0;
}

absl::StatusOr<std::string> Connection::QueryText(std::string_view sql, std::string_view operation) {
  ASSIGN_OR_RETURN(Statement statement, Prepare(sql, operation));
  ASSIGN_OR_RETURN(bool row, statement.Step());
  return row ? std::string(statement.Bytes(0)) : std::string();
}

absl::Status Connection::Begin(std::string_view operation) {
  ASSIGN_OR_RETURN(Statement statement, Prepare("BEGIN IMMEDIATE", operation));
  return statement.Run();
}

absl::Status Connection::Commit(std::string_view operation) {
  ASSIGN_OR_RETURN(Statement statement, Prepare("COMMIT", operation));
  return statement.Run();
}

void Connection::Rollback() {
  if (sqlite3_get_autocommit(db_) != 0) return;  // SQLite already did, as it does on a full disk
  (void)sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
}

absl::Status Connection::Error(int code, std::string_view operation, std::string_view what) const {
  Meaning meaning = Explain(code, sqlite3_system_errno(db_));
  if (what.empty()) what = sqlite3_errmsg(db_);
  return absl::Status(meaning.code, absl::StrCat(View(operation), " in ", path_, ": ", View(what),
                                                 " (SQLite code ", code, "); ", meaning.advice));
}

}  // namespace waggle::queen::sqlite
