#include "tools/waggle/lines.h"

#include <algorithm>

namespace waggle::cli {

std::uint64_t LineFilter::Take(int stream, std::uint64_t line, std::string_view data, std::string* out) {
  std::uint64_t first_taken = 0;
  if (joined_ && line < first_) {
    std::string_view before_last = data.substr(0, data.empty() ? 0 : data.size() - 1);
    auto begun = static_cast<std::uint64_t>(std::count(before_last.begin(), before_last.end(), '\n'));
    if (begun > 0)
      highest_ = first_ - std::min(first_, begun);  // the last line begun here is at least first_
  }
  joined_ = false;
  highest_ = std::max(highest_, line);
  std::uint64_t current = line;
  while (!data.empty()) {
    std::size_t newline = data.find('\n');
    bool ends = newline != std::string_view::npos;
    std::string_view piece = ends ? data.substr(0, newline + 1) : data;
    if (Wanted(current)) {
      out->append(piece);
      if (first_taken == 0) first_taken = current;
    }
    data.remove_prefix(piece.size());
    open_[stream] = ends ? 0 : current;
    if (ends) {
      current = highest_ + 1;
      if (!data.empty()) highest_ = current;
    }
  }
  return first_taken;
}

bool LineFilter::done() const {
  if (last_ == 0 || highest_ < last_) return false;
  return std::none_of(open_.begin(), open_.end(),
                      [this](std::uint64_t line) { return line != 0 && line <= last_; });
}

}  // namespace waggle::cli
