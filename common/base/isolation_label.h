#pragma once

#include <string_view>

namespace waggle {

// A drone has the label isolation.MODE=yes for each kind of isolation that works there; a job that names a
// kind needs it.
inline constexpr std::string_view kIsolationLabel = "isolation.";
inline constexpr char kIsolationWorks[] = "yes";

}  // namespace waggle
