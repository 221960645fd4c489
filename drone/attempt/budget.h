#pragma once

#include <cstdint>
#include <string>

namespace waggle::attempt {

// The spool budget of a drone with so many slots, in bytes: what its owner set, or, with 0,
// limits::kSpoolBudget or a tenth of the space that would be free without the spools, whichever is less. Not
// below what lets every slot get on: each may hold a segment whose records are all acknowledged. Nor, unset,
// below 16 MiB: a disk that is full now may be free in a moment, and until then it says so itself.
std::uint64_t SpoolBudgetOf(std::uint64_t set, const std::string& attempts, std::uint32_t slots);

}  // namespace waggle::attempt
