#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/rpc/https_client.h"

namespace waggle::rpc {

// Whether `url` is what HttpGet takes: http://HOST[:PORT][/PATH]. InvalidArgument says what is wrong.
absl::Status CheckHttpUrl(const std::string& url);

// One GET without encryption, for documents that are no secret; blocks for `deadline` at most. The answer as
// it is, whatever its status. Errors: InvalidArgument the URL; Unavailable, DeadlineExceeded;
// ResourceExhausted above kHttpsAnswerBytes; DataLoss the answer is no HTTP.
absl::StatusOr<HttpsAnswer> HttpGet(const std::string& url, Duration deadline);

}  // namespace waggle::rpc
