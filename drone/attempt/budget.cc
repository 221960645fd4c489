#include "drone/attempt/budget.h"

#include <sys/statvfs.h>

#include <algorithm>

#include "common/base/limits.h"
#include "drone/shim/spool_budget.h"

namespace waggle::attempt {
namespace {

constexpr std::uint64_t kPerSlot = 512 * limits::kKiB;  // a segment and the batch that stands over its end
constexpr std::uint64_t kLeastUnset = 16 * limits::kMiB;

std::uint64_t ByTheDisk(const std::string& attempts) {
  struct statvfs disk {};
  if (::statvfs(attempts.c_str(), &disk) != 0) return limits::kSpoolBudget;
  const std::uint64_t free = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
  const std::uint64_t mine = shim::SpoolBudget(attempts, 0).Used();
  return std::clamp<std::uint64_t>((free + mine) / 10, kLeastUnset, limits::kSpoolBudget);
}

}  // namespace

std::uint64_t SpoolBudgetOf(std::uint64_t set, const std::string& attempts, std::uint32_t slots) {
  return std::max(set > 0 ? set : ByTheDisk(attempts), (std::uint64_t{slots} + 1) * kPerSlot);
}

}  // namespace waggle::attempt
