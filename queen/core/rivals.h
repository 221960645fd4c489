#pragma once

#include <cstddef>
#include <deque>
#include <string>

#include "common/base/clock.h"

namespace waggle::queen {

inline constexpr int kSwaps = 3;  // within kSwapWindow; one more, and the drone gets no new work
inline constexpr Duration kSwapWindow = std::chrono::minutes(10);

// Tells a drone whose key was copied from one that only connects again. A swap is a session from a place that
// was deposed by a session from another place and comes back: a drone that is restarted, reconnects or moves
// to another host never makes one, because a place (Hello.place) is the same for every start of one data
// directory on one boot of a host, and is left for good when the host boots again. Pure, of one drone, O(1);
// forgotten when the queen restarts.
class Rivals {
 public:
  // A session from `place` opens and ends one from `deposed`; "": none was open, or an older drone did not
  // say. How many swaps there were within kSwapWindow, if this is one of them; else 0.
  int OnSession(const std::string& place, const std::string& deposed, Time now);

 private:
  static constexpr std::size_t kPlaces = 8;  // remembered: more copies than anybody makes by mistake

  std::deque<std::string> deposed_;  // that have not come back
  std::deque<Time> swaps_;           // the newest ones, at most kSwaps + 1
};

}  // namespace waggle::queen
