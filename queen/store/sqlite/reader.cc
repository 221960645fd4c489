#include "queen/store/sqlite/reader.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "queen/store/sqlite/row_codec.h"

namespace waggle::queen::sqlite {
namespace {

// Ids above the largest integer of SQLite were never stored: as "before" they mean "from the newest".
std::int64_t Clamp(std::uint64_t value) {
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(std::min(value, static_cast<std::uint64_t>(kMax)));
}

// Never was, or was set aside at a start because it could not be decoded.
template <typename Table>
absl::Status Missing(Connection& connection, std::uint64_t key) {
  ASSIGN_OR_RETURN(Statement statement,
                   connection.Prepare("SELECT reason FROM quarantine WHERE table_name=? AND row_key=?",
                                      "read table quarantine"));
  statement.BindText(Table::kName);
  statement.BindInt(Clamp(key));
  ASSIGN_OR_RETURN(bool aside, statement.Step());
  if (!aside) return absl::NotFoundError(absl::StrCat("there is no ", Table::kNoun, " ", key));
  return absl::DataLossError(absl::StrCat(
      Table::kNoun, " ", key,
      " could not be read when the queen started and was set aside: ", std::string(statement.Bytes(0)),
      "\nnext: look at table quarantine of the database, or restore a backup"));
}

template <typename Table>
absl::StatusOr<typename Table::Row> ReadOne(Connection& connection, std::uint64_t key) {
  static const std::string sql =
      absl::StrCat("SELECT ", Columns<Table>(), " FROM ", Table::kName, " WHERE ", Table::kKey, "=?");
  static const std::string operation = absl::StrCat("read table ", Table::kName);
  ASSIGN_OR_RETURN(Statement statement, connection.Prepare(sql, operation));
  statement.BindInt(Clamp(key));
  ASSIGN_OR_RETURN(bool found, statement.Step());
  if (!found) return Missing<Table>(connection, key);
  typename Table::Row row;
  absl::Status decoded = ReadRow<Table>(statement, &row);
  if (decoded.ok()) return row;
  return absl::DataLossError(absl::StrCat(operation, ", ", Table::kKey, " ", key, " in ", connection.path(),
                                          ": ", decoded.message(), "; restore the row from a backup"));
}

struct Page {
  std::uint32_t stored = 0;  // rows that matched, including those left out
  std::int64_t last = 0;     // key of the last of them
};

// Parameters: 1 before, 2 limit, then the run if there is one, then the states.
std::string JobsSql(bool by_run, std::size_t states) {
  std::string sql = absl::StrCat("SELECT ", Columns<JobTable>(), " FROM jobs ");
  if (by_run) {
    absl::StrAppend(&sql, "INDEXED BY jobs_by_run WHERE run=?3 AND id<?1");
    for (std::size_t i = 0; i < states; ++i) absl::StrAppend(&sql, i == 0 ? " AND state IN (?" : ",?", i + 4);
    if (states > 0) absl::StrAppend(&sql, ")");
  } else if (states == 0) {
    absl::StrAppend(&sql, "WHERE id<?1");
  } else {
    // The newest of each state from the index, then the newest of those: never reads past other states' jobs.
    for (std::size_t i = 0; i < states; ++i) {
      absl::StrAppend(&sql, i == 0 ? "WHERE id IN (" : " UNION ALL ", "SELECT * FROM (SELECT id FROM jobs ",
                      "INDEXED BY jobs_by_state WHERE state=?", i + 3,
                      " AND id<?1 ORDER BY id DESC LIMIT ?2)");
    }
    absl::StrAppend(&sql, ")");
  }
  return absl::StrCat(sql, " ORDER BY id DESC LIMIT ?2");
}

absl::StatusOr<Page> ReadPage(Connection& connection, const JobQuery& query,
                              const std::vector<JobState>& states, std::int64_t before, std::uint32_t limit,
                              std::vector<JobRow>* rows) {
  std::string sql = JobsSql(static_cast<bool>(query.run), states.size());
  ASSIGN_OR_RETURN(Statement statement, connection.Prepare(sql, "list table jobs"));
  statement.BindInt(before);
  statement.BindInt(limit);
  if (query.run) statement.BindInt(Clamp(query.run.value()));
  for (JobState state : states) statement.BindInt(static_cast<std::int64_t>(state));
  Page page;
  while (true) {
    ASSIGN_OR_RETURN(bool more, statement.Step());
    if (!more) return page;
    ++page.stored;
    page.last = statement.Int(0);
    JobRow row;
    if (ReadRow<JobTable>(statement, &row).ok()) rows->push_back(std::move(row));
  }
}

}  // namespace

absl::StatusOr<JobRow> ReadJob(Connection& connection, JobId id) {
  return ReadOne<JobTable>(connection, id.value());
}

absl::StatusOr<RunRow> ReadRun(Connection& connection, RunId id) {
  return ReadOne<RunTable>(connection, id.value());
}

// Runs are few beside jobs, and walked from the newest: a filter needs no index of its own.
absl::StatusOr<std::vector<RunRow>> ReadRuns(Connection& connection, const RunQuery& query) {
  static const std::string sql =
      absl::StrCat("SELECT ", Columns<RunTable>(), " FROM runs WHERE id<?1 ORDER BY id DESC");
  ASSIGN_OR_RETURN(Statement statement, connection.Prepare(sql, "list table runs"));
  statement.BindInt(query.before ? Clamp(query.before.value()) : std::numeric_limits<std::int64_t>::max());
  std::vector<RunRow> rows;
  while (rows.size() < query.limit) {
    ASSIGN_OR_RETURN(bool more, statement.Step());
    if (!more) break;
    RunRow row;
    if (!ReadRow<RunTable>(statement, &row).ok()) continue;
    const bool wanted = query.states.empty() ||
                        std::find(query.states.begin(), query.states.end(), row.state) != query.states.end();
    if (wanted && (query.branch.empty() || query.branch == row.branch)) rows.push_back(std::move(row));
  }
  return rows;
}

absl::StatusOr<std::map<JobState, std::uint32_t>> ReadCounts(Connection& connection, RunId run) {
  ASSIGN_OR_RETURN(Statement statement,
                   connection.Prepare("SELECT state,count(*) FROM jobs INDEXED BY jobs_by_run WHERE run=? "
                                      "GROUP BY state",
                                      "count the jobs of a run"));
  statement.BindInt(Clamp(run.value()));
  std::map<JobState, std::uint32_t> counts;
  while (true) {
    ASSIGN_OR_RETURN(bool more, statement.Step());
    if (!more) return counts;
    counts[static_cast<JobState>(statement.Int(0))] = static_cast<std::uint32_t>(statement.Int(1));
  }
}

absl::StatusOr<AttemptRow> ReadAttempt(Connection& connection, Epoch epoch) {
  return ReadOne<AttemptTable>(connection, epoch.value());
}

absl::StatusOr<std::vector<JobRow>> ReadJobs(Connection& connection, const JobQuery& query) {
  std::vector<JobState> states = query.states;
  std::sort(states.begin(), states.end());
  states.erase(std::unique(states.begin(), states.end()), states.end());
  // What is no state matches nothing; dropping it also bounds the number of different statements.
  std::erase_if(states, [](JobState s) { return s < JobState::kCreated || s > JobState::kSkipped; });
  std::vector<JobRow> rows;
  if (!query.states.empty() && states.empty()) return rows;
  std::int64_t before = query.before ? Clamp(query.before.value()) : std::numeric_limits<std::int64_t>::max();
  // Usually one turn; another one makes up for rows that could not be decoded, so that a short list means the
  // end.
  while (rows.size() < query.limit) {
    auto missing = static_cast<std::uint32_t>(query.limit - rows.size());
    ASSIGN_OR_RETURN(Page page, ReadPage(connection, query, states, before, missing, &rows));
    if (page.stored < missing) break;
    before = page.last;
  }
  return rows;
}

absl::StatusOr<std::vector<AttemptRow>> ReadAttempts(Connection& connection, JobId job) {
  static const std::string sql =
      absl::StrCat("SELECT ", Columns<AttemptTable>(), " FROM attempts WHERE job=? ORDER BY epoch");
  ASSIGN_OR_RETURN(Statement statement, connection.Prepare(sql, "list table attempts"));
  statement.BindInt(Clamp(job.value()));
  std::vector<AttemptRow> rows;
  while (true) {
    ASSIGN_OR_RETURN(bool more, statement.Step());
    if (!more) return rows;
    AttemptRow row;
    if (ReadRow<AttemptTable>(statement, &row).ok()) rows.push_back(std::move(row));
  }
}

absl::StatusOr<std::string> ReadDocument(Connection& connection, JobId job) {
  ASSIGN_OR_RETURN(Statement statement,
                   connection.Prepare("SELECT bytes FROM documents WHERE job=?", "read table documents"));
  statement.BindInt(Clamp(job.value()));
  ASSIGN_OR_RETURN(bool found, statement.Step());
  if (!found)
    return absl::NotFoundError(absl::StrCat("read table documents: there is none of job ", job.value()));
  return std::string(statement.Bytes(0));
}

absl::StatusOr<SubmissionRow> ReadSubmission(Connection& connection, const std::string& key) {
  ASSIGN_OR_RETURN(Statement statement,
                   connection.Prepare("SELECT digest,job,run,created FROM submissions WHERE key=?",
                                      "read table submissions"));
  statement.BindText(key);
  ASSIGN_OR_RETURN(bool found, statement.Step());
  if (!found) return absl::NotFoundError("read table submissions: nothing was submitted under this key");
  return SubmissionRow{key, std::string(statement.Bytes(0)),
                       JobId(static_cast<std::uint64_t>(statement.Int(1))),
                       RunId(static_cast<std::uint64_t>(statement.Int(2))), statement.Int(3)};
}

}  // namespace waggle::queen::sqlite
