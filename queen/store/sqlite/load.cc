#include "queen/store/sqlite/load.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/failpoint.h"
#include "common/base/planted.h"
#include "common/base/status_macros.h"
#include "queen/store/sqlite/quarantine.h"
#include "queen/store/sqlite/row_codec.h"

namespace waggle::queen::sqlite {
namespace {

// JobState::kPassed is the first one that has ended. The index is named because without statistics the
// planner could prefer to walk the whole table in order of id.
static_assert(static_cast<int>(JobState::kPassed) == 5 && IsTerminal(JobState::kPassed) &&
              !IsTerminal(JobState::kStarted));
constexpr const char* kUnfinished = "jobs INDEXED BY jobs_by_state WHERE state < 5";

std::string JobsSql() {
  return absl::StrCat("SELECT ", Columns<JobTable>(), " FROM ", kUnfinished, " ORDER BY id");
}

std::string AttemptsSql() {
  return absl::StrCat("SELECT ", Columns<AttemptTable>(), " FROM attempts WHERE epoch IN (",
                      "SELECT attempt FROM ", kUnfinished, " UNION SELECT epoch FROM attempts ",
                      "INDEXED BY attempts_with_open_log WHERE log_closed = 0) ORDER BY epoch");
}

constexpr const char* kAwaiting = "attempts INDEXED BY attempts_awaiting WHERE late_awaited = 1";

std::string AwaitingSql() {
  return absl::StrCat("SELECT ", Columns<AttemptTable>(), " FROM ", kAwaiting, " ORDER BY epoch");
}
std::string AwaitingJobsSql() {
  return absl::StrCat("SELECT ", Columns<JobTable>(), " FROM jobs WHERE id IN (SELECT job FROM ", kAwaiting,
                      ")");
}

// The unfinished jobs of a run are loaded anyway.
std::string RunsSql() {
  return absl::StrCat("SELECT ", Columns<RunTable>(), " FROM runs WHERE id IN (SELECT run FROM ", kUnfinished,
                      ") ORDER BY id");
}
std::string RunJobsSql() {
  return absl::StrCat("SELECT ", Columns<JobTable>(), " FROM jobs INDEXED BY jobs_by_run WHERE run IN (",
                      "SELECT run FROM ", kUnfinished, " AND run > 0) AND state > 4 ORDER BY id");
}

// Ids in the quarantine were used too.
std::string LargestSql(const char* table, const char* column) {
  return absl::StrCat("SELECT max(ifnull((SELECT max(", column, ") FROM ", table,
                      "),0), ifnull((SELECT max(row_key) FROM quarantine WHERE table_name='", table,
                      "'),0))");
}

// What all parts of a load need.
struct Loading {
  Connection& connection;
  Breadcrumb& crumb;
};

// Decodes the row a statement stands at; the process may die of it.
template <typename Table>
absl::Status Decode(Breadcrumb& crumb, const Statement& statement, typename Table::Row* row) {
  const std::int64_t key = statement.Int(0);
  if (crumb.IsDeadly(Table::kName, key)) {
    return absl::DataLossError(
        absl::StrCat("the queen died ", Breadcrumb::kDeaths, " times while she read it"));
  }
  crumb.Hold(Table::kName, key);
  failpoint::Pass("queen.recovery.row");
  return ReadRow<Table>(statement, row);
}

template <typename Table>
absl::Status Select(const Loading& loading, const std::string& sql, std::vector<typename Table::Row>* rows,
                    std::vector<BadRow>* bad) {
  std::string operation = absl::StrCat("load table ", Table::kName);
  ASSIGN_OR_RETURN(Statement statement, loading.connection.Prepare(sql, operation));
  while (true) {
    ASSIGN_OR_RETURN(bool more, statement.Step());
    if (!more) return absl::OkStatus();
    typename Table::Row row;
    absl::Status decoded = Decode<Table>(loading.crumb, statement, &row);
    if (decoded.ok()) {
      rows->push_back(std::move(row));
    } else if (planted::Is(planted::kBadRowStopsLoad)) {
      return decoded;
    } else {
      bad->push_back(
          {Table::kName, Table::kKey, statement.Int(0), std::string(decoded.message()), RawRow(statement)});
    }
  }
}

absl::Status RaiseTo(Connection& connection, const std::string& sql, std::uint64_t* counter) {
  ASSIGN_OR_RETURN(std::int64_t largest, connection.QueryInt(sql, "load table counters"));
  if (largest > 0) *counter = std::max(*counter, static_cast<std::uint64_t>(largest));
  return absl::OkStatus();
}

absl::StatusOr<Counters> LoadCounters(const Loading& loading, std::vector<BadRow>* bad) {
  std::vector<CountersRow> rows;
  RETURN_IF_ERROR(Select<CountersTable>(
      loading, absl::StrCat("SELECT ", Columns<CountersTable>(), " FROM counters"), &rows, bad));
  Connection& connection = loading.connection;
  Counters counters;
  if (!rows.empty()) counters = rows.front().counters;
  RETURN_IF_ERROR(RaiseTo(connection, LargestSql("jobs", "id"), &counters.job));
  RETURN_IF_ERROR(RaiseTo(connection, LargestSql("runs", "id"), &counters.run));
  RETURN_IF_ERROR(RaiseTo(connection, LargestSql("drones", "id"), &counters.drone));
  RETURN_IF_ERROR(RaiseTo(connection, LargestSql("attempts", "epoch"), &counters.epoch));
  RETURN_IF_ERROR(RaiseTo(connection, "SELECT max(session) FROM drones", &counters.session));
  RETURN_IF_ERROR(RaiseTo(connection, LargestSql("invitations", "id"), &counters.peer));
  return counters;
}

absl::Status LoadAwaited(const Loading& loading, std::vector<Snapshot::Awaited>* awaited,
                         std::vector<BadRow>* bad) {
  std::vector<AttemptRow> attempts;
  std::vector<JobRow> jobs;
  std::vector<BadRow> worse;
  RETURN_IF_ERROR(Select<AttemptTable>(loading, AwaitingSql(), &attempts, &worse));
  RETURN_IF_ERROR(Select<JobTable>(loading, AwaitingJobsSql(), &jobs, &worse));
  for (BadRow& row : worse) {  // one that is damaged may have come up among the unfinished ones already
    const bool known = std::any_of(bad->begin(), bad->end(), [&](const BadRow& other) {
      return other.table == row.table && other.key == row.key;
    });
    if (!known) bad->push_back(std::move(row));
  }
  for (AttemptRow& attempt : attempts) {
    auto job =
        std::find_if(jobs.begin(), jobs.end(), [&](const JobRow& row) { return row.id == attempt.job; });
    if (job != jobs.end()) awaited->push_back({*job, std::move(attempt)});
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<std::string> LoadStatements() {
  return {JobsSql(),
          AttemptsSql(),
          AwaitingSql(),
          AwaitingJobsSql(),
          RunsSql(),
          RunJobsSql(),
          LargestSql("jobs", "id"),
          LargestSql("runs", "id"),
          LargestSql("attempts", "epoch")};
}

absl::StatusOr<Snapshot> LoadSnapshot(Connection& connection, Breadcrumb& crumb) {
  const Loading loading{connection, crumb};
  Snapshot snapshot;
  std::vector<BadRow> bad;
  ASSIGN_OR_RETURN(snapshot.counters, LoadCounters(loading, &bad));
  RETURN_IF_ERROR(Select<JobTable>(loading, JobsSql(), &snapshot.jobs, &bad));
  RETURN_IF_ERROR(Select<AttemptTable>(loading, AttemptsSql(), &snapshot.attempts, &bad));
  RETURN_IF_ERROR(
      Select<DroneTable>(loading, absl::StrCat("SELECT ", Columns<DroneTable>(), " FROM drones ORDER BY id"),
                         &snapshot.drones, &bad));
  RETURN_IF_ERROR(Select<PeerTable>(loading,
                                    absl::StrCat("SELECT ", Columns<PeerTable>(), " FROM peers ORDER BY id"),
                                    &snapshot.peers, &bad));
  RETURN_IF_ERROR(Select<InvitationTable>(
      loading, absl::StrCat("SELECT ", Columns<InvitationTable>(), " FROM invitations ORDER BY id"),
      &snapshot.invitations, &bad));
  RETURN_IF_ERROR(Select<RestoreTable>(
      loading,
      absl::StrCat("SELECT ", Columns<RestoreTable>(), " FROM restores ORDER BY last_epoch = 0, first_epoch"),
      &snapshot.restores, &bad));
  RETURN_IF_ERROR(Select<RunTable>(loading, RunsSql(), &snapshot.runs, &bad));
  RETURN_IF_ERROR(Select<JobTable>(loading, RunJobsSql(), &snapshot.run_jobs, &bad));
  RETURN_IF_ERROR(LoadAwaited(loading, &snapshot.awaited, &bad));
  crumb.Drop();
  absl::Status moved = MoveToQuarantine(connection, bad);
  if (!moved.ok() && !absl::IsResourceExhausted(moved)) return moved;
  return snapshot;
}

}  // namespace waggle::queen::sqlite
