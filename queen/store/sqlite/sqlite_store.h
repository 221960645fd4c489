#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "queen/store/store.h"

namespace waggle::queen {

struct SqliteOptions {
  // The database file may not grow past so many pages of 4 KiB; 0 = as far as the disk goes. When it is
  // reached commits fail with ResourceExhausted, as on a full disk.
  std::int64_t max_pages = 0;
};

// Opens the database at `path`, creates it if there is none, checks it and brings its schema up to date.
//
// One process at a time: the caller holds a lock on the data directory. All methods of the result are
// thread-safe; Commit() and Load() take turns, readers wait for neither.
//
// Errors of opening: DataLoss (the file is damaged), FailedPrecondition (a newer queen wrote it, it is not a
// queen's database, or the file system cannot hold one), PermissionDenied, ResourceExhausted, Unavailable
// (somebody else holds it). Errors of Commit(): ResourceExhausted (disk full, nothing of the batch is stored,
// a later commit may succeed), InvalidArgument (a number too large to store; likewise), DataLoss or Internal
// (the disk failed: every later commit fails too, because a second sync could claim a success that is not
// there).
//
// Reading one row that cannot be decoded is DataLoss; lists leave it out.
absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path, const SqliteOptions& options);
absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path);

}  // namespace waggle::queen
