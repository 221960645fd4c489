#pragma once

#include <string_view>

// The codes at the ends of messages about a pipeline file, beside those of yaml::kPipelineFile (WG100 to
// WG104). Never reused; tools/waggle/explain.cc has the long form of each.
namespace waggle::pipeline::code {

inline constexpr std::string_view kNotInVersion = "WG105";  // a key of the grammar that is not acted on yet
inline constexpr std::string_view kOrder = "WG106";         // `after`: no such job, a circle
inline constexpr std::string_view kMatrix = "WG107";        // axes, include, exclude
inline constexpr std::string_view kTooMany = "WG108";       // jobs after expansion
inline constexpr std::string_view kRange = "WG109";         // a number outside its range
inline constexpr std::string_view kUnknownName = "WG110";   // ${…}
inline constexpr std::string_view kEvent = "WG111";         // `trigger`, `when`: events, patterns, schedules
inline constexpr std::string_view kTwice = "WG112";         // the same setting in two places
inline constexpr std::string_view kInScript = "WG120";      // ${a.b} in a script

}  // namespace waggle::pipeline::code
