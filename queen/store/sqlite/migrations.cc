#include "queen/store/sqlite/migrations.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace waggle::queen::sqlite {
namespace {

constexpr std::int64_t kApplicationId = 0x57474c51;  // "WGLQ": marks the file as a queen's

// There are no foreign keys between these tables: a row that cannot be decoded is moved to the quarantine
// alone, and its neighbours must stay usable.
constexpr const char* kFirstTables = R"sql(
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL,               -- 0: submitted as a document
  name TEXT NOT NULL,
  type INTEGER NOT NULL,
  state INTEGER NOT NULL,             -- 1..4 unfinished, 5.. ended
  reason INTEGER NOT NULL,
  detail TEXT NOT NULL,
  priority INTEGER NOT NULL,
  needs TEXT NOT NULL,                -- JSON object of strings
  plugins TEXT NOT NULL,              -- JSON array of strings
  local_only INTEGER NOT NULL,
  repo TEXT NOT NULL,
  branch TEXT NOT NULL,
  revision TEXT NOT NULL,
  attempt INTEGER NOT NULL,           -- epoch of the current attempt, 0: none yet
  drone_name TEXT NOT NULL,           -- of the current attempt
  attempts INTEGER NOT NULL,
  created INTEGER NOT NULL,           -- times: wall milliseconds, 0: not yet
  queued INTEGER NOT NULL,
  received INTEGER NOT NULL,
  started INTEGER NOT NULL,
  finished INTEGER NOT NULL,
  duration_ms INTEGER NOT NULL,
  test_code INTEGER NOT NULL,
  deploy_code INTEGER NOT NULL,
  failed_code INTEGER NOT NULL,
  failed_step TEXT NOT NULL,
  cancel_requested INTEGER NOT NULL,
  cancel_now INTEGER NOT NULL,
  canceled_by TEXT NOT NULL,
  cancel_reason TEXT NOT NULL
) STRICT;
-- A start reads the unfinished jobs, however many have ended; lists filter by state or run, newest first.
CREATE INDEX jobs_by_state ON jobs(state, id);
CREATE INDEX jobs_by_run ON jobs(run, id);

CREATE TABLE attempts (
  epoch INTEGER PRIMARY KEY,
  job INTEGER NOT NULL,
  number INTEGER NOT NULL,
  drone INTEGER NOT NULL,
  drone_name TEXT NOT NULL,
  state INTEGER NOT NULL,
  reason INTEGER NOT NULL,
  detail TEXT NOT NULL,
  granted INTEGER NOT NULL,
  log_closed INTEGER NOT NULL,
  counter INTEGER NOT NULL,
  created INTEGER NOT NULL,
  queued INTEGER NOT NULL,
  received INTEGER NOT NULL,
  started INTEGER NOT NULL,
  finished INTEGER NOT NULL,
  test_code INTEGER NOT NULL,
  deploy_code INTEGER NOT NULL,
  failed_code INTEGER NOT NULL,
  failed_step TEXT NOT NULL,
  last_seq INTEGER NOT NULL
) STRICT;
CREATE INDEX attempts_by_job ON attempts(job, epoch);
CREATE INDEX attempts_with_open_log ON attempts(epoch) WHERE log_closed = 0;

CREATE TABLE drones (
  id INTEGER PRIMARY KEY,
  identity TEXT NOT NULL,
  name TEXT NOT NULL,
  host TEXT NOT NULL,
  version TEXT NOT NULL,
  speed REAL NOT NULL,
  capacity INTEGER NOT NULL,
  labels TEXT NOT NULL,               -- JSON object of strings
  plugins TEXT NOT NULL,              -- JSON object of strings: name to version
  last_seen INTEGER NOT NULL,
  session INTEGER NOT NULL
) STRICT;

CREATE TABLE runs (
  id INTEGER PRIMARY KEY,
  repo TEXT NOT NULL,
  branch TEXT NOT NULL,
  revision TEXT NOT NULL,
  created INTEGER NOT NULL
) STRICT;

-- Apart from jobs, so that lists do not read past them.
CREATE TABLE documents (
  job INTEGER PRIMARY KEY,
  bytes BLOB NOT NULL
) STRICT;

CREATE TABLE counters (
  id INTEGER PRIMARY KEY,             -- always 1
  job INTEGER NOT NULL,
  run INTEGER NOT NULL,
  drone INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  session INTEGER NOT NULL
) STRICT;

-- Rows that could not be decoded, for a person to look at. `raw` is the row as JSON.
CREATE TABLE quarantine (
  id INTEGER PRIMARY KEY,
  table_name TEXT NOT NULL,
  row_key INTEGER NOT NULL,
  reason TEXT NOT NULL,
  raw TEXT NOT NULL,
  at INTEGER NOT NULL                 -- wall milliseconds
) STRICT;
CREATE INDEX quarantine_by_key ON quarantine(table_name, row_key);
)sql";

