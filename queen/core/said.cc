#include "queen/core/said.h"

#include <algorithm>
#include <cstdint>

#include "common/base/limits.h"

namespace waggle::queen {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// Length of the well-formed character at the start of `text`, and its code point; 0: there is none.
std::size_t Decode(std::string_view text, std::uint32_t* point) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t size = lead < 0x80                   ? 1
                           : lead >= 0xC2 && lead < 0xE0 ? 2
                           : lead >= 0xE0 && lead < 0xF0 ? 3
                           : lead >= 0xF0 && lead < 0xF5 ? 4
                                                         : 0;
  if (size == 0 || text.size() < size) return 0;
  std::uint32_t value = size == 1 ? lead : lead & (0x7Fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xC0) != 0x80) return 0;
    value = value << 6 | (byte & 0x3F);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kLeast[size] || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return 0;
  *point = value;
  return size;
}

bool Steers(std::uint32_t point) {
  return point < 0x20 || (point >= 0x7F && point < 0xA0) ||       // C0, DEL, C1
         point == 0x61C || point == 0x200E || point == 0x200F ||  // direction marks
         (point >= 0x2028 && point <= 0x202E) ||
         (point >= 0x2066 && point <= 0x2069);  // separators, overrides
}

}  // namespace

bool IsName(std::string_view name) {
  if (name.empty() || name.size() > limits::kNameBytes || name.front() == '.' || name.front() == '-') {
    return false;
  }
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

bool IsPresentable(std::string_view text) {
  while (!text.empty()) {
    std::uint32_t point = 0;
    const std::size_t size = Decode(text, &point);
    if (size == 0 || Steers(point)) return false;
    text.remove_prefix(size);
  }
  return true;
}

std::string Presentable(std::string_view text, std::size_t limit, Shape shape) {
  std::string out;
  out.reserve(std::min(text.size(), limit));
  while (!text.empty()) {
    std::uint32_t point = 0;
    const std::size_t size = Decode(text, &point);
    std::string_view piece = size == 0 ? kReplacement : text.substr(0, size);
    if (size == 1 && (point == '\n' || point == '\t')) {
      piece = shape == Shape::kText ? piece : " ";
    } else if (size > 0 && Steers(point)) {
      piece = "?";
    }
    if (out.size() + piece.size() > limit) break;
    out += piece;
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return out;
}

}  // namespace waggle::queen
