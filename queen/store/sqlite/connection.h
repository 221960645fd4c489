#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace waggle::queen::sqlite {

class Connection;

// One use of a prepared statement, which its Connection keeps: bind parameters in order, step, read columns.
// Resets the statement at its end, which also ends the read transaction it held. Must not outlive the
// Connection.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  // Bind the next parameter, the first one first. A failure is reported by Step(). The bytes are copied.
  void BindInt(std::int64_t value);
  void BindReal(double value);
  void BindText(std::string_view value);
  void BindBlob(std::string_view value);
  // Makes Step() fail with `problem`: the value cannot be stored as it is.
  void Refuse(absl::Status problem);

  absl::StatusOr<bool> Step();  // true: there is a row
  absl::Status Run();           // for statements without rows

  std::int64_t Int(int column) const;
  std::string_view Bytes(int column) const;  // text or blob; valid until the next Step()
  sqlite3_stmt* handle() const { return stmt_; }

 private:
  friend class Connection;
  Statement(Connection* connection, sqlite3_stmt* stmt, std::string_view operation)
      : connection_(connection), stmt_(stmt), operation_(operation) {}
  void Note(int code) {
    if (code_ == 0) code_ = code;
  }

  Connection* connection_;
  sqlite3_stmt* stmt_;
  std::string_view operation_;
  int next_ = 1;
  int code_ = 0;
  absl::Status refused_;
};

// Owns one SQLite connection and its prepared statements. Used by one thread at a time.
// Every error names the operation and the file, and says what to do.
class Connection {
 public:
  enum class Mode { kWriter, kReader };
  // kWriter creates the file (mode 0600) when there is none. DataLoss: the file is not a database.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const std::string& path, Mode mode);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Runs statements that give no rows. `operation` says for errors what is done with which table.
  absl::Status Execute(const std::string& sql, std::string_view operation);
  // The statement for `sql`, prepared at its first use and kept; the set of texts is small and fixed. Only
  // one use of a text at a time. `operation` must outlive the Statement.
  absl::StatusOr<Statement> Prepare(std::string_view sql, std::string_view operation);
  // The first column of the first row: for pragmas and aggregates. 0 when there is no row or it is NULL.
  absl::StatusOr<std::int64_t> QueryInt(std::string_view sql, std::string_view operation);
  absl::StatusOr<std::string> QueryText(std::string_view sql, std::string_view operation);

  absl::Status Begin(std::string_view operation);
  absl::Status Commit(std::string_view operation);
  void Rollback();  // also after a failed Commit(); no effect outside a transaction

  // `what` is SQLite's own message unless given.
  absl::Status Error(int code, std::string_view operation, std::string_view what = {}) const;
  const std::string& path() const { return path_; }
  sqlite3* handle() const { return db_; }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* stmt) const;
  };
  Connection(std::string path, sqlite3* db) : path_(std::move(path)), db_(db) {}

  std::string path_;
  sqlite3* db_;
  std::map<std::string, std::unique_ptr<sqlite3_stmt, Finalize>, std::less<>> statements_;
};

}  // namespace waggle::queen::sqlite
