#include "common/base/duration.h"

#include <algorithm>
#include <cstdint>

namespace waggle {

ParsedDuration ParseDuration(std::string_view text) {
  constexpr std::int64_t kMost = 36'500LL * 24 * 3600;
  constexpr std::string_view kUnits = "dhms";
  constexpr std::int64_t kSeconds[] = {24 * 3600, 3600, 60, 1};
  std::size_t next_unit = 0;  // index of the largest unit that may still come
  std::int64_t total = 0;
  if (text.empty()) return {{}, DurationFault::kMalformed};
  const bool bare = text.find_first_not_of("0123456789") == std::string_view::npos;
  if (bare) return {{}, DurationFault::kNoUnit};
  while (!text.empty()) {
    std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    if (digits == 0 || digits == text.size()) return {{}, DurationFault::kMalformed};
    std::int64_t number = 0;
    for (char c : text.substr(0, digits)) number = std::min(kMost, number * 10 + (c - '0'));
    const std::size_t unit = kUnits.find(text[digits]);
    if (unit == std::string_view::npos || unit < next_unit) return {{}, DurationFault::kMalformed};
    total = std::min(kMost, total + number * kSeconds[unit]);
    next_unit = unit + 1;
    text.remove_prefix(digits + 1);
  }
  return {std::chrono::seconds(total), DurationFault::kNone};
}

}  // namespace waggle
