#pragma once

#include <cstddef>
#include <optional>

#include "common/base/clock.h"
#include "drone/shim/command.h"

namespace waggle::shim {

// A job that prints byte by byte pays for a wake-up of the shim with each write, as long as the shim waits at
// the pipe. So a stream that was read kReads times in a row, each time little and right after the last, is
// left alone for kGap at a time: the pipe gathers. That ends as soon as it is quiet for a gap, fills the pipe
// faster than we read it, or the other stream speaks: what is printed in turns is read in turns.
class Pace {
 public:
  static constexpr int kReads = 8;
  static constexpr std::size_t kLittle = 4096;                         // bytes of one read
  static constexpr std::size_t kMuch = 64 * 1024;                      // after a gap
  static constexpr Duration kAtOnce = std::chrono::microseconds(200);  // after the last read
  static constexpr Duration kGap = std::chrono::milliseconds(1);

  // Not to be waited for, but to be read after kGap or when the other is.
  std::optional<Stream> held() const { return held_; }
  // What one turn of the loop has read.
  void Took(std::size_t out, std::size_t err, Time now);
  void Reset() { *this = Pace(); }

 private:
  std::optional<Stream> held_;
  Stream last_ = Stream::kOut;
  Time read_;
  int reads_ = 0;
};

}  // namespace waggle::shim
