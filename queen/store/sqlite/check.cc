#include "queen/store/sqlite/check.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "queen/store/sqlite/connection.h"
#include "queen/store/sqlite/migrations.h"
#include "queen/store/sqlite/row_codec.h"

namespace waggle::queen {
namespace {

using sqlite::Connection;
using sqlite::Statement;

template <typename Table, typename Visit>
absl::Status Walk(Connection& connection, StoreReport* report, Visit visit) {
  const std::string sql =
      absl::StrCat("SELECT ", sqlite::Columns<Table>(), " FROM ", Table::kName, " ORDER BY 1");
  ASSIGN_OR_RETURN(Statement statement, connection.Prepare(sql, "check the rows"));
  std::uint64_t& good = report->rows[Table::kName];
  while (true) {
    ASSIGN_OR_RETURN(bool more, statement.Step());
    if (!more) return absl::OkStatus();
    typename Table::Row row;
    absl::Status decoded = sqlite::ReadRow<Table>(statement, &row);
    if (decoded.ok()) {
      ++good;
      visit(row);
    } else {
      report->bad.push_back({Table::kName, statement.Int(0), std::string(decoded.message())});
    }
  }
}

template <typename Table>
absl::Status Walk(Connection& connection, StoreReport* report) {
  return Walk<Table>(connection, report, [](const typename Table::Row&) {});
}

absl::Status ListQuarantine(Connection& connection, StoreReport* report) {
  ASSIGN_OR_RETURN(Statement statement,
                   connection.Prepare("SELECT table_name, row_key, reason, at FROM quarantine ORDER BY id",
                                      "list the quarantine"));
  while (true) {
    ASSIGN_OR_RETURN(bool more, statement.Step());
    if (!more) return absl::OkStatus();
    report->bad.push_back({std::string(statement.Bytes(0)), statement.Int(1), std::string(statement.Bytes(2)),
                           statement.Int(3)});
  }
}

absl::Status CheckFile(Connection& connection) {
  RETURN_IF_ERROR(sqlite::CheckSchema(connection, sqlite::Migrations()));
  ASSIGN_OR_RETURN(const std::int64_t version,
                   connection.QueryInt("PRAGMA user_version", "read the schema version"));
  if (version < static_cast<std::int64_t>(sqlite::Migrations().size())) {
    return absl::FailedPreconditionError(
        absl::StrCat("database ", connection.path(), " has schema version ", version,
                     ", older than this queen's\nnext: start her once, she brings it up to date"));
  }
  ASSIGN_OR_RETURN(const std::string damage,
                   connection.QueryText("PRAGMA integrity_check(1)", "check the database"));
  if (damage == "ok") return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("database ", connection.path(), " is damaged: ", damage,
                                          "\nnext: go back to a backup with `queen restore DIR`"));
}

}  // namespace

absl::StatusOr<StoreReport> CheckSqliteStore(const std::string& path,
                                             const std::function<void(const AttemptRow&)>& attempt) {
  if (::access(path.c_str(), F_OK) != 0) {
    return absl::NotFoundError(absl::StrCat("there is no database ", path));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<Connection> connection, Connection::Open(path, Connection::Mode::kReader));
  RETURN_IF_ERROR(CheckFile(*connection));
  StoreReport report;
  RETURN_IF_ERROR(ListQuarantine(*connection, &report));
  RETURN_IF_ERROR(Walk<sqlite::JobTable>(*connection, &report));
  RETURN_IF_ERROR(Walk<sqlite::AttemptTable>(*connection, &report, attempt));
  RETURN_IF_ERROR(Walk<sqlite::DroneTable>(*connection, &report));
  RETURN_IF_ERROR(Walk<sqlite::RunTable>(*connection, &report));
  RETURN_IF_ERROR(Walk<sqlite::PeerTable>(*connection, &report));
  RETURN_IF_ERROR(Walk<sqlite::InvitationTable>(*connection, &report));
  RETURN_IF_ERROR(Walk<sqlite::RestoreTable>(*connection, &report));
  return report;
}

}  // namespace waggle::queen
