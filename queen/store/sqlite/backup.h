#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"

namespace waggle::queen {

struct RestoredStore {
  std::uint64_t jobs = 0;  // it holds
  WallMillis newest = 0;   // of them; 0 = none
  bool replaced = false;   // there was a database, now PATH.replaced
  bool readable = false;   // and its numbers are not given again
};

// Copies the database at `path`, that of a running queen too, into the new file `to` (mode 0600), durably.
// AlreadyExists, NotFound, or as of OpenSqliteStore(); nothing is left behind on an error.
absl::Status BackUpSqliteStore(const std::string& path, const std::string& to);

// Puts a copy of `from` in the place of the database at `path`, marked so that the queen knows that a time is
// missing (RestoreRow), and keeps what was there as PATH.replaced. The caller holds the lock on the data
// directory. NotFound, or as of OpenSqliteStore(): the database at `path` is as it was.
absl::StatusOr<RestoredStore> RestoreSqliteStore(const std::string& from, const std::string& path);

}  // namespace waggle::queen
