#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "queen/store/sqlite/connection.h"
#include "queen/store/store.h"

namespace waggle::queen::sqlite {

// Store::Load() on the writer's connection, with `crumb` told of each row before it is decoded. Bad rows go
// to the quarantine; on a full disk they stay where they are and are only left out. A counter is never below
// the largest id that was used, whatever the counters table says.
absl::StatusOr<Snapshot> LoadSnapshot(Connection& connection, Breadcrumb& crumb);

// The statements of LoadSnapshot() over tables that grow for ever, to check that none of them scans.
std::vector<std::string> LoadStatements();

}  // namespace waggle::queen::sqlite
