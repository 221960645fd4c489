#pragma once

#include <vector>

#include "common/config/command_line.h"

namespace waggle::queen {

// `queen backup DIR`: copies the database and her authority into a new directory, while she runs too.
// `queen restore DIR`: puts them back, while no queen runs, and marks that a time is missing
// (hive_restore.cc). Logs are no part of it: they are files that only grow, below DATA/logs.
std::vector<config::Verb> BackupVerbs();

}  // namespace waggle::queen
