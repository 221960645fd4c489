#pragma once

#include <string>

#include "absl/status/status.h"

namespace waggle::cli {

// ErrorText of what the queen or we said.
std::string FormatError(const absl::Status& status);

// Exit code of a command that failed with `status` (ux.md 3.4); mirroring commands answer 125 to any trouble
// of ours.
int ExitCodeOf(const absl::Status& status, bool mirroring);

}  // namespace waggle::cli
