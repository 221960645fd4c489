#pragma once

#include <chrono>
#include <cstdint>

namespace waggle {

// CLOCK_BOOTTIME: counts suspend, never steps. Every duration in Waggle is measured on it.
struct BootClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;
  static time_point now();
};

using Time = BootClock::time_point;
using Duration = std::chrono::nanoseconds;

// Wall time in milliseconds since the Unix epoch. Only ever shown; no decision depends on it but how long
// certificates and invitations are valid and ended logs are kept. 0 = not known.
using WallMillis = std::int64_t;
WallMillis WallNow();

}  // namespace waggle
