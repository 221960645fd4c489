#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/base/fd.h"

namespace waggle::queen {

// One process at a time works with a data directory: the lock is held as long as the descriptor is open.
// FailedPrecondition: another queen has it.
absl::StatusOr<UniqueFd> LockDirectory(const std::string& data);

}  // namespace waggle::queen
