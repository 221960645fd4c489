#include "tools/waggle/errors.h"

#include "common/base/text.h"
#include "common/base/vocabulary.h"

namespace waggle::cli {

std::string FormatError(const absl::Status& status) {
  if (status.message().empty()) return ErrorText("the queen gave no reason");
  return ErrorText({status.message().data(), status.message().size()});
}

int ExitCodeOf(const absl::Status& status, bool mirroring) {
  if (mirroring) return exit_code::kWaggleFailed;
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return exit_code::kOk;
    case absl::StatusCode::kNotFound:
      return exit_code::kNotFound;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return exit_code::kNotAllowed;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return exit_code::kUnreachable;
    default:
      return exit_code::kFailure;
  }
}

}  // namespace waggle::cli
