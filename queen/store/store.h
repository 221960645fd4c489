#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "queen/core/rows.h"
#include "queen/store/breadcrumb.h"

namespace waggle::queen {

struct JobQuery {
  std::uint32_t limit = 50;
  JobId before;                  // none = from the newest
  std::vector<JobState> states;  // empty = all
  RunId run;                     // none = any
};

struct RunQuery {
  std::uint32_t limit = 50;
  RunId before;                  // none = from the newest
  std::string branch;            // "" = any
  std::vector<JobState> states;  // empty = all
};

// Reading side. Thread-safe; sees everything committed before the call.
class StoreReader {
 public:
  virtual ~StoreReader() = default;
  virtual absl::StatusOr<JobRow> GetJob(JobId id) = 0;                              // NotFound
  virtual absl::StatusOr<std::vector<JobRow>> ListJobs(const JobQuery& query) = 0;  // newest first
  virtual absl::StatusOr<RunRow> GetRun(RunId id) = 0;                              // NotFound
  virtual absl::StatusOr<std::vector<RunRow>> ListRuns(const RunQuery& query) = 0;  // newest first
  virtual absl::StatusOr<std::map<JobState, std::uint32_t>> CountJobs(RunId run) = 0;
  virtual absl::StatusOr<AttemptRow> GetAttempt(Epoch epoch) = 0;                   // NotFound
  virtual absl::StatusOr<std::vector<AttemptRow>> ListAttempts(JobId job) = 0;      // oldest first
  virtual absl::StatusOr<std::string> GetDocument(JobId job) = 0;                   // NotFound
  virtual absl::StatusOr<SubmissionRow> GetSubmission(const std::string& key) = 0;  // NotFound
};

// The queen's memory. Commit() is called from one thread (the store writer); each call is one durable
// transaction and an error is final: the caller ends the process and recovers from the store.
class Store : public StoreReader {
 public:
  // What a restart begins with. Rows that cannot be decoded are set aside (moved to a quarantine table with
  // the reason), never a reason to fail; likewise those the process died of before, by `crumb`.
  virtual absl::StatusOr<Snapshot> Load(Breadcrumb& crumb) = 0;
  absl::StatusOr<Snapshot> Load() {
    Breadcrumb none;
    return Load(none);
  }
  virtual absl::Status Commit(const WriteBatch& batch) = 0;

  // Retention; beside Commit() from another thread. The order is: marked here, files deleted, LogsGone().
  // Marks at most `most` logs as removed at `now`, those that ended first: of attempts that have ended, whose
  // log is sealed, of which nothing is awaited any more, and whose log ended before `before`. Gives the
  // attempts that are marked and whose files may be there, those of earlier calls too, at most `most`.
  virtual absl::StatusOr<std::vector<Epoch>> ExpireLogs(WallMillis before, WallMillis now,
                                                        std::size_t most) = 0;
  virtual absl::Status LogsGone(const std::vector<Epoch>& epochs) = 0;
};

}  // namespace waggle::queen
