#include "queen/store/sqlite/quarantine.h"

#include <spdlog/spdlog.h>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"

namespace waggle::queen::sqlite {
namespace {

constexpr const char* kOperation = "write table quarantine";

absl::Status MoveOne(Connection& connection, const BadRow& row) {
  ASSIGN_OR_RETURN(
      Statement insert,
      connection.Prepare("INSERT INTO quarantine(table_name,row_key,reason,raw,at) VALUES(?,?,?,?,?)",
                         kOperation));
  insert.BindText(row.table);
  insert.BindInt(row.key);
  insert.BindText(row.reason);
  insert.BindText(row.raw);
  insert.BindInt(WallNow());
  RETURN_IF_ERROR(insert.Run());
  std::string remove = absl::StrCat("DELETE FROM ", row.table, " WHERE ", row.key_column, "=?");
  ASSIGN_OR_RETURN(Statement statement, connection.Prepare(remove, kOperation));
  statement.BindInt(row.key);
  return statement.Run();
}

}  // namespace

absl::Status MoveToQuarantine(Connection& connection, const std::vector<BadRow>& rows) {
  if (rows.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(connection.Begin(kOperation));
  absl::Status status;
  for (const BadRow& row : rows) {
    status = MoveOne(connection, row);
    if (!status.ok()) break;
  }
  if (status.ok()) status = connection.Commit(kOperation);
  if (!status.ok()) connection.Rollback();
  for (const BadRow& row : rows) {
    spdlog::error("row {} of table {} cannot be read and is {}: {}", row.key, row.table,
                  status.ok() ? "set aside in table quarantine" : "left out", row.reason);
  }
  return status;
}

}  // namespace waggle::queen::sqlite
