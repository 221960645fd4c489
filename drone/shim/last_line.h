#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace waggle::shim {

// The last line with something in it of a stream that comes in pieces; of a longer one the first kMaxBytes.
class LastLine {
 public:
  static constexpr std::size_t kMaxBytes = 512;

  void Feed(std::string_view bytes) {
    while (!bytes.empty()) {
      std::size_t end = bytes.find('\n');
      std::string_view part = bytes.substr(0, end);
      open_.append(part.substr(0, kMaxBytes - std::min(kMaxBytes, open_.size())));
      if (end == std::string_view::npos) return;
      Close();
      bytes.remove_prefix(end + 1);
    }
  }
  std::string Take() {
    Close();
    return std::move(last_);
  }

 private:
  void Close() {
    std::size_t end = open_.find_last_not_of(" \t\r");
    if (end != std::string::npos) last_ = open_.substr(0, end + 1);
    open_.clear();
  }

  std::string open_, last_;
};

}  // namespace waggle::shim
