#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace waggle {

enum class DurationFault { kNone, kNoUnit, kMalformed };

struct ParsedDuration {
  std::chrono::milliseconds value{0};
  DurationFault fault = DurationFault::kNone;
};

// "10m", "600s", "1h30m", "90d": whole numbers with d, h, m or s, largest unit first, each at most once. A
// bare number is kNoUnit. Values beyond 36,500 days come back as 36,500 days: every limit in use is below.
ParsedDuration ParseDuration(std::string_view text);

}  // namespace waggle
