#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"

namespace waggle::cli {

// What people type to name a job or a run: 12, 12@2, @last, r5.
struct Target {
  enum class Kind { kJob, kLastJob, kRun };
  Kind kind = Kind::kJob;
  std::uint64_t id = 0;       // of the job or the run
  std::uint32_t attempt = 0;  // 0 = the current one
  bool operator==(const Target&) const = default;
};

// InvalidArgument names the text and the accepted spellings.
absl::StatusOr<Target> ParseTarget(std::string_view text);
absl::StatusOr<Target> ParseJobTarget(std::string_view text);   // a job; a run is refused
absl::StatusOr<std::uint64_t> ParseRun(std::string_view text);  // r5 or 5

// Lines A-B, A- or A of an attempt; both ends belong to it, last 0 = to the end.
struct LineRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  bool operator==(const LineRange&) const = default;
};
absl::StatusOr<LineRange> ParseLines(std::string_view text);

}  // namespace waggle::cli
