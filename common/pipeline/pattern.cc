#include "common/pipeline/pattern.h"

#include <algorithm>

namespace waggle::pipeline {

// Greedy with one step back: after a mismatch only the last `*` has to take one character more, for whatever
// an earlier one could take the last one can take as well.
bool MatchesPattern(std::string_view pattern, std::string_view text) {
  constexpr std::size_t kNone = std::string_view::npos;
  std::size_t p = 0, t = 0, star = kNone, taken = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != kNone) {
      p = star + 1;
      t = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == kNone;
}

bool HasWildcard(std::string_view pattern) {
  return pattern.find('*') != std::string_view::npos;
}

bool MatchesAny(const std::vector<std::string>& patterns, std::string_view text) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [text](const std::string& pattern) { return MatchesPattern(pattern, text); });
}

const BranchRule* FindRule(const std::vector<BranchRule>& rules, std::string_view branch) {
  const BranchRule* first = nullptr;
  for (const BranchRule& rule : rules) {
    if (rule.pattern == branch) return &rule;
    if (first == nullptr && MatchesPattern(rule.pattern, branch)) first = &rule;
  }
  return first;
}

}  // namespace waggle::pipeline
