#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace waggle {

struct BadByte {
  std::size_t offset;    // in bytes
  std::string_view why;  // "invalid UTF-8", "a NUL byte", "a control character"; static
};

// The first byte a text may not have: what is not UTF-8 (overlong forms and surrogates included) and NUL
// always, other control characters (C0 except tab, CR and LF; C1 except NEL) only if `printable`.
std::optional<BadByte> FindBadByte(std::string_view text, bool printable);

// The candidate nearest to a misspelt word, "" if none is near: at most one edit (insert, delete, replace,
// swap of neighbours) per three letters.
std::string_view DidYouMean(std::string_view word, std::span<const std::string_view> candidates);

// `word`, whatever it holds, for a message: in backquotes, cut to a readable length, nothing a terminal would
// obey.
std::string Quoted(std::string_view word);

// "error: what happened" and the following lines of the message indented by two, without control characters.
std::string ErrorText(std::string_view message);

// A text as JSON has it, with its quotes. REQUIRES: valid UTF-8.
std::string JsonText(std::string_view text);

}  // namespace waggle
