#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "queen/core/rows.h"

namespace waggle::queen {

// What a look at every row of a database found.
struct StoreReport {
  struct Row {
    std::string table;
    std::int64_t key = 0;
    std::string reason;
    WallMillis at = 0;  // when it was set aside; 0: it still stands in its table
  };
  std::map<std::string, std::uint64_t> rows;  // that can be read, by table
  std::vector<Row> bad;                       // that cannot, those in the quarantine first
};

// Reads the whole database at `path` and changes nothing; the caller holds the lock on the data directory.
// `attempt` is called for every attempt that can be read. Errors as of OpenSqliteStore(), and NotFound;
// FailedPrecondition also for one that this queen would bring up to date first.
absl::StatusOr<StoreReport> CheckSqliteStore(const std::string& path,
                                             const std::function<void(const AttemptRow&)>& attempt);

}  // namespace waggle::queen
