#pragma once

#include "common/config/command_line.h"

namespace waggle::drone {

// `drone plugins`: what is installed on this host and why something is not offered. Needs no running drone.
config::Verb PluginsVerb();

}  // namespace waggle::drone
