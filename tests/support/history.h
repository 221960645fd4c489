#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/base/fd.h"

// What the clients of a hive did and saw, and what jobs really did, as a file that outlives the test: it can
// be checked (check_history.h) again when the checker has learned more.
namespace waggle::test {

enum class Op : std::uint8_t {
  kSubmit,    // an acknowledged submit: `job`, and `key` if it had one
  kState,     // somebody was told a job's `state` (and `reason`); a terminal one is its verdict
  kMissing,   // somebody asked for a job and was told that there is none
  kAttempt,   // the `state` and `reason` of one attempt, as told at the end
  kStart,     // from the witness: a `phase` began under an attempt (its script began)
  kEnd,       // from the witness: and it came to its end
  kOutput,    // a watcher got bytes: `data` at `offset` of a `stream` of an attempt
  kWatchEnd,  // a watcher was told that it has all of an attempt
  kStored,    // what the queen has of a `stream` at the end: all of it in `data`
  kNote,      // anything else, for whoever reads: a fault, an error, a step of the test, in `data`
};

// One line: {"t": ns, "began": ns, "actor": "w1", "op": "output", "job": 5, "attempt": 1, "stream": "stdout",
// "offset": 0, "data": "base64"}, without what is empty or 0 (an offset of 0 included).
struct HistoryEntry {
  std::int64_t t = 0;      // boot clock, ns: when the answer was there; 0: History puts in the time
  std::int64_t began = 0;  // when it was asked for; 0: at t. What was true before that says nothing
  std::string actor;       // who did or saw it: a client, a watcher (over all its resumptions), "witness"
  Op op = Op::kNote;
  std::uint64_t job = 0, attempt = 0;  // as people count attempts: 1, 2, … of a job
  std::string key, state, reason, phase, stream;
  std::uint64_t offset = 0;  // bytes
  std::string data;          // bytes

  bool operator==(const HistoryEntry&) const = default;
};

std::string ToLine(const HistoryEntry& entry);  // JSON, no newline
// InvalidArgument names the field.
absl::StatusOr<HistoryEntry> FromLine(std::string_view line);

// Writes a history as it happens: each entry is one write at the end of the file, so that a killed test
// leaves whole lines. Any thread.
class History {
 public:
  static absl::StatusOr<std::unique_ptr<History>> Create(const std::string& path);

  // In the order of the calls. A history that cannot be written ends the process: it would prove nothing.
  void Append(HistoryEntry entry) ABSL_LOCKS_EXCLUDED(mutex_);
  std::string path() const { return path_; }

 private:
  History(std::string path, UniqueFd file) : path_(std::move(path)), file_(std::move(file)) {}

  const std::string path_;
  absl::Mutex mutex_;
  const UniqueFd file_ ABSL_GUARDED_BY(mutex_);
};

// The entries of a file, entry i from line i + 1. A last line without its newline is left out: its writer
// died. InvalidArgument names the line and the field.
absl::StatusOr<std::vector<HistoryEntry>> LoadHistory(const std::string& path);

// Shell commands that append what a job does to the witness file: put them around the script of one step of a
// phase. They need bash, WAGGLE_JOB, WAGGLE_ATTEMPT and WAGGLE_PHASE. Lines: "start UPTIME JOB ATTEMPT
// PHASE", "end …".
std::string WitnessStart(const std::string& path);
std::string WitnessEnd(const std::string& path);
// What jobs wrote there, as kStart and kEnd, in the order of the lines, which is that of the events. Times
// have the 10 ms of /proc/uptime. A missing file is an empty witness.
absl::StatusOr<std::vector<HistoryEntry>> LoadWitness(const std::string& path);

}  // namespace waggle::test
