#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "queen/api/peer_check.h"
#include "queen/core/events.h"
#include "queen/store/store.h"

namespace waggle::queen {

// Of lists of jobs and runs.
inline constexpr std::uint32_t kMaxList = 1000;
inline constexpr std::uint32_t kDefaultList = 50;

// Who is shown to have asked. Over her own socket whoever the caller says; of others what their certificate
// says.
std::string PersonOf(const Caller& caller, const std::string& said);

// All jobs of a run in the order of its file. Blocks.
absl::StatusOr<std::vector<JobRow>> JobsOfRun(StoreReader& store, RunId run);

// What the core needs to run this job once more, or every job of a run; `failed`: only those that did not end
// well. It lacks the request id and who asked. NotFound; FailedPrecondition: there is nothing to repeat.
// Blocks.
absl::StatusOr<event::Retry> ReadRetry(StoreReader& store, JobId job);
absl::StatusOr<event::Retry> ReadRetry(StoreReader& store, RunId run, bool failed);

}  // namespace waggle::queen
