// The escaped forms of encode.h: JSON strings and shell words.
#include <optional>

#include "absl/strings/ascii.h"
#include "common/redact/encode.h"

namespace waggle::redact {
namespace {

void PutUnit(std::string* out, char32_t unit, Case digits) {
  const char* table = digits == Case::kUpper ? "0123456789ABCDEF" : "0123456789abcdef";
  out->append("\\u");
  for (int shift = 12; shift >= 0; shift -= 4) out->push_back(table[unit >> shift & 15]);
}

void PutU(std::string* out, char32_t point, Case digits) {
  if (point < 0x10000) return PutUnit(out, point, digits);
  PutUnit(out, 0xD800 + ((point - 0x10000) >> 10), digits);
  PutUnit(out, 0xDC00 + ((point - 0x10000) & 0x3FF), digits);
}

bool AsU(char32_t c, const JsonStyle& style) {
  const bool html = c == '<' || c == '>' || c == '&' || c == 0x2028 || c == 0x2029;
  const bool careful = html || c == '"' || c == '\'' || c == '+' || c == '`' || c > 126;
  return style.everything || (style.html && html) || (style.careful && careful) || (style.ascii && c > 126);
}

// What follows the backslash of a short escape.
std::optional<char> ShortEscape(char32_t c, const JsonStyle& style) {
  switch (c) {
    case '"':
    case '\\':
      return static_cast<char>(c);
    case '/':
      return style.slash ? std::optional('/') : std::nullopt;
    case '\b':
      return 'b';
    case '\f':
      return 'f';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    default:
      return std::nullopt;
  }
}

void PutAnsi(std::string* out, unsigned char c, bool octal) {
  constexpr std::string_view kFrom = "\a\b\x1b\f\n\r\t\v\\'", kTo = "abEfnrtv\\'";
  if (const std::size_t at = kFrom.find(static_cast<char>(c)); at != std::string_view::npos) {
    out->push_back('\\');
    out->push_back(kTo[at]);
  } else if (c < 0x20 || c == 0x7F || (octal && c > 0x7F)) {
    for (char digit : {'\\', static_cast<char>('0' + (c >> 6)), static_cast<char>('0' + (c >> 3 & 7)),
                       static_cast<char>('0' + (c & 7))}) {
      out->push_back(digit);
    }
  } else {
    out->push_back(static_cast<char>(c));
  }
}

bool NeedsBackslash(unsigned char c, Shell style) {
  if (style == Shell::kDouble) return std::string_view("\"\\$`").find(c) != std::string_view::npos;
  if (c >= 0x80) return false;
  if (style == Shell::kBackslash) {
    return std::string_view(" \t\n'\"\\|&;()<>{}*[]?^!$`,").find(c) != std::string_view::npos;
  }
  return !absl::ascii_isalnum(c) && std::string_view("_-.,:+/@").find(c) == std::string_view::npos;
}

}  // namespace

std::string Json(std::string_view in, const JsonStyle& style) {
  std::string out;
  out.reserve((style.everything ? 6 : 2) * in.size());
  while (!in.empty()) {
    const Character c = FirstCharacter(in);
    if (AsU(c.point, style)) {
      PutU(&out, c.point, style.digits);
    } else if (std::optional<char> escape = ShortEscape(c.point, style)) {
      out.push_back('\\');
      out.push_back(*escape);
    } else if (c.point < 0x20) {
      PutU(&out, c.point, style.digits);
    } else if (c.point == 0xFFFD) {
      out.append("\xEF\xBF\xBD");
    } else {
      out.append(in.substr(0, c.size));
    }
    in.remove_prefix(c.size);
  }
  return out;
}

std::string ShellQuoted(std::string_view in, Shell style) {
  std::string out;
  out.reserve(2 * in.size());
  for (char c : in) {
    if (style == Shell::kSingle || style == Shell::kSinglePython) {
      if (c == '\'') {
        out.append(style == Shell::kSingle ? "'\\''" : "'\"'\"'");
      } else {
        out.push_back(c);
      }
    } else if (style == Shell::kAnsi || style == Shell::kAnsiOctal) {
      PutAnsi(&out, static_cast<unsigned char>(c), style == Shell::kAnsiOctal);
    } else {
      if (NeedsBackslash(static_cast<unsigned char>(c), style)) out.push_back('\\');
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace waggle::redact
