#include "tests/sim/network.h"

#include <algorithm>

namespace waggle::sim {

Connection::Connection(World& world, std::uint64_t id, Nanos latency, Random random)
    : world_(world), id_(id), latency_(latency), random_(random) {}

void Connection::Send(Side from, std::function<void()> deliver) {
  Direction& direction = directions_[Index(from)];
  if (ends_[Index(from)].closed || direction.ending) return;
  const Nanos slower = world_.now() < slow_until_ ? random_.Between(0, slow_extra_) : 0;
  direction.last =
      std::max(direction.last, world_.now() + random_.Between(latency_ / 4, 2 * latency_) + slower);
  direction.way.push_back({direction.last, std::move(deliver), false});
  Pump(from);
}

void Connection::Pump(Side from) {
  Direction& direction = directions_[Index(from)];
  if (direction.pumping || direction.way.empty()) return;
  direction.pumping = true;
  world_.At(std::max(direction.way.front().ready, direction.stalled_until),
            [this, self = shared_from_this(), from] {
              Direction& d = directions_[Index(from)];
              d.pumping = false;
              if (!d.way.empty() && world_.now() >= std::max(d.way.front().ready, d.stalled_until)) {
                std::function<void()> deliver = std::move(d.way.front().deliver);
                d.way.pop_front();
                deliver();
              }
              Pump(from);
            });
}

void Connection::Stall(Side from, Nanos until) {
  Direction& direction = directions_[Index(from)];
  direction.stalled_until = std::max(direction.stalled_until, until);
}

void Connection::LoseSome(Direction& direction) {
  direction.way.resize(random_.Below(direction.way.size() + 1));
}

// The side opposite of `from` learns that the stream is over, behind what is on its way.
void Connection::EndBehind(Side from, Nanos delay) {
  Direction& direction = directions_[Index(from)];
  if (direction.ending) return;
  const Side to = Other(from);
  direction.last = std::max(direction.last, world_.now() + delay);
  direction.way.push_back({direction.last,
                           [this, to] {
                             End& end = ends_[Index(to)];
                             if (end.closed) return;
                             end.closed = true;
                             // What it still had to say is lost; that it is gone is not.
                             std::erase_if(directions_[Index(to)].way,
                                           [](const Message& m) { return !m.end; });
                             EndBehind(to, latency_);
                             if (end.lost) end.lost();
                           },
                           true});
  direction.ending = true;
  Pump(from);
}

void Connection::Close(Side by) {
  End& end = ends_[Index(by)];
  if (end.closed) return;
  EndBehind(by, latency_);
  end.closed = true;
  end.lost = nullptr;
  directions_[Index(Other(by))].way.clear();
}

void Connection::Die(Side side) {
  End& end = ends_[Index(side)];
  if (end.closed) return;
  LoseSome(directions_[Index(side)]);
  Close(side);
}

void Connection::Cut() {
  for (Side from : {Side::kDrone, Side::kQueen}) {
    Direction& direction = directions_[Index(from)];
    if (direction.ending) continue;
    LoseSome(direction);
    // One side may take long to find out: nothing tells it but its own timeouts.
    EndBehind(from, random_.OneIn(4) ? random_.Between(0, 40 * kSecond) : random_.Between(0, kSecond));
  }
}

}  // namespace waggle::sim
