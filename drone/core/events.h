#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "drone/core/messages.h"

// Inputs and outputs of the drone's core (drone_core.h).
namespace waggle::drone {

namespace event {

// ---- start and end of the daemon ----

// An attempt found on disk at start; all of them come before Begin. `alive`: its shim answered its socket and
// will say Status next. Otherwise `held` says how it ended and `detail` why it counts as lost.
struct Recovered {
  JobId job;
  Held held;
  bool alive = false;
  std::string detail;
};
struct Begin {
  Epoch highest_epoch;  // highest ever seen, from disk
};
// Take no new work and keep running, until Resume or until this time; replaces the pause before.
struct Pause {
  std::string reason;  // for people
  std::optional<Time> until;
  WallMillis until_wall = 0;  // the same, to be shown; 0 = until somebody resumes
};
struct Resume {};  // ends a pause, and a drain that is not over; a stop goes on
struct Resize {    // so many slots from now on; what runs above them runs to its end
  std::uint32_t capacity = 1;
};
struct Drain {};   // no new work; exit when nothing is held. A second one means Stop.
struct Stop {};    // end everything now and hand it back; exit when that is delivered or after a bound
struct Detach {};  // exit at once; attempts go on under their shims
// A deadline the core asked for has come. `jitter` is uniform in [0, 1).
struct Timer {
  double jitter = 0.5;
};

// ---- link ----

struct FromQueen {
  ControlDown message;
};
struct ControlLost {
  enum class Why { kCut, kDeposed, kRefused } why = Why::kCut;
  std::string text;     // what the queen or the transport said
  double jitter = 0.5;  // uniform in [0, 1)
};
struct FromBulk {
  BulkDown message;
};
struct BulkReady {};  // the bulk stream is open and takes a message
struct BulkLost {
  std::string text;
  double jitter = 0.5;
};
// Answer to effect::SendRecords: records up to `upto`, `bytes` long together, are on their way. bytes = 0:
// the spool shows none of them yet.
struct RecordsSent {
  Epoch epoch;
  Seq upto;
  std::size_t bytes = 0;
};
// Answer to effect::SendRecords: nothing behind `last_good` can be read.
struct SpoolDamaged {
  Epoch epoch;
  Seq last_good;
  std::string problem;
  bool trimmed = false;  // the records were acknowledged once and deleted
};

// ---- attempts ----

struct Started {  // answer to effect::StartAttempt: directory made, shim started
  Epoch epoch;
  JobId job;
};
struct StartFailed {
  Epoch epoch;
  std::string reason;
};
struct ShimConnected {  // each time; a Start frame, if due, went before
  Epoch epoch;
};
struct ShimDisconnected {
  Epoch epoch;
};
struct ShimStatus {
  Held held;  // received is not set
};
struct ShimWatermark {
  Epoch epoch;
  Seq last;
};
// The shim has exited and nothing of its tree is left. `held.state` is kFinished (a final record is in the
// spool) or kLost, for which `detail` says why.
struct ShimGone {
  Held held;
  std::string detail;
};

}  // namespace event

using Event =
    std::variant<event::Recovered, event::Begin, event::Pause, event::Resume, event::Resize, event::Drain,
                 event::Stop, event::Detach, event::Timer, event::FromQueen, event::ControlLost,
                 event::FromBulk, event::BulkReady, event::BulkLost, event::RecordsSent, event::SpoolDamaged,
                 event::Started, event::StartFailed, event::ShimConnected, event::ShimDisconnected,
                 event::ShimStatus, event::ShimWatermark, event::ShimGone>;

namespace effect {

// Open a new control stream and say this Hello on it. Answered by FromQueen(Welcome) or ControlLost.
struct OpenControl {
  Hello hello;
};
struct CloseControl {};  // drop the connection; no ControlLost follows
struct OpenBulk {        // answered by BulkReady or BulkLost
  SessionId session;
};
struct CloseBulk {};  // no BulkLost follows
struct SendControl {
  ControlUp message;
};
// Read records `from` … at most `to`, at most `max_bytes` of them (at least one), and send them on bulk.
// Answered by RecordsSent or SpoolDamaged; BulkReady follows when the stream takes the next message.
struct SendRecords {
  Epoch epoch;
  Seq from, to;
  std::size_t max_bytes = 0;
};
struct TrimSpool {  // what the queen has stored is not needed any more
  Epoch epoch;
  Seq acked;
};
struct StartAttempt {  // answered by Started or StartFailed
  Assign assign;
};
struct GrantShim {
  Epoch epoch;
};
struct CancelShim {
  Cancel cancel;
};
struct KillTree {  // shim and all; answered by ShimGone
  Epoch epoch;
  bool hand_back =
      false;  // for good: an attempt that is lost by it counts as handed back, after a restart too
};
struct DeleteAttempt {  // directory, spool and work directory. Its processes are gone.
  Epoch epoch;
};
struct Note {  // one log line
  enum class Level { kDebug, kInfo, kWarning, kError } level = Level::kInfo;
  std::string text;
};
struct Exit {
  int code = 0;
};

}  // namespace effect

using Effect = std::variant<effect::OpenControl, effect::CloseControl, effect::OpenBulk, effect::CloseBulk,
                            effect::SendControl, effect::SendRecords, effect::TrimSpool, effect::StartAttempt,
                            effect::GrantShim, effect::CancelShim, effect::KillTree, effect::DeleteAttempt,
                            effect::Note, effect::Exit>;

struct Effects {
  std::vector<Effect> list;  // to be performed in this order
  std::optional<Time> wake;  // Timer is wanted at this time; replaces the one of the step before
};

}  // namespace waggle::drone
