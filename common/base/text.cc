#include "common/base/text.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace waggle {
namespace {

constexpr std::size_t kShownBytes = 64;  // of a user's word in a message
constexpr std::size_t kWordBytes = 32;   // longer words are nobody's typing error

struct Decoded {
  std::uint32_t point;
  std::size_t size;  // 0: invalid
};

Decoded Decode(std::string_view in) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(in[i]); };
  const std::uint32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  std::size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || in.size() < size) return {0, 0};
  std::uint32_t point = first & (0x7Fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {0, 0};
    point = point << 6 | (byte(i) & 0x3Fu);
  }
  constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  bool surrogate = point >= 0xD800 && point <= 0xDFFF;
  if (point < kSmallest[size] || point > 0x10FFFF || surrogate) return {0, 0};
  return {point, size};
}

bool IsControl(std::uint32_t point) {
  if (point < 0x20) return point != '\t' && point != '\n' && point != '\r';
  return point == 0x7F || (point >= 0x80 && point < 0xA0 && point != 0x85);
}

// Optimal string alignment distance. Both words are at most kWordBytes long.
std::size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      std::size_t replace = d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::optional<BadByte> FindBadByte(std::string_view text, bool printable) {
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == '\0') return BadByte{i, "a NUL byte"};
    const Decoded d = Decode(text.substr(i));
    if (d.size == 0) return BadByte{i, "invalid UTF-8"};
    if (printable && IsControl(d.point)) return BadByte{i, "a control character"};
    i += d.size;
  }
  return std::nullopt;
}

std::string_view DidYouMean(std::string_view word, std::span<const std::string_view> candidates) {
  if (word.size() > kWordBytes) return {};
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (std::string_view candidate : candidates) {
    if (candidate.size() > kWordBytes) continue;
    const std::size_t distance = Distance(word, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string Quoted(std::string_view word) {
  std::string out = "`";
  for (std::size_t i = 0; i < word.size();) {
    const Decoded d = Decode(word.substr(i));
    const std::size_t size = std::max<std::size_t>(1, d.size);
    if (i + size > kShownBytes) return out + "…`";
    const bool blank = d.point == '\t' || d.point == '\n' || d.point == '\r';
    if (d.size == 0 || IsControl(d.point)) {
      out += '?';
    } else if (blank) {
      out += ' ';
    } else {
      out.append(word.substr(i, size));
    }
    i += size;
  }
  return out + "`";
}

std::string ErrorText(std::string_view message) {
  std::string text = "error: ";
  if (message.empty()) message = "no reason was given";
  while (message.ends_with('\n')) message.remove_suffix(1);
  bool line_start = false;
  for (char c : message) {
    auto byte = static_cast<unsigned char>(c);
    if (line_start && c != ' ') text += "  ";
    line_start = c == '\n';
    text.push_back(c == '\n' || c == '\t' || (byte >= 0x20 && byte != 0x7F) ? c : '?');
  }
  text.push_back('\n');
  return text;
}

std::string JsonText(std::string_view text) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out.append(1, '\\').append(1, c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out.append("\\u00").append(1, kDigits[c >> 4]).append(1, kDigits[c & 15]);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace waggle
