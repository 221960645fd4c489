#pragma once

#include <cstdint>
#include <string>

#include "common/base/clock.h"
#include "tests/sim/random.h"

// What a chaos proxy (chaos_proxy.h) does to the connections that pass it, as plain data.
namespace waggle::test {

enum class Way : std::uint8_t { kUp, kDown };  // up: from who connected to the target; down: back
constexpr Way Other(Way way) {
  return way == Way::kUp ? Way::kDown : Way::kUp;
}

// Of one direction of every connection.
struct WayFaults {
  Duration delay{};        // of every byte
  Duration jitter{};       // up to so much more; the order of the bytes is kept
  std::uint64_t rate = 0;  // bytes per second of a connection; 0: no limit
  // Bytes and ends are taken and lost, the other side hears nothing. A stream that lost something is never
  // continued (no network does that): the connection is cut when the hole is gone.
  bool black_hole = false;
  bool stalled = false;  // nothing is read: whoever sends feels back-pressure

  bool operator==(const WayFaults&) const = default;
};

// What happens to who connects.
enum class Door : std::uint8_t {
  kOpen,
  kRefusing,  // ECONNREFUSED
  kSilent,    // accepted, and connected on when the door is open again
};

struct Faults {
  WayFaults up, down;
  Door door = Door::kOpen;

  const WayFaults& of(Way way) const { return way == Way::kUp ? up : down; }
  bool operator==(const Faults&) const = default;
};

// One thing to do to a proxy, and how long it lasts before the next.
struct ChaosStep {
  enum class Act : std::uint8_t {
    kSet,       // `faults` hold from now on; none: heal
    kCutAll,    // and `faults` hold from now on: a cut with a closed door is an outage
    kCutAfter,  // the connection that carries the `bytes`-th byte of `way` from now on
  };
  Act act = Act::kSet;
  Duration lasts{};
  Faults faults;
  Way way = Way::kUp;
  std::uint64_t bytes = 0;

  bool operator==(const ChaosStep&) const = default;
};
std::string Text(const ChaosStep& step);  // "cut after 17 bytes up, for 120 ms"

// An endless sequence of steps, the same for the same seed with every compiler: a fault, then a time without
// one in which things may go on, and so forth. Durations are 10 ms to `longest`, mostly short; whoever
// performs the steps keeps the time. Pure. One thread.
class ChaosScript {
 public:
  explicit ChaosScript(std::uint64_t seed, Duration longest = std::chrono::seconds(5))
      : longest_(longest), random_(seed, "chaos") {}

  ChaosStep Next();

 private:
  ChaosStep Fault();

  const Duration longest_;
  sim::Random random_;
  bool hurt_ = false;  // the last step was a fault
};

}  // namespace waggle::test
