#pragma once

#include <span>

#include "absl/status/status.h"
#include "queen/store/sqlite/connection.h"

namespace waggle::queen::sqlite {

// One step of the schema. Released steps are never edited, only followed by new ones.
struct Migration {
  const char* purpose;
  const char* sql;
};

// All steps in order; the schema version (user_version) is how many of them were applied.
std::span<const Migration> Migrations();

// Reads what the file is, changing nothing. FailedPrecondition: a newer queen wrote it, or another program
// did. DataLoss: it is no database at all.
absl::Status CheckSchema(Connection& connection, std::span<const Migration> known);

// Applies the missing steps, each in one transaction with its version: a crash leaves the old or the new
// schema.
absl::Status Migrate(Connection& connection, std::span<const Migration> known);

}  // namespace waggle::queen::sqlite