constexpr const char* kSubmissions = R"sql(
CREATE TABLE submissions (
  key TEXT PRIMARY KEY,
  digest TEXT NOT NULL,
  job INTEGER NOT NULL,               -- 0: a run
  run INTEGER NOT NULL,               -- 0: a job
  created INTEGER NOT NULL            -- wall milliseconds
) STRICT, WITHOUT ROWID;
)sql";

constexpr const char* kPeers = R"sql(
CREATE TABLE peers (
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL,                  -- SHA-256 of the public key, hex
  kind INTEGER NOT NULL,              -- 1 drone, 2 user
  name TEXT NOT NULL,
  labels TEXT NOT NULL,               -- JSON object of strings
  enrolled INTEGER NOT NULL,
  revoked INTEGER NOT NULL            -- 0: not
) STRICT;
CREATE TABLE invitations (
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL,                 -- SHA-256 of the token, hex
  kind INTEGER NOT NULL,
  name TEXT NOT NULL,
  labels TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  used INTEGER NOT NULL,              -- 0: not yet
  used_by TEXT NOT NULL
) STRICT;
ALTER TABLE counters ADD COLUMN peer INTEGER NOT NULL DEFAULT 0;
)sql";

constexpr const char* kExcused = R"sql(
ALTER TABLE jobs ADD COLUMN excused INTEGER NOT NULL DEFAULT 0;
)sql";

constexpr const char* kDrains = R"sql(
ALTER TABLE drones ADD COLUMN drained INTEGER NOT NULL DEFAULT 0;         -- wall ms; 0: not
ALTER TABLE drones ADD COLUMN drained_by TEXT NOT NULL DEFAULT '';
ALTER TABLE drones ADD COLUMN drain_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE drones ADD COLUMN drain_deadline INTEGER NOT NULL DEFAULT 0;  -- wall ms; 0: none
)sql";

constexpr const char* kReceipts = R"sql(
ALTER TABLE jobs ADD COLUMN processes_left INTEGER NOT NULL DEFAULT -1;     -- -1: nobody counted
ALTER TABLE jobs ADD COLUMN processes_killed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN kill_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN processes_left INTEGER NOT NULL DEFAULT -1;
ALTER TABLE attempts ADD COLUMN processes_killed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN kill_ms INTEGER NOT NULL DEFAULT 0;
)sql";

constexpr const char* kLateTruths = R"sql(
-- What became of an unknown deploy, told later. late_state 1: nothing yet.
ALTER TABLE jobs ADD COLUMN late_state INTEGER NOT NULL DEFAULT 1;
ALTER TABLE jobs ADD COLUMN late_reason INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN late_detail TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN late_test_code INTEGER NOT NULL DEFAULT -1;
ALTER TABLE jobs ADD COLUMN late_deploy_code INTEGER NOT NULL DEFAULT -1;
ALTER TABLE jobs ADD COLUMN late_failed_code INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN late_failed_step TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN late_finished INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN late_arrived INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN late_last_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN late_state INTEGER NOT NULL DEFAULT 1;
ALTER TABLE attempts ADD COLUMN late_reason INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN late_detail TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN late_test_code INTEGER NOT NULL DEFAULT -1;
ALTER TABLE attempts ADD COLUMN late_deploy_code INTEGER NOT NULL DEFAULT -1;
ALTER TABLE attempts ADD COLUMN late_failed_code INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN late_failed_step TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN late_finished INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN late_arrived INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN late_last_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN late_awaited INTEGER NOT NULL DEFAULT 0;
CREATE INDEX attempts_awaiting ON attempts(epoch) WHERE late_awaited = 1;
)sql";

constexpr const char* kRetention = R"sql(
ALTER TABLE attempts ADD COLUMN log_ended INTEGER NOT NULL DEFAULT 0;    -- wall ms, by the queen's clock
ALTER TABLE attempts ADD COLUMN log_removed INTEGER NOT NULL DEFAULT 0;  -- wall ms; 0: it is stored
ALTER TABLE attempts ADD COLUMN log_files INTEGER NOT NULL DEFAULT 1;    -- 0: they are deleted
UPDATE attempts SET log_ended = finished WHERE log_closed = 1;
CREATE INDEX attempts_with_log ON attempts(log_ended) WHERE log_closed = 1 AND log_removed = 0;
CREATE INDEX attempts_leaving ON attempts(epoch) WHERE log_removed > 0 AND log_files = 1;
)sql";

constexpr const char* kRestores = R"sql(
-- Times that are missing because a backup was restored. `queen restore` adds one with last_epoch 0.
CREATE TABLE restores (
  first_epoch INTEGER PRIMARY KEY,
  last_epoch INTEGER NOT NULL,        -- 0: drones are still listened to
  begun INTEGER NOT NULL              -- 0: no queen has started since
) STRICT;
)sql";

