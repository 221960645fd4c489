#pragma once

#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "common/base/ids.h"
#include "queen/core/rows.h"

// Logs whose time is over (retention.logs).
namespace waggle::queen {

// The attempt whose log, late log or index a file below the folder of all logs is, by its name.
std::optional<Epoch> EpochOfLogFile(const std::string& name);

// Deletes the files of these attempts below the folder of all logs, durably; what is not there is no error.
// Epochs near each other share a directory, which is read once.
absl::Status DeleteLogFiles(const std::string& logs, const std::set<Epoch>& epochs);

// NotFound, with what a person is told instead of the log; OK while it is stored.
absl::Status CheckLogKept(const AttemptRow& attempt);

}  // namespace waggle::queen
