#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace waggle::cli {

// Picks the bytes of lines first … last (last 0 = no end) out of fragments. A line belongs to one stream of
// one command and has the number it got where its first byte appeared, so the streams' numbers interleave;
// the filter counts along. `joined`: the fragments begin, as the queen's do after from_line = first, with the
// record in which line `first` begins. That record may begin inside an older line; lines in between are those
// of the other stream.
class LineFilter {
 public:
  LineFilter(std::uint64_t first, std::uint64_t last, bool joined = false)
      : first_(first), last_(last), joined_(joined) {}

  // Appends the wanted part of one fragment. `stream` 0 = stdout, 1 = stderr; `line` as the fragment says.
  // Returns the number of the first line appended, 0 = none.
  std::uint64_t Take(int stream, std::uint64_t line, std::string_view data, std::string* out);
  // A command's end closes its lines, with a newline or without.
  void CloseLines() { open_ = {0, 0}; }
  // Every line of the range was seen to its end.
  bool done() const;

 private:
  bool Wanted(std::uint64_t line) const { return line >= first_ && (last_ == 0 || line <= last_); }

  std::uint64_t first_;
  std::uint64_t last_;
  bool joined_;  // and nothing was taken yet
  std::uint64_t highest_ = 0;
  std::array<std::uint64_t, 2> open_{};  // number of each stream's unfinished line, 0 = none
};

}  // namespace waggle::cli
