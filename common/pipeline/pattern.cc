#include "common/pipeline/pattern.h"

#include <algorithm>
#include <cstring>

namespace waggle::pipeline {

// What stands before the first `*` and behind the last one is fixed; each text between two of them is taken
// where it first occurs, for a later place could only leave less for what follows.
bool MatchesPattern(std::string_view pattern, std::string_view text) {
  const std::size_t first = pattern.find('*');
  if (first == std::string_view::npos) return pattern == text;
  const std::size_t last = pattern.rfind('*');
  const std::string_view head = pattern.substr(0, first), tail = pattern.substr(last + 1);
  if (text.size() < head.size() + tail.size()) return false;
  if (text.substr(0, head.size()) != head || text.substr(text.size() - tail.size()) != tail) return false;
  text = text.substr(head.size(), text.size() - head.size() - tail.size());
  pattern = pattern.substr(first, last - first);
  while (!pattern.empty()) {
    pattern.remove_prefix(1);  // the `*`
    const std::string_view piece = pattern.substr(0, pattern.find('*'));
    pattern.remove_prefix(piece.size());
    if (piece.empty()) continue;
    if (piece.size() > text.size()) return false;
    // Of all ways to search only memmem promises linear time.
    const void* found = memmem(text.data(), text.size(), piece.data(), piece.size());
    if (found == nullptr) return false;
    text.remove_prefix(static_cast<std::size_t>(static_cast<const char*>(found) - text.data()) +
                       piece.size());
  }
  return true;
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
