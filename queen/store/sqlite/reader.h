#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "queen/store/sqlite/connection.h"
#include "queen/store/store.h"

// The calls of StoreReader on one connection. DataLoss: the row is there but cannot be decoded.
namespace waggle::queen::sqlite {

absl::StatusOr<JobRow> ReadJob(Connection& connection, JobId id);
absl::StatusOr<std::vector<JobRow>> ReadJobs(Connection& connection, const JobQuery& query);
absl::StatusOr<RunRow> ReadRun(Connection& connection, RunId id);
absl::StatusOr<std::vector<RunRow>> ReadRuns(Connection& connection, const RunQuery& query);
absl::StatusOr<std::map<JobState, std::uint32_t>> ReadCounts(Connection& connection, RunId run);
absl::StatusOr<AttemptRow> ReadAttempt(Connection& connection, Epoch epoch);
absl::StatusOr<std::vector<AttemptRow>> ReadAttempts(Connection& connection, JobId job);
absl::StatusOr<std::string> ReadDocument(Connection& connection, JobId job);
absl::StatusOr<SubmissionRow> ReadSubmission(Connection& connection, const std::string& key);

}  // namespace waggle::queen::sqlite
