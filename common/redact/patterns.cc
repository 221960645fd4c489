#include "common/redact/patterns.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/redact/wipe.h"

namespace waggle::redact {

absl::StatusOr<std::unique_ptr<const Patterns>> Patterns::Create(std::span<const Secret> secrets,
                                                                 std::size_t pattern_bytes) {
  std::size_t bytes = 0;
  std::vector<std::string> names;
  for (const Secret& secret : secrets) {
    RETURN_IF_ERROR(CheckSecret(secret.name, secret.value));
    bytes += secret.value.size();
    names.push_back(secret.name);
  }
  if (bytes > limits::kSecretBytes) {
    return absl::InvalidArgumentError(absl::StrCat("the secrets of one job are ", bytes,
                                                   " bytes together: more than ", limits::kSecretBytes,
                                                   "\nnext: give the job only those it needs [WG703]"));
  }
  PatternList list = MakePatterns(secrets, pattern_bytes);
  std::unique_ptr<const Patterns> patterns(new Patterns(std::move(names), list));
  for (Pattern& pattern : list.patterns) Wipe(&pattern.bytes);
  return patterns;
}

Patterns::Patterns(std::vector<std::string> names, const PatternList& list)
    : names_(std::move(names)),
      count_(list.patterns.size()),
      left_out_(list.left_out),
      automaton_(list.patterns),
      skip_(list.patterns) {
  for (const Pattern& pattern : list.patterns) longest_ = std::max(longest_, pattern.bytes.size());
}

std::size_t Patterns::memory() const {
  return automaton_.memory() + skip_.memory();
}

}  // namespace waggle::redact
