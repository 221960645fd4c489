#pragma once

#include "common/config/command_line.h"

namespace waggle::drone {

// `drone enroll URL --token INVITATION`: makes this host a drone of a queen on another one.
config::Verb EnrolVerb();

}  // namespace waggle::drone
