#include "tools/waggle/errors.h"

#include <string_view>

#include "common/base/vocabulary.h"

namespace waggle::cli {

std::string FormatError(const absl::Status& status) {
  std::string text = "error: ";
  std::string_view message(status.message().data(), status.message().size());
  if (message.empty()) message = "the queen gave no reason";
  while (message.ends_with('\n')) message.remove_suffix(1);
  bool line_start = false;
  for (char c : message) {
    auto byte = static_cast<unsigned char>(c);
    if (line_start && c != ' ') text += "  ";
    line_start = c == '\n';
    text.push_back(c == '\n' || c == '\t' || (byte >= 0x20 && byte != 0x7F) ? c : '?');
  }
  text.push_back('\n');
  return text;
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
