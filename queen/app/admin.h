#pragma once

#include <vector>

#include "common/config/command_line.h"

namespace waggle::queen {

// `queen invite`, `queen peers`, `queen revoke`: what an administrator asks of a running queen over her own
// socket; and `queen check` (check.h).
std::vector<config::Verb> AdminVerbs();

}  // namespace waggle::queen
