#include "common/redact/secret.h"

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/text.h"

namespace waggle::redact {
namespace {

bool IsName(std::string_view name) {
  if (name.empty() || name.size() > limits::kNameBytes || absl::ascii_isdigit(name[0])) return false;
  return std::ranges::all_of(name, [](unsigned char c) { return absl::ascii_isalnum(c) || c == '_'; });
}

std::size_t Characters(std::string_view utf8) {
  return std::ranges::count_if(utf8, [](unsigned char c) { return (c & 0xC0) != 0x80; });
}

absl::Status Refused(const std::string& what, const std::string& next) {
  return absl::InvalidArgumentError(absl::StrCat("secret ", what, ", so it was refused\nnext: ", next));
}

}  // namespace

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && absl::ascii_isspace(text.front())) text.remove_prefix(1);
  while (!text.empty() && absl::ascii_isspace(text.back())) text.remove_suffix(1);
  return text;
}

bool Maskable(std::string_view bytes) {
  if (bytes.size() < limits::kSecretMin) return false;
  return bytes.find_first_not_of(bytes[0]) != std::string_view::npos;
}

std::vector<std::string_view> MaskableLines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("\r\n"), text.size());
    const std::string_view line = Trimmed(text.substr(0, end));
    if (Maskable(line)) lines.push_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

absl::Status CheckSecret(std::string_view variable, std::string_view value) {
  const std::string name(variable);
  if (!IsName(name)) {
    return Refused(absl::StrCat(Quoted(name), " is no name of a variable"),
                   absl::StrCat("use letters, digits and _, no digit in front, at most ", limits::kNameBytes,
                                " bytes [WG702]"));
  }
  if (value.size() > limits::kSecretBytes) {
    return Refused(absl::StrCat(name, " is ", value.size(), " bytes: longer than ", limits::kSecretBytes),
                   "keep large files elsewhere and make their key the secret [WG703]");
  }
  if (std::optional<BadByte> bad = FindBadByte(value, false)) {
    return Refused(absl::StrCat(name, " has ", std::string(bad->why), " in it, at byte ", bad->offset),
                   "set it as text, for example as base64 that the job decodes [WG703]");
  }
  const std::string_view trimmed = Trimmed(value);
  const std::string need = absl::StrCat("use at least ", limits::kSecretMin, " characters [WG701]");
  if (trimmed.empty() && !value.empty()) return Refused(absl::StrCat(name, " is only white space"), need);
  if (trimmed.size() < limits::kSecretMin) {
    const std::size_t count = Characters(trimmed);
    return Refused(
        absl::StrCat(name, " is ", count, count == 1 ? " character" : " characters", ": too short to mask"),
        need);
  }
  if (trimmed.find_first_not_of(trimmed[0]) == std::string_view::npos) {
    return Refused(absl::StrCat(name, " is one character again and again: masking it would wreck logs"),
                   "use a value that nobody prints by chance [WG701]");
  }
  if (MaskableLines(trimmed).empty()) {
    return Refused(absl::StrCat(name, " has no line that is long enough to mask"),
                   absl::StrCat("make it one line, or ", need));
  }
  return absl::OkStatus();
}

}  // namespace waggle::redact
