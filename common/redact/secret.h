#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace waggle::redact {

// A value that must not be seen. Whoever holds one wipes it (wipe.h).
struct Secret {
  std::string name;   // as the job's environment calls it
  std::string value;  // any text; white space at both ends does not count
};

// InvalidArgument, in words for the person who sets it, when the name is no variable's name, when the value
// is no text or too long, or when masking it is impossible (too short) or would make logs unreadable (one
// character again and again). The message has the name and never the value.
absl::Status CheckSecret(std::string_view name, std::string_view value);

// Without white space at both ends: people and tools add and lose it.
std::string_view Trimmed(std::string_view text);

// The trimmed lines of a text that can be masked on their own: long enough, and not one character again and
// again, like a ruler. Views into `text`.
std::vector<std::string_view> MaskableLines(std::string_view text);

// Long enough and not one character again and again.
bool Maskable(std::string_view bytes);

}  // namespace waggle::redact
