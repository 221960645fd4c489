#pragma once

#include <vector>

#include "common/config/command_line.h"

namespace waggle::drone {

// `drone status`, `jobs`, `pause`, `resume`, `drain`, `stop` and `resize`: what the owner of a host asks of
// the daemon that runs on --data, over its socket. They work while the queen is away.
std::vector<config::Verb> ControlVerbs();

}  // namespace waggle::drone
