#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "queen/core/events.h"
#include "queen/store/store.h"

namespace waggle::queen {

// Keys are in the name of who submits: two people may choose the same. `asked`: what is submitted, as bytes
// that a repeat gives again. "" gives no key. InvalidArgument: not a key.
absl::StatusOr<event::SubmissionKey> MakeSubmissionKey(std::string_view user, const std::string& chosen,
                                                       std::string_view asked);

// What a submission under this key is answered with: the one before, AlreadyExists, or NotFound: it is the
// first.
absl::StatusOr<SubmissionRow> FindSubmission(StoreReader& store, const event::SubmissionKey& key);

}  // namespace waggle::queen
