#pragma once

#include "common/config/key.h"

namespace waggle::drone {

// The settings of a drone; its files are /etc/drone/drone.yaml and /etc/drone/drone.d/*.yaml.
extern const config::Program kProgram;

}  // namespace waggle::drone