// What runs came to is counted once from their jobs, as RunBook does; older ones ended with the last of them.
constexpr const char* kRuns = R"sql(
ALTER TABLE jobs ADD COLUMN waits_for TEXT NOT NULL DEFAULT '[]';        -- JSON array of job ids
ALTER TABLE jobs ADD COLUMN runs_after INTEGER NOT NULL DEFAULT 1;       -- 1: those passed
ALTER TABLE jobs ADD COLUMN allow_failure INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN not_wanted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN retry_infra INTEGER NOT NULL DEFAULT -1;     -- -1: as the queen says
ALTER TABLE jobs ADD COLUMN retry_failed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN failed_before INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN retried INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN event TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN title TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN submitted_by TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN state INTEGER NOT NULL DEFAULT 1;            -- 1, 4: unfinished, 5..: ended
ALTER TABLE runs ADD COLUMN verdict INTEGER NOT NULL DEFAULT 1;          -- 1: nothing bad so far
ALTER TABLE runs ADD COLUMN finished INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN duration_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN fast_finish INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET
  duration_ms = (SELECT ifnull(sum(duration_ms),0) FROM jobs WHERE run = runs.id),
  finished = (SELECT ifnull(max(finished),0) FROM jobs WHERE run = runs.id),
  state = CASE
    WHEN EXISTS(SELECT 1 FROM jobs WHERE run = runs.id AND state < 5) THEN 4
    WHEN EXISTS(SELECT 1 FROM jobs WHERE run = runs.id AND state = 8) THEN 8
    WHEN EXISTS(SELECT 1 FROM jobs WHERE run = runs.id AND state = 7) THEN 7
    WHEN EXISTS(SELECT 1 FROM jobs WHERE run = runs.id AND state = 6) THEN 6
    ELSE 5 END;
UPDATE runs SET verdict = state WHERE state > 4;
UPDATE runs SET finished = 0 WHERE state < 5;
)sql";

constexpr Migration kMigrations[] = {
    {"first tables", kFirstTables},    {"keys of submissions", kSubmissions},
    {"peers and invitations", kPeers}, {"attempts that do not count", kExcused},
    {"drains of drones", kDrains},     {"receipts of process trees", kReceipts},
    {"late truths", kLateTruths},      {"retention of logs", kRetention},
    {"restored backups", kRestores},   {"what runs come to", kRuns},
};

absl::Status NotOurs(const Connection& connection) {
  return absl::FailedPreconditionError(
      absl::StrCat("open database ", connection.path(),
                   ": this is a database of another program; give the queen a data directory of its own"));
}

}  // namespace

std::span<const Migration> Migrations() {
  return kMigrations;
}

absl::Status CheckSchema(Connection& connection, std::span<const Migration> known) {
  constexpr const char* kOperation = "read schema version";
  ASSIGN_OR_RETURN(auto version, connection.QueryInt("PRAGMA user_version", kOperation));
  ASSIGN_OR_RETURN(auto application, connection.QueryInt("PRAGMA application_id", kOperation));
  ASSIGN_OR_RETURN(auto objects, connection.QueryInt("SELECT count(*) FROM sqlite_schema", kOperation));
  bool fresh = version == 0 && application == 0 && objects == 0;
  if (fresh) return absl::OkStatus();
  if (application != kApplicationId || version < 0) return NotOurs(connection);
  if (version > static_cast<std::int64_t>(known.size())) {
    return absl::FailedPreconditionError(
        absl::StrCat("open database ", connection.path(), ": it has schema version ", version,
                     " and this queen knows versions up to ", known.size(),
                     "; upgrade queen to the release that wrote it, or restore the backup from before"));
  }
  return absl::OkStatus();
}

absl::Status Migrate(Connection& connection, std::span<const Migration> known) {
  RETURN_IF_ERROR(CheckSchema(connection, known));
  ASSIGN_OR_RETURN(auto version, connection.QueryInt("PRAGMA user_version", "read schema version"));
  for (auto next = static_cast<std::size_t>(version); next < known.size(); ++next) {
    std::string operation =
        absl::StrCat("migrate schema to version ", next + 1, " (", known[next].purpose, ")");
    RETURN_IF_ERROR(connection.Begin(operation));
    absl::Status status = connection.Execute(absl::StrCat(known[next].sql, ";PRAGMA user_version=", next + 1,
                                                          ";PRAGMA application_id=", kApplicationId, ";"),
                                             operation);
    if (status.ok()) status = connection.Commit(operation);
    if (!status.ok()) {
      connection.Rollback();
      return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace waggle::queen::sqlite
