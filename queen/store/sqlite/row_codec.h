#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "queen/store/sqlite/connection.h"
#include "queen/store/sqlite/row_fields.h"

// Rows to columns and back. Numbers and times are integers, enums their stored numbers, maps and lists JSON
// text, a boolean 0 or 1. Invalid UTF-8 inside a map or list is stored as U+FFFD (JSON has no other way); in
// plain text fields every byte is kept. A speed that is no number is stored as 0.
namespace waggle::queen::sqlite {

// "id,run,name,…" in the order that ReadRow() expects.
template <typename Table>
const std::string& Columns();

// Inserts the row or replaces the one with the same key. InvalidArgument: a number above 2^63-1.
template <typename Table>
absl::Status WriteRow(Connection& connection, const typename Table::Row& row);

// Decodes the current row of a statement that selected Columns<Table>(). An error means the stored row is
// bad, and says which column and why.
template <typename Table>
absl::Status ReadRow(const Statement& statement, typename Table::Row* row);

// The current row as one JSON object, whatever it holds: for the quarantine.
std::string RawRow(const Statement& statement);

}  // namespace waggle::queen::sqlite
