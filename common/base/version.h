#pragma once

#include <string_view>

namespace waggle {

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace waggle
