#include "queen/app/wall_check.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace waggle::queen {
namespace {

std::string Span(std::chrono::milliseconds span) {
  return absl::FormatDuration(absl::Trunc(absl::FromChrono(span), absl::Seconds(1)));
}

}  // namespace

WallCheck::WallCheck(Time boot, WallMillis wall, WallMillis newest) : boot_(boot), wall_(wall), again_(boot) {
  const std::chrono::milliseconds ahead(wall - newest);
  if (newest == 0 || ahead < kAway) return;
  again_ = boot + kPause;
  why_ = absl::StrCat("the clock is ", Span(ahead), " ahead of the newest job");
}

std::string WallCheck::Look(Time boot, WallMillis wall) {
  const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(boot - boot_);
  const std::chrono::milliseconds step = std::chrono::milliseconds(wall - wall_) - passed;
  boot_ = boot;
  wall_ = wall;
  if (step > kStep || step < -kStep) {
    again_ = boot + kPause;
    why_ = absl::StrCat("the clock stepped ", step > step.zero() ? "ahead by " : "back by ",
                        Span(step > step.zero() ? step : -step));
  }
  return boot < again_ ? why_ : "";
}

}  // namespace waggle::queen
