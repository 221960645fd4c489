#pragma once

#include <string>

#include "absl/status/status.h"

namespace waggle::v1 {
class JobDocument;
}

namespace waggle::cli {

// Reads a job document as JSON; "-" is standard input. InvalidArgument names the file and, where it is known,
// line and column with the line itself.
absl::Status ReadJobFile(const std::string& path, v1::JobDocument* document);

}  // namespace waggle::cli
