#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace waggle::shim {

// The lines of a stream that comes in pieces, and the last one with something in it; of a longer line the
// first kMaxBytes.
class LastLine {
 public:
  static constexpr std::size_t kMaxBytes = 512;

  // `on_line` gets each line as it ends, blank ones left out.
  template <typename OnLine>
  void Feed(std::string_view bytes, OnLine&& on_line) {
    while (!bytes.empty()) {
      std::size_t end = bytes.find('\n');
      std::string_view part = bytes.substr(0, end);
      open_.append(part.substr(0, kMaxBytes - std::min(kMaxBytes, open_.size())));
      if (end == std::string_view::npos) return;
      if (Close()) on_line(last_);
      bytes.remove_prefix(end + 1);
    }
  }
  std::string Take() {
    Close();
    return std::move(last_);
  }

 private:
  bool Close() {
    std::size_t end = open_.find_last_not_of(" \t\r");
    bool something = end != std::string::npos;
    if (something) last_ = open_.substr(0, end + 1);
    open_.clear();
    return something;
  }

  std::string open_, last_;
};

}  // namespace waggle::shim
