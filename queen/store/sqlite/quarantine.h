#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "queen/store/sqlite/connection.h"

namespace waggle::queen::sqlite {

// A stored row that cannot be decoded.
struct BadRow {
  std::string table, key_column;
  std::int64_t key = 0;
  std::string reason;
  std::string raw;  // JSON
};

// Moves the rows from their tables to the quarantine table, all in one transaction.
absl::Status MoveToQuarantine(Connection& connection, const std::vector<BadRow>& rows);

}  // namespace waggle::queen::sqlite
