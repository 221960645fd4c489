#include "drone/shim/pace.h"

#include <algorithm>

namespace waggle::shim {

void Pace::Took(std::size_t out, std::size_t err, Time now) {
  const std::size_t bytes = std::max(out, err);
  const Stream stream = out > 0 ? Stream::kOut : Stream::kErr;
  if (bytes == 0 && !held_) return;
  if (bytes == 0 || (out > 0 && err > 0) || (held_ && stream != *held_)) return Reset();
  if (held_) {
    if (bytes > kMuch) Reset();
    return;
  }
  const bool goes_on = stream == last_ && now - read_ <= kAtOnce && bytes <= kLittle;
  reads_ = goes_on ? reads_ + 1 : 0;
  last_ = stream;
  read_ = now;
  if (reads_ >= kReads) held_ = stream;
}

}  // namespace waggle::shim
