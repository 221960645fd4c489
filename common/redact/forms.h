#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/redact/secret.h"

namespace waggle::redact {

// The ways in which a value is looked for, the likeliest first: when the bound on pattern bytes is reached
// the last ones are left out.
enum class Form : std::uint8_t {
  kRaw,
  kBase64,
  kBase64Url,
  kJson,
  kPercent,
  kShell,
  kHex,
  kUtf16,
  kBase64Wrapped,
  kPercentAll,
  kJsonAll,
};
inline constexpr std::array kForms = {Form::kRaw,           Form::kBase64,     Form::kBase64Url, Form::kJson,
                                      Form::kPercent,       Form::kShell,      Form::kHex,       Form::kUtf16,
                                      Form::kBase64Wrapped, Form::kPercentAll, Form::kJsonAll};

// Every text that `form` looks for in the output when it stands for `value`; some may be equal or too short.
std::vector<std::string> Encoded(Form form, std::string_view value);

// What is looked for and whose it is.
struct Pattern {
  std::string bytes;
  std::vector<std::uint16_t> owners;  // indexes of secrets, ascending
};

struct PatternList {
  std::vector<Pattern> patterns;  // ascending and distinct; each at least limits::kSecretMin bytes
  std::size_t left_out = 0;       // forms of a value or line that did not fit in `bound`
};

// All forms of all values; of their lines, and of them with the other kind of line ends, all but those with
// every byte escaped. At most `bound` bytes of encoded forms. The caller wipes them.
PatternList MakePatterns(std::span<const Secret> secrets, std::size_t bound);

}  // namespace waggle::redact
