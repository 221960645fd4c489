#pragma once

#include <string>

#include "common/journal/events.h"

namespace waggle::queen {

// What no shim says of the exit codes in a final record, as one sentence; "" = nothing. A verdict is made
// from them.
std::string Contradiction(const journal::Final& final);

}  // namespace waggle::queen
