#include "queen/core/rivals.h"

#include <algorithm>

namespace waggle::queen {

int Rivals::OnSession(const std::string& place, const std::string& deposed, Time now) {
  if (place.empty()) return 0;
  const auto found = std::find(deposed_.begin(), deposed_.end(), place);
  const bool returns = found != deposed_.end();
  if (returns) deposed_.erase(found);
  if (!deposed.empty() && deposed != place) {
    std::erase(deposed_, deposed);
    deposed_.push_back(deposed);
    if (deposed_.size() > kPlaces) deposed_.pop_front();
  }
  if (!returns) return 0;
  swaps_.push_back(now);
  while (now - swaps_.front() >= kSwapWindow || swaps_.size() > kSwaps + 1) swaps_.pop_front();
  return static_cast<int>(swaps_.size());
}

}  // namespace waggle::queen
