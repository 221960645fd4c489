#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/vocabulary.h"

namespace waggle::cli {

enum class ColorMode { kAuto, kAlways, kNever };

// How text for people looks on one descriptor.
struct Style {
  bool color = false;
  bool unicode = false;

  // ASCII unless the locale says UTF-8; colour only on a terminal, and never with NO_COLOR unless asked for.
  static Style Detect(ColorMode mode, int fd);

  std::string_view Icon(JobState state) const;  // "✓" or "ok"
  std::string Painted(JobState state, std::string_view text) const;
  std::string_view Rule() const { return unicode ? "──" : "--"; }
  std::string_view Arrow() const { return unicode ? "▸" : ">"; }
  std::string_view Dot() const { return unicode ? " · " : ", "; }
  std::string_view None() const { return unicode ? "–" : "-"; }
  std::string_view Ellipsis() const { return unicode ? "…" : "..."; }
};

std::string ClockTime(std::int64_t millis);                       // 0:41, 1:02:03
std::string Seconds(std::int64_t millis);                         // 0.41 s below a minute, then as ClockTime
std::string Age(std::int64_t millis);                             // 12s, 2m, 1h, 3d
std::string WallTime(std::int64_t wall_millis);                   // 2026-11-20T11:03:02Z; "" for 0
std::string Count(std::uint64_t number);                          // 1,024
std::string Size(std::uint64_t kib);                              // 212G
std::string Plural(std::uint64_t number, std::string_view noun);  // 1 job, 2 jobs

// The first line of `text` without control characters, cut to `max_columns` with an ellipsis.
std::string OneLine(std::string_view text, std::size_t max_columns, const Style& style);

// Terminal columns of UTF-8 text, escape sequences of Style not counted.
std::size_t Columns(std::string_view text);
std::string Padded(std::string_view text, std::size_t columns);

// Aligned columns, two spaces apart, one leading space; the last column is not padded. The first row is the
// heading.
std::string Table(const std::vector<std::vector<std::string>>& rows);

}  // namespace waggle::cli
