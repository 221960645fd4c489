#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/vocabulary.h"

// What the queen remembers across restarts: plain values, one struct per table row. The core decides them,
// the store keeps them, the API shows them. Wall times are for people; 0 = not yet.
namespace waggle::queen {

struct JobTimes {
  WallMillis created = 0, queued = 0, received = 0, started = 0, finished = 0;
};

// How the process tree of an attempt ended, as its shim counted.
struct Receipt {
  std::int32_t left = -1;    // processes that outlived KILL; -1 = nobody counted
  std::uint32_t killed = 0;  // that had to be killed
  std::int64_t took_ms = 0;  // from the first signal to the empty tree; 0 = there was nothing to end
};

// What became of a deploy after all: told by its drone when it came back, behind the verdict `unknown`.
struct LateTruth {
  JobState state = JobState::kCreated;  // the verdict it would have had; kCreated = not known
  Reason reason = Reason::kNone;
  std::string detail;
  std::int32_t test_code = -1, deploy_code = -1, failed_code = 0;
  std::string failed_step;
  WallMillis finished = 0, arrived = 0;
  std::uint64_t last_seq = 0;  // of its log
  bool known() const { return state != JobState::kCreated; }
};

struct JobRow {
  JobId id;
  RunId run;  // none: submitted as a document
  std::string name;
  JobType type = JobType::kTest;
  JobState state = JobState::kCreated;
  Reason reason = Reason::kNone;
  std::string detail;  // why it ended, one sentence
  std::int32_t priority = 0;
  std::map<std::string, std::string> needs;  // labels
  std::vector<std::string> plugins;          // names a drone must have
  bool local_only = false;                   // only for drones on the queen's own socket
  std::string repo, branch, commit;          // for people; no credentials
  Epoch attempt;                             // current attempt, none before the first assignment
  std::string drone_name;                    // of the current attempt
  std::uint32_t attempts = 0;                // how many there were
  std::uint32_t excused = 0;                 // those that do not count against the retries
  JobTimes times;
  std::int64_t duration_ms = 0;
  std::int32_t test_code = -1, deploy_code = -1, failed_code = 0;
  std::string failed_step;
  bool cancel_requested = false;
  bool cancel_now = false;
  std::string canceled_by, cancel_reason;
  Receipt receipt;  // of the attempt that decided
  LateTruth late;   // likewise
  // Its place in its run.
  std::vector<JobId> after;  // waits for these
  RunsAfter runs_after = RunsAfter::kPassed;
  bool allow_failure = false;       // what it comes to does not decide about the run
  bool not_wanted = false;          // the run's own conditions left it out: skipped, and nobody minds
  std::int32_t retry_infra = -1;    // attempts more when the infrastructure fails; -1 = as the queen says
  std::int32_t retry_failed = 0;    // attempts more when its commands fail
  std::uint32_t failed_before = 0;  // attempts that failed and were repeated for it
  std::uint32_t retried = 0;        // attempts that there were when somebody asked for the job once more
};

struct AttemptRow {
  Epoch epoch;
  JobId job;
  std::uint32_t number = 1;
  DroneId drone;
  std::string drone_name;
  JobState state = JobState::kQueued;  // queued = assigned and not yet accepted
  Reason reason = Reason::kNone;
  std::string detail;
  bool granted = false;       // its deploy phase may have begun
  bool log_closed = false;    // its log has its final record and was checked
  std::uint32_t counter = 0;  // of the newest status taken
  JobTimes times;             // created = assigned
  std::int32_t test_code = -1, deploy_code = -1, failed_code = 0;
  std::string failed_step;
  std::uint64_t last_seq = 0;
  Receipt receipt;
  LateTruth late;
  bool late_awaited = false;  // its drone may still come back with it
  // By the queen's own clock: when its log had its last word, the late one too. 0 = a queen that did not note
  // it.
  WallMillis log_ended = 0;
  WallMillis log_removed = 0;  // 0 = it is stored. Only Store::ExpireLogs() sets it, no commit changes it.
};

struct DroneRow {
  DroneId id;
  std::string identity;  // random, kept in the drone's data directory
  std::string name;
  std::string host, version;
  double speed = 0;
  std::uint32_t capacity = 1;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> plugins;  // name → version
  WallMillis last_seen = 0;
  SessionId session;  // newest session epoch given to it
  // Whoever asked this queen to give it no work. 0 = nobody did.
  WallMillis drained = 0;
  std::string drained_by, drain_reason;
  WallMillis drain_deadline = 0;  // what runs then is handed back; 0 = it may run to its end
};

// One trigger on a repository. Its jobs name it.
struct RunRow {
  RunId id;
  std::string repo, branch, commit;
  WallMillis created = 0;
  std::string name, event, title, by;  // of the pipeline; why it is; first line of the message; who asked
  // kCreated until a drone took a job of it, then kStarted; a verdict when all that decide have one.
  JobState state = JobState::kCreated;
  // What the worst of the required jobs says so far; kCreated = none has said anything bad.
  JobState verdict = JobState::kCreated;
  WallMillis finished = 0;
  std::int64_t duration_ms = 0;  // of all its jobs together
  bool fast_finish = false;      // does not wait for jobs whose failure is allowed
};

enum class PeerKind : std::uint8_t { kDrone = 1, kUser = 2 };

// A drone or person on another host, known by the key of the certificate it was given.
struct PeerRow {
  PeerId id;
  std::string key;  // SHA-256 of its public key, 64 hex digits
  PeerKind kind = PeerKind::kDrone;
  std::string name;                           // unique among those of a kind that are not revoked
  std::map<std::string, std::string> labels;  // given by the operator
  WallMillis enrolled = 0, revoked = 0;
};

struct InvitationRow {
  InvitationId id;
  std::string hash;  // of its token, which is nowhere kept; 64 hex digits
  PeerKind kind = PeerKind::kDrone;
  std::string name;  // "": whoever enrols chooses one
  std::map<std::string, std::string> labels;
  WallMillis created = 0, expires = 0, used = 0;
  std::string used_by;  // key of the peer it made
};

// What was submitted under a key: a repeat is answered with it. Kept as long as its job or run.
struct SubmissionRow {
  std::string key;     // who submitted and the key they gave
  std::string digest;  // of what was asked; hex
  JobId job;           // one of the two
  RunId run;
  WallMillis created = 0;
};

// A time that this database does not remember, because a backup of before was restored: epochs of it are
// known to drones, and never given again.
struct RestoreRow {
  Epoch first;         // the lowest epoch that may have been given in it
  Epoch last;          // the highest; none = drones are still listened to, and nothing is given
  bool begun = false;  // a queen has started on it
};

// Numbers that only ever grow; persisted with the rows that used them.
struct Counters {
  std::uint64_t job = 0, run = 0, drone = 0, epoch = 0, session = 0, peer = 0;
};

// Everything the core needs to go on after a restart: all unfinished jobs with their current attempts, and
// all drones.
struct Snapshot {
  struct Awaited {  // ended as unknown, see AttemptRow::late_awaited
    JobRow job;
    AttemptRow attempt;
  };
  Counters counters;
  std::vector<JobRow> jobs;          // unfinished ones
  std::vector<AttemptRow> attempts;  // the current ones of those jobs, and any with an open log
  std::vector<DroneRow> drones;
  std::vector<PeerRow> peers;
  std::vector<InvitationRow> invitations;
  std::vector<Awaited> awaited;
  std::vector<RestoreRow> restores;
  std::vector<RunRow> runs;      // with a job that has not ended
  std::vector<JobRow> run_jobs;  // jobs of those that have
};

// The rows of one batch of core steps: all of it is stored, or nothing.
struct WriteBatch {
  struct Document {
    JobId job;
    std::string bytes;  // serialized JobDocument
  };
  std::vector<JobRow> jobs;          // inserted or replaced by id; the last of several wins
  std::vector<AttemptRow> attempts;  // by epoch
  std::vector<DroneRow> drones;      // by id
  std::vector<RunRow> runs;
  std::vector<PeerRow> peers;              // by id
  std::vector<InvitationRow> invitations;  // by id
  std::vector<Document> documents;
  std::vector<SubmissionRow> submissions;  // each key is new
  std::vector<RestoreRow> restores;        // by first
  std::optional<Counters> counters;
  bool empty() const {
    return jobs.empty() && attempts.empty() && drones.empty() && runs.empty() && documents.empty() &&
           peers.empty() && invitations.empty() && submissions.empty() && restores.empty() && !counters;
  }
};

}  // namespace waggle::queen
