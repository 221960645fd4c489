#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

#include "tests/sim/world.h"

namespace waggle::sim {

// Runs what happens to one process: at once, or, while it is stopped, when it goes on again.
class Process {
 public:
  void Run(std::function<void()> what) {
    if (paused_) {
      waiting_.push_back(std::move(what));
    } else {
      what();
    }
  }
  bool paused() const { return paused_; }
  void Pause() { paused_ = true; }
  void Resume() {
    paused_ = false;
    while (!waiting_.empty() && !paused_) {
      std::function<void()> what = std::move(waiting_.front());
      waiting_.pop_front();
      what();
    }
  }
  // It is dead: nothing that waited for it happens.
  void Reset() {
    paused_ = false;
    waiting_.clear();
  }

 private:
  bool paused_ = false;
  std::deque<std::function<void()>> waiting_;
};

enum class Side : std::uint8_t { kDrone = 0, kQueen = 1 };

// One stream between a daemon and the queen. Each direction keeps its order and knows nothing of the other,
// nor of other streams. A cut loses a suffix of what is on its way in each direction, and each end learns of
// it when it does.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(World& world, std::uint64_t id, Nanos latency, Random random);

  std::uint64_t id() const { return id_; }
  // `deliver` happens at the other side, after everything that was sent before.
  void Send(Side from, std::function<void()> deliver);
  // This side is done with the stream: it hears nothing more, the other side hears of the end behind what was
  // sent.
  void Close(Side by);
  // Whoever runs on this side is gone: its end closes, what it had sent may be lost.
  void Die(Side side);
  void Cut();
  // Nothing moves in this direction until then; it is late, not lost.
  void Stall(Side from, Nanos until);
  // Until then each message takes up to so much longer, in both directions.
  void Slow(Nanos extra, Nanos until) { slow_extra_ = extra, slow_until_ = until; }
  // What a side does when it learns of the end; empty = it does not care (any more).
  void OnLost(Side side, std::function<void()> what) { ends_[Index(side)].lost = std::move(what); }
  bool open(Side side) const { return !ends_[Index(side)].closed; }

 private:
  struct Message {
    Nanos ready;
    std::function<void()> deliver;
    bool end = false;  // of the stream
  };
  struct Direction {  // from this side
    std::deque<Message> way;
    Nanos last = 0, stalled_until = 0;
    bool ending = false;  // the other side learns of the end behind what is on its way
    bool pumping = false;
  };
  struct End {
    bool closed = false;
    std::function<void()> lost;
  };
  static std::size_t Index(Side side) { return static_cast<std::size_t>(side); }
  static Side Other(Side side) { return side == Side::kDrone ? Side::kQueen : Side::kDrone; }
  void Pump(Side from);
  void LoseSome(Direction& direction);
  void EndBehind(Side from, Nanos delay);

  World& world_;
  const std::uint64_t id_;
  const Nanos latency_;
  Random random_;
  Nanos slow_extra_ = 0, slow_until_ = 0;
  Direction directions_[2];
  End ends_[2];
};

}  // namespace waggle::sim
