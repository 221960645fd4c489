#include "common/redact/scanner.h"

#include <algorithm>

namespace waggle::redact {

Scanner::Scanner(const Patterns& patterns)
    : patterns_(patterns), found_(patterns.names().size()), tracker_(patterns, &found_) {}

bool Scanner::Blank(std::span<char> chunk) {
  if (patterns_.empty()) return false;
  const std::uint64_t begin = tracker_.position();
  tracker_.Scan({chunk.data(), chunk.size()});
  const bool found = !tracker_.marks().empty();
  for (const Tracker::Range& mark : tracker_.marks()) {
    if (mark.begin < begin) late_ = true;
    const std::uint64_t from = std::max(mark.begin, begin);
    if (mark.end > from) std::fill(chunk.begin() + (from - begin), chunk.begin() + (mark.end - begin), '*');
  }
  tracker_.ForgetMarks(tracker_.position());
  return found;
}

std::vector<std::string> Scanner::names() const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < found_.size(); ++i) {
    if (found_[i]) names.push_back(patterns_.names()[i]);
  }
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace waggle::redact
