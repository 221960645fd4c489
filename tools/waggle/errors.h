#pragma once

#include <string>

#include "absl/status/status.h"

namespace waggle::cli {

// "error: what happened" and the following lines of the message indented by two, without control characters.
std::string FormatError(const absl::Status& status);

// Exit code of a command that failed with `status` (ux.md 3.4); mirroring commands answer 125 to any trouble
// of ours.
int ExitCodeOf(const absl::Status& status, bool mirroring);

}  // namespace waggle::cli
