#pragma once

#include <cstdint>

#include "queen/store/store.h"

namespace waggle::queen {

// Rows with every field set to something that no other field has and that depends on `n`.
JobRow FullJob(std::uint64_t n);
AttemptRow FullAttempt(std::uint64_t n);
DroneRow FullDrone(std::uint64_t n);
RunRow FullRun(std::uint64_t n);
Counters FullCounters(std::uint64_t n);

// Field by field; a field added to a row does not compile until it is compared.
bool operator==(const JobRow& a, const JobRow& b);
bool operator==(const AttemptRow& a, const AttemptRow& b);
bool operator==(const DroneRow& a, const DroneRow& b);
bool operator==(const RunRow& a, const RunRow& b);
bool operator==(const Counters& a, const Counters& b);

}  // namespace waggle::queen
