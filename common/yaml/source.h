#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace waggle::yaml {

// A place in a file: zero-based line, zero-based byte in it. Shown one-based, columns as characters.
struct Position {
  int line = 0;
  int column = 0;
  bool operator==(const Position&) const = default;
};

// What messages call a kind of file, and the codes at their ends: never reused. All are views of constants.
struct Dialect {
  std::string_view noun;  // "pipeline": "aliases are not part of pipeline files"
  std::string_view general, unknown_key, duplicate_key, no_unit, tab;
  std::string_view closing;  // last line of every message: what the error means for the whole; may be empty
};

inline constexpr Dialect kPipelineFile{"pipeline", "WG100", "WG101", "WG102", "WG103", "WG104", ""};
inline constexpr Dialect kConfigurationFile{"configuration", "WG600", "WG601", "WG602", "WG603", "WG604", ""};
inline constexpr Dialect kJobDocumentFile{};  // JSON: only the shape of the messages is used

// The text of one file and the shape of every message about it. Keeps views: text and file must outlive it.
class Source {
 public:
  Source(std::string_view text, std::string_view file, const Dialect& dialect);

  const Dialect& dialect() const { return dialect_; }

  std::string_view text() const { return text_; }
  int lines() const { return static_cast<int>(starts_.size()); }
  std::string_view Line(int line) const;  // without its end; "" beyond the last
  Position At(std::size_t offset) const;
  std::string_view From(Position at) const;  // the rest of the text; "" beyond its end
  // Whether only blanks, with a tab among them, stand before the position on its line.
  bool IsIndentedByTab(Position at) const;

  // FILE:LINE:COLUMN: what
  //   14 |     the line
  //      |     ^^^^^^^ hint [CODE]
  // `word` is what to underline if it stands at the position. A long line is shown in part. No code: the
  // dialect's general one.
  absl::Status Excerpt(Position at, std::string_view word, std::string_view what, std::string_view hint,
                       std::string_view code = {}) const;
  // FILE:LINE:COLUMN: what
  //   each further line [CODE]
  absl::Status Plain(Position at, std::string_view what, std::vector<std::string> lines,
                     std::string_view code = {}) const;

 private:
  std::string Head(Position at, std::string_view what) const;
  absl::Status End(std::string message, std::string_view code) const;

  std::string_view text_, file_;
  Dialect dialect_;
  std::vector<std::size_t> starts_;  // byte where each line begins
};

}  // namespace waggle::yaml
