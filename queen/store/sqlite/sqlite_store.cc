#include "queen/store/sqlite/sqlite_store.h"

#include <sqlite3.h>

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/status_macros.h"
#include "queen/store/sqlite/connection.h"
#include "queen/store/sqlite/expiry.h"
#include "queen/store/sqlite/load.h"
#include "queen/store/sqlite/migrations.h"
#include "queen/store/sqlite/quarantine.h"
#include "queen/store/sqlite/reader.h"
#include "queen/store/sqlite/reader_pool.h"
#include "queen/store/sqlite/row_codec.h"

namespace waggle::queen {
namespace {

using sqlite::Connection;
using sqlite::ReaderPool;
using sqlite::Statement;

// The write-ahead log is copied into the database when it holds so many pages of 4 KiB (4 MiB) …
constexpr int kCheckpointPages = 1024;
// … and if readers kept it from starting over until it holds so many (64 MiB), the writer waits for them.
constexpr int kRestartPages = 16 * kCheckpointPages;
constexpr const char* kJournalSizeLimit = "PRAGMA journal_size_limit=67108864";  // kRestartPages in bytes

constexpr int kReportedProblems = 3;  // of a damaged file, in the error message

absl::Status QuickCheck(Connection& connection) {
  auto statement = connection.Prepare("PRAGMA quick_check(3)", "check database");
  if (!statement.ok()) return statement.status();
  std::string problems;
  for (int i = 0; i < kReportedProblems; ++i) {
    ASSIGN_OR_RETURN(bool more, statement->Step());
    if (!more) break;
    std::string_view line = statement->Bytes(0);
    if (line == "ok") return absl::OkStatus();
    absl::StrAppend(&problems, problems.empty() ? "" : "; ", absl::string_view(line.data(), line.size()));
  }
  return connection.Error(SQLITE_CORRUPT, "check database", problems);
}

absl::Status UseWriteAheadLog(Connection& connection) {
  ASSIGN_OR_RETURN(std::string mode,
                   connection.QueryText("PRAGMA journal_mode=WAL", "switch to write-ahead log"));
  if (mode == "wal") return connection.Execute(kJournalSizeLimit, "limit write-ahead log");
  return absl::FailedPreconditionError(absl::StrCat(
      "open database ", connection.path(), ": its file system cannot hold a write-ahead log (mode is ", mode,
      "); put the data directory on a local disk"));
}

std::string Describe(const WriteBatch& batch) {
  return absl::StrCat("batch of ", batch.jobs.size(), " jobs, ", batch.attempts.size(), " attempts, ",
                      batch.drones.size(), " drones, ", batch.runs.size(), " runs, ", batch.documents.size(),
                      " documents, ", batch.submissions.size(), " submissions",
                      batch.counters ? ", counters" : "", " was not stored: ");
}

// While off, closing the connection leaves the file and its log as they were found.
void CopyLogOnClose(Connection& connection, bool on) {
  sqlite3_db_config(connection.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, on ? 0 : 1, nullptr);
}

class SqliteStore : public Store {
 public:
  SqliteStore(std::unique_ptr<Connection> writer, std::unique_ptr<ReaderPool> readers)
      : writer_(std::move(writer)), readers_(std::move(readers)) {
    sqlite3_wal_hook(writer_->handle(), &SqliteStore::OnCommit, this);
  }

  absl::StatusOr<JobRow> GetJob(JobId id) override { return ReadJob(*readers_->Acquire(), id); }
  absl::StatusOr<std::vector<JobRow>> ListJobs(const JobQuery& query) override {
    return ReadJobs(*readers_->Acquire(), query);
  }
  absl::StatusOr<RunRow> GetRun(RunId id) override { return ReadRun(*readers_->Acquire(), id); }
  absl::StatusOr<std::vector<RunRow>> ListRuns(const RunQuery& query) override {
    return ReadRuns(*readers_->Acquire(), query);
  }
  absl::StatusOr<std::map<JobState, std::uint32_t>> CountJobs(RunId run) override {
    return ReadCounts(*readers_->Acquire(), run);
  }
  absl::StatusOr<AttemptRow> GetAttempt(Epoch epoch) override {
    return ReadAttempt(*readers_->Acquire(), epoch);
  }
  absl::StatusOr<std::vector<AttemptRow>> ListAttempts(JobId job) override {
    return ReadAttempts(*readers_->Acquire(), job);
  }
  absl::StatusOr<std::string> GetDocument(JobId job) override {
    return ReadDocument(*readers_->Acquire(), job);
  }
  absl::StatusOr<SubmissionRow> GetSubmission(const std::string& key) override {
    return ReadSubmission(*readers_->Acquire(), key);
  }

