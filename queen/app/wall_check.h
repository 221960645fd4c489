#pragma once

#include <string>

#include "common/base/clock.h"

namespace waggle::queen {

// Whether the wall clock may decide that something is old. A clock that jumped ahead by ten years makes
// everything old at once; so after a jump nothing is old for a day, in which somebody can read the queen's
// log and set it right.
//
// A jump is seen while the queen runs, because the boot clock never steps; and at her start, when the clock
// is far ahead of the newest thing she has stored (then she was perhaps only away for long, and a day is no
// loss). Pure; one thread.
class WallCheck {
 public:
  static constexpr Duration kStep = std::chrono::minutes(10);    // between two looks; less is no jump
  static constexpr Duration kAway = std::chrono::hours(7 * 24);  // since the newest thing stored
  static constexpr Duration kPause = std::chrono::hours(24);

  // `newest`: of what is stored; 0 = nothing is.
  WallCheck(Time boot, WallMillis wall, WallMillis newest);

  // "": it may decide. Else why not, one sentence for people, to go on with what waits.
  std::string Look(Time boot, WallMillis wall);

 private:
  Time boot_;
  WallMillis wall_;
  Time again_;
  std::string why_;  // of the pause until again_
};

}  // namespace waggle::queen
