#pragma once

#include "common/config/command_line.h"

namespace waggle::queen {

// `queen check`: looks at everything below the data directory and changes nothing. One line for each thing, ✓
// or ✗ with what is wrong; 1 when anything is. Database and logs are only looked at while no queen runs on
// them.
config::Verb CheckVerb();

}  // namespace waggle::queen
