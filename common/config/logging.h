#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace waggle::config {

inline constexpr std::string_view kLogLevels[] = {"error", "warn", "info", "debug", "trace"};
inline constexpr std::string_view kLogFormats[] = {"auto", "text", "json"};

// Sends the process's log (spdlog's default logger) to stderr, one line per entry, each flushed.
// `text`: "2026-11-21T08:00:00.123Z info  message"; `json`: one object per line with time, level, name and
// message; `auto`: text, without the time when a journal adds its own (JOURNAL_STREAM is set).
// InvalidArgument names the accepted words. Call once, before threads start.
absl::Status SetUpLogging(std::string_view name, std::string_view level, std::string_view format = "auto");

}  // namespace waggle::config
