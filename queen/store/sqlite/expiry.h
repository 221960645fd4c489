#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "queen/store/sqlite/connection.h"
#include "queen/store/store.h"

// Store::ExpireLogs() and LogsGone() on the writer's connection, one transaction each. After an error the
// caller rolls back.
namespace waggle::queen::sqlite {

absl::StatusOr<std::vector<Epoch>> ExpireLogs(Connection& connection, WallMillis before, WallMillis now,
                                              std::size_t most);
absl::Status LogsGone(Connection& connection, const std::vector<Epoch>& epochs);

// Its statements over tables that grow for ever, to check that none of them scans.
std::vector<std::string> ExpiryStatements();

}  // namespace waggle::queen::sqlite
