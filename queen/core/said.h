#pragma once

#include <cstddef>
#include <string>
#include <string_view>

// Words of a drone on their way to rows, terminals and browsers: hostile until they went through here.
namespace waggle::queen {

enum class Shape { kOneLine, kText };  // kText keeps newlines and tabs

// Valid UTF-8 without control characters and without marks that turn the direction of writing, so that it
// looks the same wherever it is shown.
bool IsPresentable(std::string_view text);

// A drone's or person's name: letters, digits, '.', '_' and '-', at most limits::kNameBytes, '.' and '-' not
// first.
bool IsName(std::string_view name);

// `text` made so, at most `limit` bytes and never half a character: what is not UTF-8 becomes U+FFFD, what
// steers a terminal becomes '?', a newline of one line a space.
std::string Presentable(std::string_view text, std::size_t limit, Shape shape = Shape::kOneLine);

}  // namespace waggle::queen
