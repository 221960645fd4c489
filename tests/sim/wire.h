#pragma once

#include <string>

#include "drone/core/messages.h"
#include "queen/core/events.h"

// What hive.proto and its conversions do between the two cores, without the bytes.
namespace waggle::sim {

queen::Event ToQueen(const drone::ControlUp& message, queen::ConnectionId connection,
                     const std::string& name);
// `document`: of an Assign.
drone::ControlDown ToDrone(const queen::ToDrone& message, const std::string& document);

}  // namespace waggle::sim
