#include "common/base/clock.h"

#include <time.h>

namespace waggle {

BootClock::time_point BootClock::now() {
  timespec ts;
  ::clock_gettime(CLOCK_BOOTTIME, &ts);
  return time_point(std::chrono::seconds(ts.tv_sec) + std::chrono::nanoseconds(ts.tv_nsec));
}

WallMillis WallNow() {
  timespec ts;
  ::clock_gettime(CLOCK_REALTIME, &ts);
  return static_cast<WallMillis>(ts.tv_sec) * 1000 + ts.tv_nsec / 1'000'000;
}

}  // namespace waggle
