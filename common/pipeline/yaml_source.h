#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace waggle::pipeline {

// A place in a file: zero-based line, zero-based byte in it. Shown one-based, columns as characters.
struct Position {
  int line = 0;
  int column = 0;
  bool operator==(const Position&) const = default;
};

// Codes of `waggle lint --explain`: never reused.
namespace code {
inline constexpr std::string_view kGeneral = "WG100";
inline constexpr std::string_view kUnknownKey = "WG101";
inline constexpr std::string_view kDuplicateKey = "WG102";
inline constexpr std::string_view kNoUnit = "WG103";
inline constexpr std::string_view kTab = "WG104";
}  // namespace code

// The text of one file and the shape of every message about it. Keeps views: text and file must outlive it.
class YamlSource {
 public:
  YamlSource(std::string_view text, std::string_view file);

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
  // `word` is what to underline if it stands at the position. A long line is shown in part.
  absl::Status Excerpt(Position at, std::string_view word, std::string_view what, std::string_view hint,
                       std::string_view code = code::kGeneral) const;
  // FILE:LINE:COLUMN: what
  //   each further line [CODE]
  absl::Status Plain(Position at, std::string_view what, std::vector<std::string> lines,
                     std::string_view code) const;

 private:
  std::string Head(Position at, std::string_view what) const;

  std::string_view text_, file_;
  std::vector<std::size_t> starts_;  // byte where each line begins
};

}  // namespace waggle::pipeline
