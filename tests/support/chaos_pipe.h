#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "common/base/clock.h"

namespace waggle::test {

// Bytes on their way through a proxy in one direction: each piece is due at a time of its own, in order, and
// a rate may hold them longer. Pure: time is an argument that never goes backwards. One thread.
class ChaosPipe {
 public:
  static constexpr std::size_t kCapacity = 256 * 1024;  // bytes: a long line's worth, what sockets hold, too
  static constexpr std::size_t kMostPieces = 4096;      // with own due times: 64 KiB of bookkeeping

  // How many bytes Push takes now.
  std::size_t Room() const { return pieces_.size() < kMostPieces ? kCapacity - size() : 0; }
  // They are due after `delay`, and never before those in front of them. Delays end at whole milliseconds, so
  // that single bytes share a piece. REQUIRES: bytes.size() ≤ Room().
  void Push(std::string_view bytes, Time now, Duration delay);

  // The bytes that may go on now, maybe none; valid until the next call. `rate` is in bytes per second, 0 for
  // no limit; a limited pipe sends 10 ms worth at once at most.
  std::string_view Ready(Time now, std::uint64_t rate);
  void Pop(std::size_t count);  // of what Ready gave
  // When Ready has bytes if it has none now; Time::max(): it is empty. REQUIRES: Ready was called since Pop.
  Time Due() const;

  void Clear();
  std::size_t size() const { return bytes_.size() - head_; }
  bool empty() const { return size() == 0; }

 private:
  struct Piece {
    Time due;
    std::size_t size;
  };

  void Refill(Time now, std::uint64_t rate);

  std::string bytes_;
  std::size_t head_ = 0;  // what was popped and not yet erased
  std::deque<Piece> pieces_;
  std::uint64_t rate_ = 0;
  double credit_ = 0;  // bytes the rate allows now
  Time refilled_{};
};

}  // namespace waggle::test