  absl::StatusOr<Snapshot> Load(Breadcrumb& crumb) override ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return sqlite::LoadSnapshot(*writer_, crumb);
  }

  absl::Status Commit(const WriteBatch& batch) override ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    RETURN_IF_ERROR(broken_);
    if (batch.empty()) return absl::OkStatus();
    absl::Status status = Transact(batch);
    if (!status.ok()) status = absl::Status(status.code(), absl::StrCat(Describe(batch), status.message()));
    return AfterWrite(std::move(status));
  }

  absl::StatusOr<std::vector<Epoch>> ExpireLogs(WallMillis before, WallMillis now, std::size_t most) override
      ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    RETURN_IF_ERROR(broken_);
    auto leaving = sqlite::ExpireLogs(*writer_, before, now, most);
    RETURN_IF_ERROR(AfterWrite(leaving.status()));
    return leaving;
  }
  absl::Status LogsGone(const std::vector<Epoch>& epochs) override ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    RETURN_IF_ERROR(broken_);
    return AfterWrite(sqlite::LogsGone(*writer_, epochs));
  }

 private:
  static int OnCommit(void* self, sqlite3*, const char*, int pages) {
    static_cast<SqliteStore*>(self)->NoteLogPages(pages);
    return SQLITE_OK;
  }
  // Called by SQLite inside Transact() and LoadSnapshot(), which hold the lock.
  void NoteLogPages(int pages) ABSL_NO_THREAD_SAFETY_ANALYSIS { log_pages_ = pages; }

  absl::Status Transact(const WriteBatch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status WriteDocument(const WriteBatch::Document& document) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status WriteSubmission(const SubmissionRow& row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // What follows from the status of a transaction: no half of it stays, and some errors are the last.
  absl::Status AfterWrite(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Checkpoint() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Break(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  absl::Mutex mu_;
  absl::Status broken_ ABSL_GUARDED_BY(mu_);
  int log_pages_ ABSL_GUARDED_BY(mu_) = 0;
  const std::unique_ptr<Connection> writer_ ABSL_PT_GUARDED_BY(mu_);
  // After the writer, so that readers close first and the writer makes the last checkpoint.
  const std::unique_ptr<ReaderPool> readers_;
};

absl::Status SqliteStore::Transact(const WriteBatch& batch) {
  RETURN_IF_ERROR(writer_->Begin("begin transaction"));
  for (const JobRow& row : batch.jobs) RETURN_IF_ERROR(sqlite::WriteRow<sqlite::JobTable>(*writer_, row));
  for (const AttemptRow& row : batch.attempts)
    RETURN_IF_ERROR(sqlite::WriteRow<sqlite::AttemptTable>(*writer_, row));
  for (const DroneRow& row : batch.drones)
    RETURN_IF_ERROR(sqlite::WriteRow<sqlite::DroneTable>(*writer_, row));
  for (const RunRow& row : batch.runs) RETURN_IF_ERROR(sqlite::WriteRow<sqlite::RunTable>(*writer_, row));
  for (const PeerRow& row : batch.peers) RETURN_IF_ERROR(sqlite::WriteRow<sqlite::PeerTable>(*writer_, row));
  for (const InvitationRow& row : batch.invitations)
    RETURN_IF_ERROR(sqlite::WriteRow<sqlite::InvitationTable>(*writer_, row));
  for (const RestoreRow& row : batch.restores)
    RETURN_IF_ERROR(sqlite::WriteRow<sqlite::RestoreTable>(*writer_, row));
  for (const WriteBatch::Document& document : batch.documents) RETURN_IF_ERROR(WriteDocument(document));
  for (const SubmissionRow& row : batch.submissions) RETURN_IF_ERROR(WriteSubmission(row));
  if (batch.counters) {
    sqlite::CountersRow row;
    row.counters = *batch.counters;
    RETURN_IF_ERROR(sqlite::WriteRow<sqlite::CountersTable>(*writer_, row));
  }
  return writer_->Commit("commit transaction");
}

absl::Status SqliteStore::WriteDocument(const WriteBatch::Document& document) {
  ASSIGN_OR_RETURN(Statement statement,
                   writer_->Prepare("INSERT INTO documents(job,bytes) VALUES(?,?) "
                                    "ON CONFLICT(job) DO UPDATE SET bytes=excluded.bytes",
                                    "write table documents"));
  if (!std::in_range<std::int64_t>(document.job.value())) {
    statement.Refuse(absl::InvalidArgumentError(
        absl::StrCat("write table documents: job ", document.job.value(), " is above 2^63-1")));
  }
  statement.BindInt(static_cast<std::int64_t>(document.job.value()));
  statement.BindBlob(document.bytes);
  return statement.Run();
}

// A key that is there already breaks the batch: nothing may be started under it twice.
absl::Status SqliteStore::WriteSubmission(const SubmissionRow& row) {
  ASSIGN_OR_RETURN(Statement statement,
                   writer_->Prepare("INSERT INTO submissions(key,digest,job,run,created) VALUES(?,?,?,?,?)",
                                    "write table submissions"));
  statement.BindText(row.key);
  statement.BindText(row.digest);
  for (std::uint64_t id : {row.job.value(), row.run.value()}) {
    if (!std::in_range<std::int64_t>(id)) {
      statement.Refuse(absl::InvalidArgumentError(
          absl::StrCat("write table submissions: number ", id, " is above 2^63-1")));
    }
    statement.BindInt(static_cast<std::int64_t>(id));
  }
  statement.BindInt(row.created);
  return statement.Run();
}

absl::Status SqliteStore::AfterWrite(absl::Status status) {
  if (status.ok()) {
    status = Checkpoint();
  } else {
    writer_->Rollback();
  }
  const bool final = !status.ok() && !absl::IsResourceExhausted(status) && !absl::IsInvalidArgument(status);
  if (final) Break(status);
  return status;
}

// The batch is durable already. A full disk only leaves the log longer, until a commit itself finds no room.
absl::Status SqliteStore::Checkpoint() {
  if (log_pages_ < kCheckpointPages) return absl::OkStatus();
  int mode = log_pages_ < kRestartPages ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_RESTART;
  int code = sqlite3_wal_checkpoint_v2(writer_->handle(), nullptr, mode, nullptr, nullptr);
  if (code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY) return absl::OkStatus();
  absl::Status status = writer_->Error(code, "copy the write-ahead log into the database");
  return absl::IsResourceExhausted(status) ? absl::OkStatus() : status;
}

// A sync that failed once may succeed when repeated without the data being on disk, so nothing is written any
// more; the next start recovers from the log.
void SqliteStore::Break(const absl::Status& status) {
  broken_ = status;
  CopyLogOnClose(*writer_, false);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path,
                                                       const SqliteOptions& options) {
  ASSIGN_OR_RETURN(auto writer, Connection::Open(path, Connection::Mode::kWriter));
  CopyLogOnClose(*writer, false);
  RETURN_IF_ERROR(sqlite::CheckSchema(*writer, sqlite::Migrations()));
  RETURN_IF_ERROR(QuickCheck(*writer));
  CopyLogOnClose(*writer, true);
  RETURN_IF_ERROR(UseWriteAheadLog(*writer));
  if (options.max_pages > 0) {
    RETURN_IF_ERROR(
        writer->Execute(absl::StrCat("PRAGMA max_page_count=", options.max_pages), "limit database size"));
  }
  RETURN_IF_ERROR(sqlite::Migrate(*writer, sqlite::Migrations()));
  ASSIGN_OR_RETURN(auto readers, ReaderPool::Open(path));
  return std::make_unique<SqliteStore>(std::move(writer), std::move(readers));
}

absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path) {
  return OpenSqliteStore(path, SqliteOptions());
}

}  // namespace waggle::queen
