#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/vocabulary.h"

// What the drone and its queen say to each other, as the core knows it: the content of
// proto/waggle/v1/hive.proto, where each field is described. drone/link converts; nothing else sees both.
namespace waggle::drone {

enum class HeldState : std::uint8_t {
  kAccepted = 1,
  kRunning = 2,
  kGranted = 3,
  kFinished = 4,
  kCleaning = 5,
  kLost = 6,
};

struct Held {
  Epoch epoch;
  HeldState state = HeldState::kAccepted;
  Seq last;
  Phase phase = Phase::kEnvironment;
  bool wants_grant = false;
  std::uint32_t counter = 0;
  WallMillis received = 0, started = 0, finished = 0;
  std::int32_t test_code = -1, deploy_code = -1;
  // Of kLost. A word of a shim has none of it.
  std::string detail;        // why
  bool trimmed = false;      // as in ShimLost
  bool handed_back = false;  // likewise
};

// The process tree of an attempt lives unless it ended in one of these two.
constexpr bool IsOver(HeldState state) {
  return state == HeldState::kFinished || state == HeldState::kLost;
}

// Counter of a status that the drone finds out after its shim is gone: above everything a shim counts to, so
// that no file has to remember how far the shim had come.
inline constexpr std::uint32_t kCounterAfterShim = 0x8000'0000;

enum class Intake : std::uint8_t { kOpen = 0, kPaused = 1, kDraining = 2 };

struct Info {
  double speed = 1.0;
  std::uint32_t capacity = 1;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> plugins;  // name → version
  Intake intake = Intake::kOpen;
  std::string intake_reason;
  WallMillis intake_until = 0;
};

// ---- drone → queen. The link adds what only the host knows (identity, name, vitals). ----

struct Hello {
  Epoch highest_epoch;
  Info info;
  std::vector<Held> attempts;
  Time said_at{};
};
struct Heartbeat {
  std::uint64_t nonce = 0;
  std::uint32_t running = 0;
};
struct Accept {
  Epoch epoch;
  WallMillis received = 0;
};
struct Reject {
  Epoch epoch;
  std::string reason;
  bool withdrawn = false;  // the slot was not offered any more when the assignment came
};
struct ShimLost {
  Epoch epoch;
  Seq last;
  std::string detail;
  bool trimmed = false;      // what the queen asks for was acknowledged once and is deleted
  bool handed_back = false;  // ended by us because the drone is stopped
};
using ControlUp = std::variant<Hello, Info, Heartbeat, Accept, Reject, Held, ShimLost>;

// ---- queen → drone, control ----

struct Disposition {
  enum class Action : std::uint8_t { kContinue = 1, kSendFinal = 2, kForget = 3, kFenced = 4, kUnknown = 5 };
  Epoch epoch;
  Action action = Action::kUnknown;
  Seq acked;
  bool cancel = false;
  bool granted = false;
};
struct Drain {  // the queen's own: no new work comes
  bool on = true;
  std::string by, reason;
  WallMillis deadline = 0;
  bool hand_back = false;
};
struct Welcome {
  std::uint32_t protocol = 1;
  SessionId session;
  Duration lease{}, heartbeat_busy{}, heartbeat_idle{};  // 0 = the default of limits.h
  std::vector<Disposition> attempts;
  std::optional<Drain> drain;
};
struct Assign {
  Epoch epoch;
  std::uint32_t attempt = 1;
  std::string document;     // serialized, opaque to the core
  WallMillis received = 0;  // when this drone took it from the stream
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
struct QueryInfo {};
struct Forget {
  Epoch epoch;
};
struct Fenced {
  Epoch epoch;
};
using ControlDown =
    std::variant<Welcome, Assign, Cancel, Grant, HeartbeatAck, Verdict, QueryInfo, Forget, Fenced, Drain>;

// ---- queen → drone, bulk ----

struct Ack {
  Epoch epoch;
  Seq seq;
};
struct ResumeFrom {
  Epoch epoch;
  Seq seq;
};
using BulkDown = std::variant<Ack, ResumeFrom, Fenced>;

}  // namespace waggle::drone
