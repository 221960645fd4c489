#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "tests/sim/plan.h"
#include "tests/sim/world.h"

namespace waggle::sim {

struct Totals {
  std::uint64_t seeds = 0, twice = 0, steps = 0;
  Nanos virtual_time = 0;
  std::array<std::uint64_t, kFaultKinds> faults{};
  std::array<std::uint64_t, kRarePaths> rare{};
  std::optional<std::uint64_t> failed;  // the lowest seed that did
  std::string invariant, text;
};

// Runs seeds first … first + count - 1 in `workers` threads, each world in one of them; every hundredth
// twice, which must come out the same. Stops soon after the first seed that fails.
Totals RunSeeds(std::uint64_t first, std::uint64_t count, unsigned workers);

// Leaves out faults and jobs while the seed still fails in the same way, for at most `seconds`.
Plan Shrink(std::uint64_t seed, const std::string& invariant, int seconds);

// "3,5,8" of what is kept; "" of nothing.
std::string KeptText(const std::vector<bool>& kept);
// The reverse; false when it is not such a list or names what is not there.
bool ParseKept(const std::string& text, std::vector<bool>* kept);

}  // namespace waggle::sim
