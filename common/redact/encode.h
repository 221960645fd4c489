#pragma once

#include <cstddef>
#include <string>
#include <string_view>

// How a value looks when a tool has encoded it. Pure functions from bytes to bytes; README.md lists who
// prints which form.
namespace waggle::redact {

enum class Alphabet { kStandard, kUrl };  // of base64: "+/" or "-_"

// With padding.
std::string Base64(std::string_view in, Alphabet alphabet);

// The characters that depend on `in` alone when it stands behind `before` (0, 1, 2) bytes of something
// longer; the first and the last one, which also depend on the neighbours, are cut off.
std::string Base64Inside(std::string_view in, std::size_t before, Alphabet alphabet);

// "\n" behind every `columns` characters, none at the end.
std::string Wrapped(std::string_view text, std::size_t columns);

enum class Case { kLower, kUpper };

std::string Hex(std::string_view in, Case digits);

// %XX for everything but ASCII letters, digits and what is in `keep`; with `plus` a space is "+".
std::string Percent(std::string_view in, std::string_view keep, bool plus, Case digits);

// %XX for every byte.
std::string PercentAll(std::string_view in, Case digits);

// UTF-16LE without a mark; what is no UTF-8 is taken as one unit per byte.
std::string Utf16(std::string_view in);

struct JsonStyle {
  bool slash = false;       // "/" is "\/" (PHP)
  bool ascii = false;       // nothing but ASCII (Python, PHP)
  bool html = false;        // <, >, &, U+2028 and U+2029 as \u (Go)
  bool careful = false;     // besides these ", ', + and ` as \u (.NET)
  bool everything = false;  // every character as \u
  Case digits = Case::kLower;
};

// The inside of a JSON string; what is no UTF-8 is U+FFFD.
std::string Json(std::string_view in, const JsonStyle& style);

enum class Shell {
  kSingle,        // inside '…': a quote is '\''
  kSinglePython,  // the same with '"'"', as Python's shlex does
  kDouble,        // inside "…": declare -p, export -p
  kBackslash,     // printf %q of bash
  kBackslashAll,  // everything but letters, digits and _-.,:+/@ (Ruby's shellescape)
  kAnsi,          // inside $'…', bytes above 126 as they are
  kAnsiOctal,     // inside $'…', bytes above 126 as \ooo (locale C)
};

std::string ShellQuoted(std::string_view in, Shell style);

// The next character of a text and its bytes; 0xFFFD and 1 for what is no UTF-8. REQUIRES: !in.empty().
struct Character {
  char32_t point;
  std::size_t size;
};
Character FirstCharacter(std::string_view in);

}  // namespace waggle::redact
