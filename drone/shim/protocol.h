#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "common/base/vocabulary.h"
#include "drone/sandbox/plan.h"

// What the drone daemon and a shim say to each other over DIR/shim.sock: frames of
//   u32 size of the rest | u8 version (1) | u8 type | fields in common/base/bytes.h encoding.
// A peer understands its own version and the one before it; fields are only added at the end of a frame. A
// frame above kMaxFrame bytes, of an unknown version or with a damaged body ends the connection, never the
// attempt.
//
// The daemon binds and listens on the socket before it starts the shim and hands it down as descriptor 3, so
// that it can connect at once. One connection is served at a time; a new one replaces the old one (a
// restarted daemon). On each new connection the shim first sends Status, then Watermark and Status as things
// change.
namespace waggle::shim {

inline constexpr std::uint8_t kVersion = 1;
inline constexpr std::size_t kMaxFrame = 1024 * 1024;
inline constexpr int kListenFd = 3;

// How a step may take and end.
struct StepRules {
  bool allow_failure = false;                  // a code other than 0 is only told
  std::chrono::nanoseconds wall{}, silence{};  // 0 = only what the attempt's limits say
  std::string shell;                           // of its script: "bash", "sh"; "" = bash where there is one
};

struct Step {
  std::string name, command, screen, cwd;
  std::vector<std::string> args;
  std::map<std::string, std::string> env;
  bool silent = false;
  StepRules rules;     // at the end of the frame
  std::string plugin;  // who asked for it; never in a frame: the shim learns it from the plugin
};

// How the source gets into the job's directory, run by the shim before the first prepare command. Empty = no
// repository.
struct Checkout {
  std::vector<std::string> argv;  // waggle-git and its arguments; no credential among them
  std::string input;              // written to its standard input: credentials
  std::string comment;            // shown in the log: "fetch URL at COMMIT"
};

// One plugin of a job, found and configured: drone/plugins/README.md.
struct PluginUse {
  std::string name, program;                     // absolute path
  std::string config;                            // JSON object
  std::map<std::string, std::string> variables;  // the same as PLUGIN_NAME, for the plugin alone
  std::uint8_t phases = 0;                       // it takes part in phase p if bit p is set
};
struct Plugins {
  std::vector<PluginUse> uses;       // in the order of the job
  std::chrono::nanoseconds limit{};  // of one run of one plugin; 0 = limits::kPluginLimit
  std::string job;                   // JSON object: what a plugin may know of the job
  std::string fault;                 // why the job's configuration of them is wrong; then nothing runs
};

// Everything a shim needs to lead an attempt. Sent once, daemon → shim, first frame.
struct Start {
  JobId job;
  Epoch epoch;
  std::uint32_t attempt = 1;
  JobType type = JobType::kTest;
  std::string header;                      // first line of the log: drone, version, isolation
  std::string base_directory;              // cwd of the environment phase (exists)
  std::string job_directory;               // cwd of the other phases (created by checkout or the shim)
  std::map<std::string, std::string> env;  // the whole environment of every command
  Checkout checkout;
  std::array<std::vector<Step>, kPhaseCount> phases;
  std::chrono::nanoseconds wall{}, silence{}, cleanup{}, interrupt{}, terminate{};
  std::uint64_t log_bytes = 0;
  // What the spools of all attempts in `attempts` may hold together (spool_budget.h); 0 = no budget. When it
  // is used up the job waits, or, with `truncates`, what it prints is dropped and declared by a marker.
  std::string attempts;
  std::uint64_t spool_budget = 0, spool_segment = 0;
  bool truncates = false;
  Plugins plugins;
  // What plugins asked for so far; never in a frame. Steps have it over `env`, the checkout has not.
  std::map<std::string, std::string> plugin_env;
  std::vector<std::string> plugin_path;  // directories before PATH
  sandbox::Plan sandbox;                 // one string in the frame: what is added to it stays inside
};

enum class AttemptState : std::uint8_t {
  kAccepted = 1,
  kRunning = 2,
  kGranted = 3,
  kFinished = 4,
  kCleaning = 5
};

// shim → daemon. Sent at connect and whenever something other than the watermark changes.
struct Status {
  Epoch epoch;
  AttemptState state = AttemptState::kAccepted;
  std::uint8_t phase = 0;
  std::uint64_t last = 0;     // last sequence number in the spool
  bool wants_grant = false;   // waits before the first deploy command
  std::uint32_t counter = 0;  // rises with every Status of this attempt
  std::int64_t started_wall = 0, finished_wall = 0;
  std::int32_t test_code = -1, deploy_code = -1;
};
struct Watermark {
  std::uint64_t last = 0;  // records up to here are in the spool
};
// daemon → shim
struct Grant {};
struct Cancel {
  std::string by, reason;
  bool now = false;  // KILL at once
};

using Frame = std::variant<Start, Status, Watermark, Grant, Cancel>;

std::string EncodeFrame(const Frame& frame);

// Takes bytes as they come and gives whole frames.
class FrameReader {
 public:
  void Feed(std::string_view bytes) { buffer_.append(bytes); }
  // nullopt: no whole frame yet. failed() is true after a bad frame; then nothing more is given.
  std::optional<Frame> Next();
  bool failed() const { return failed_; }

 private:
  std::string buffer_;
  bool failed_ = false;
};

// Files of an attempt directory.
inline constexpr std::string_view kSocketName = "shim.sock";
inline constexpr std::string_view kSpoolPrefix = "spool";
// Allocated space for the last records of an attempt on a full disk; becomes a segment of the spool when
// needed.
inline constexpr std::string_view kReserveName = "reserve";
// Where the checkout of an isolated job is made, before it becomes the job's.
inline constexpr std::string_view kCheckout = "/checkout/src";
inline constexpr std::string_view kShimLog = "shim.log";  // the shim's own stderr

}  // namespace waggle::shim
