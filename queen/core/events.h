#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "common/journal/events.h"
#include "queen/core/rows.h"

// What the core is told (Event) and what it wants done (Effect). Plain values; the shell converts.
namespace waggle::queen {

using RequestId = Id<struct RequestTag>;        // somebody waits for an Answer
using ConnectionId = Id<struct ConnectionTag>;  // a control stream of a drone, named by the shell

// A job as somebody wants it, before the core gives it a number.
struct JobDraft {
  JobRow row;                           // id, run, after, state and times are the core's
  std::vector<std::size_t> after = {};  // jobs of the same run, by their index in it, that it waits for
  std::string skipped = {};             // why the run does not want it; "" = it does
  std::string document;                 // serialized JobDocument without a job id
};

enum class Intake : std::uint8_t { kOpen = 0, kPaused = 1, kDraining = 2 };

struct DroneInfo {
  double speed = 0;
  std::uint32_t capacity = 1;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> plugins;
  Intake intake = Intake::kOpen;  // whether its owner lets it take work
  std::string intake_reason;
  WallMillis intake_until = 0;
};

struct Vitals {
  double load1 = 0;
  std::uint64_t memory_free_kib = 0, disk_free_kib = 0;
};

enum class HeldState : std::uint8_t { kAccepted = 1, kRunning, kGranted, kFinished, kCleaning, kLost };

struct HeldAttempt {
  Epoch epoch;
  HeldState state = HeldState::kAccepted;
  std::uint64_t last_seq = 0;
  bool wants_grant = false;
  std::uint32_t counter = 0;
  WallMillis received = 0, started = 0, finished = 0;
  std::int32_t test_code = -1, deploy_code = -1;
  std::string detail;                         // of kLost in a Hello: why; "" = not said
  bool trimmed = false, handed_back = false;  // of kLost in a Hello, as in event::ShimLost
};

namespace event {

// Two submissions with one key are one, if they ask for the same. "": each is one of its own.
struct SubmissionKey {
  std::string key, digest;  // as in SubmissionRow
};
struct SubmitJob {
  RequestId request;
  JobDraft draft;
  SubmissionKey key;
};
struct SubmitRun {
  RequestId request;
  RunRow run;
  std::vector<JobDraft> jobs;  // no two wait for each other
  SubmissionKey key;
  bool cancel_previous = false;  // of older runs of the branch what has not begun to deploy
};
// Once more, as they were: those of `jobs` in `again`, and what was skipped because of them.
struct Retry {
  RequestId request;
  RunRow run;                // none: one job that came as a document
  std::vector<JobRow> jobs;  // all of the run, as they are stored
  std::set<JobId> again;
  std::string by;
};
struct CancelRun {
  RequestId request;
  RunId run;
  std::string by, reason;
  bool now = false;
};
struct CancelJob {
  RequestId request;
  JobId job;
  std::string by, reason;
  bool now = false;
};
struct Explain {  // why do these jobs wait?
  RequestId request;
  std::vector<JobId> jobs;
};
struct ListFleet {
  RequestId request;
};
// Give this drone no new work, until somebody undrains it. Again: replaces reason and deadline.
struct DrainDrone {
  RequestId request;
  std::string name, by, reason;
  std::optional<Duration> deadline;  // from now; what runs then is handed back
};
struct UndrainDrone {
  RequestId request;
  std::string name;
};
// Of an attempt that a restored queen does not remember: its drone shall end and delete it.
struct ForgetAttempt {
  RequestId request;
  std::string drone;
  Epoch epoch;
};
struct Invite {
  RequestId request;
  InvitationRow invitation;  // id and created are the core's
};
struct Enrol {
  RequestId request;
  std::string hash;  // of the invitation's token
  std::string key;   // of the certificate that is asked for
  std::string name;  // what it would like to be called
};
struct Revoke {
  RequestId request;
  PeerKind kind = PeerKind::kDrone;
  std::string name;
};
struct ListPeers {
  RequestId request;
};
struct Hello {
  ConnectionId connection;
  // Of who is local what it says; of another host the key of its certificate.
  std::string identity, name, host, version;
  bool local = false;  // came over the queen's own socket
  Epoch highest_epoch;
  std::optional<DroneInfo> info;
  std::vector<HeldAttempt> attempts;
  std::string place;          // as in Rivals
  std::uint64_t said_at = 0;  // by the boot clock of that place; 0 = not known
};
struct Disconnected {
  ConnectionId connection;
};
struct Info {
  ConnectionId connection;
  DroneInfo info;
};
struct Heartbeat {
  ConnectionId connection;
  std::uint64_t nonce = 0;
  Vitals vitals;
  std::uint32_t running = 0;  // attempts whose processes live
};
struct Accept {
  ConnectionId connection;
  Epoch epoch;
  WallMillis received = 0;
};
struct Reject {
  ConnectionId connection;
  Epoch epoch;
  std::string reason;
  bool withdrawn = false;  // it had stopped to offer the slot when the assignment came
};
struct Status {
  ConnectionId connection;
  HeldAttempt attempt;
};
struct ShimLost {
  ConnectionId connection;
  Epoch epoch;
  std::uint64_t last_seq = 0;
  std::string detail;
  bool trimmed = false;      // records that this queen acknowledged and then lost are deleted
  bool handed_back = false;  // its drone is being stopped and ended it
};
struct Alive {  // records on the bulk stream prove life too
  SessionId session;
};
// A session sent records of an attempt that it does not hold; they were not taken.
struct Trespass {
  SessionId session;
  Epoch epoch;
};
// The log store has a synced final record and its own totals agree with it (or do not: problem).
struct LogComplete {
  Epoch epoch;
  journal::Final final;
  std::uint64_t last_seq = 0;
  Duration duration{};  // first to last record, on the clock of the drone
  std::string problem;  // not empty: the log cannot be completed
  bool late = false;    // of the late log of an attempt that ended as unknown
};
// The queen's own disk has too little space (`trouble` says how much, one sentence), or enough again ("").
struct Storage {
  std::string trouble;
};
struct Tick {};  // a wake-up that was asked for is due

}  // namespace event

using Event = std::variant<event::SubmitJob, event::SubmitRun, event::Retry, event::CancelRun,
                           event::CancelJob, event::Explain, event::ListFleet, event::DrainDrone,
                           event::UndrainDrone, event::ForgetAttempt, event::Invite, event::Enrol,
                           event::Revoke, event::ListPeers, event::Hello, event::Disconnected, event::Info,
                           event::Heartbeat, event::Accept, event::Reject, event::Status, event::ShimLost,
                           event::Alive, event::Trespass, event::LogComplete, event::Storage, event::Tick>;

// ---- messages to a drone ----

enum class Action : std::uint8_t { kContinue = 1, kSendFinal, kForget, kFenced, kUnknown };
struct Disposition {
  Epoch epoch;
  Action action = Action::kUnknown;
  bool cancel = false, granted = false;
  std::optional<Seq> late =
      std::nullopt;  // what comes goes into its late log, which begins behind this record
};

namespace to_drone {
struct Drain {
  bool on = true;  // false: it is over
  std::string by, reason;
  WallMillis deadline = 0;
  bool hand_back = false;  // the deadline is over
};
struct Welcome {
  SessionId session;
  std::vector<Disposition> attempts;
  std::optional<Drain> drain;
};
struct Assign {
  Epoch epoch;
  std::uint32_t attempt = 1;
  JobId job;
};
struct Cancel {
  Epoch epoch;
  std::string by, reason;
  bool now = false;
};
struct Grant {
  Epoch epoch;
};
struct HeartbeatAck {
  std::uint64_t nonce = 0;
};
struct Verdict {
  Epoch epoch;
  JobState state = JobState::kErrored;
};
struct Forget {
  Epoch epoch;
};
struct Fenced {
  Epoch epoch;
};
}  // namespace to_drone

using ToDrone = std::variant<to_drone::Welcome, to_drone::Assign, to_drone::Cancel, to_drone::Grant,
                             to_drone::HeartbeatAck, to_drone::Verdict, to_drone::Forget, to_drone::Fenced,
                             to_drone::Drain>;

// ---- answers ----

struct SubmittedRun {
  RunRow run;
  std::vector<JobRow> jobs;
};
struct KnownSubmission {  // a repeat; nothing was started
  SubmissionRow row;
};
struct Explanations {
  std::vector<std::string> texts;  // one per asked job; "" when it does not wait
};
struct DroneView {
  DroneRow row;
  bool connected = false;
  WallMillis connected_at = 0;
  Intake intake = Intake::kOpen;  // of the present session
  std::string intake_reason;
  WallMillis intake_until = 0;
  std::vector<JobId> jobs;
  std::vector<Epoch> forgotten;  // it holds these, and the queen does not remember them
  std::uint32_t used = 0;
  Vitals vitals;
};
struct FleetView {
  std::vector<DroneView> drones;
  std::uint64_t queued = 0;
};
struct PeerList {
  std::vector<PeerRow> peers;
  std::vector<InvitationRow> open;
};
using AnswerValue = std::variant<absl::Status, JobRow, RunRow, SubmittedRun, KnownSubmission, Explanations,
                                 FleetView, DroneView, PeerRow, InvitationRow, PeerList>;

// ---- effects, to be performed in order after the rows of the step are durable ----

namespace effect {

struct Send {
  ConnectionId connection;
  ToDrone message;
};
struct Close {  // end the control stream with this status
  ConnectionId connection;
  absl::Status status;
};
struct Answer {
  RequestId request;
  AnswerValue value;
};
struct Publish {  // the job changed
  JobRow job;
};
struct OpenLog {  // from now on this session may append to the log of this attempt
  Epoch epoch;
  SessionId session;  // none: nobody
  // Its late log instead: a second one beside the sealed one, that goes on behind this record of it.
  std::optional<Seq> late = std::nullopt;
};
// The attempt is given up: take no more records of it. Once the stored log reaches `at_least`, append `text`
// as a status record and a final record with this reason; LogComplete follows.
struct SealLog {
  Epoch epoch;
  std::uint64_t at_least = 0;
  Reason reason = Reason::kUnknown;
  std::string detail;  // of the final record
  std::string text;    // of the status record
  std::int32_t test_code = -1, deploy_code = -1;
};
struct CloseLog {  // nobody writes to it any more
  Epoch epoch;
};
struct EndSession {  // bulk streams of this session must end
  SessionId session;
};

}  // namespace effect

using Effect = std::variant<effect::Send, effect::Close, effect::Answer, effect::Publish, effect::OpenLog,
                            effect::SealLog, effect::CloseLog, effect::EndSession>;

struct Effects {
  WriteBatch rows;
  std::vector<Effect> after;    // in order, once `rows` are durable
  std::optional<Time> wake_at;  // the earliest time a Tick is wanted; replaces the one before
};

}  // namespace waggle::queen
