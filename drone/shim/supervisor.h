#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/limits.h"
#include "common/journal/events.h"
#include "common/journal/writer.h"
#include "drone/plugins/data.h"
#include "drone/shim/command.h"
#include "drone/shim/connection.h"
#include "drone/shim/last_line.h"
#include "drone/shim/pace.h"
#include "drone/shim/plugin_run.h"
#include "drone/shim/protocol.h"
#include "drone/shim/sequence.h"
#include "drone/shim/spool.h"
#include "drone/shim/spool_budget.h"
#include "drone/shim/step_setup.h"
#include "drone/shim/tree_end.h"

namespace waggle::shim {

inline constexpr Duration kRetryFlush =
    std::chrono::milliseconds(200);  // a full disk is looked at again so often
inline constexpr Duration kTellWithin = std::chrono::milliseconds(20);
// Behind so much output in its reserve an attempt drops the rest: the last records need the room.
inline constexpr std::size_t kOutputInReserve = limits::kSpoolReserve - 2 * limits::kRecordPayload;
// Of an attempt that ends: the queen may be about to free some space.
inline constexpr Duration kSpacePatience = std::chrono::seconds(2);

// Leads one attempt from the Start frame to the final record. Single-threaded: Run() is straight-line code
// that follows the Sequence; whenever it has to wait it calls Pump(), one turn of the event loop (poll over
// the socket, SIGCHLD, one boot-clock timer and the pipes of the running command), which also serves the
// daemon, the limits and the cancel. A poll over six descriptors needs no registration calls per command,
// which epoll would.
//
// The daemon may come and go; only the spool matters. A spool without space, on the disk or within the budget
// of the drone, blocks the job's pipes until there is some; any other spool error kills the tree and ends the
// process with exit_code::kStorageFailure. Once the outcome is decided nothing waits for space any more: the
// last records go into the reserve of the attempt, and what is still printed is counted, dropped, and
// declared by a marker.
class Supervisor {
 public:
  Supervisor(std::string directory, int listen_fd);

  // Exit code of the process. 0: the final record is in the spool.
  int Run();

 private:
  // supervisor.cc: what an attempt does.
  void ApplyDefaults();
  bool Open();
  void Perform(const Sequence::Action& action);
  void BeginPhase(Phase phase);
  void EndPhase(const Sequence::Action& action);
  void AwaitGrant();
  void RunStep(Phase phase, std::size_t index);
  std::string StepLabel(Phase phase, std::size_t index) const;  // "test/unit"
  void TellAllowed(Phase phase, std::size_t index, std::int32_t code);
  absl::StatusOr<StepSetup> PrepareWithSpace(const Step& step, Phase phase);
  std::int32_t RunPrepared(StepSetup setup, const Step& step, journal::CommandEnd* end);

  // supervisor_end.cc: how it ends.
  void Finish();
  void EndLeftovers();
  journal::Final MakeFinal();

  // supervisor_plugins.cc: what plugins add to it.
  void RunPlugins(Phase phase);
  struct PluginFault {
    std::int32_t code = 0;  // 0: it did well
    std::string why;
  };
  PluginFault RunPlugin(const PluginUse& use, Phase phase, std::vector<Step>* steps);
  PluginFault AwaitPlugin(Duration limit);
  void OnPluginMessage(const std::string& plugin, plugins::Message& message);

  // supervisor_places.cc: where it lives.
  bool MakeSandbox();  // false: the attempt is over
  void MakeDirectories();
  absl::Status MakeJobDirectory();
  void RunCheckout();
  absl::Status TakeCheckout();  // what was checked out becomes the job's
  absl::StatusOr<Command> StartCommand(LaunchSpec spec);

  // supervisor_loop.cc: how it waits.
  bool MakeLoop();
  void Pump();
  void PumpUntil(const std::function<bool()>& condition, std::optional<Time> deadline = std::nullopt);
  void ArmTimer();
  Time NextDeadline() const;
  Duration SilenceLimit() const;  // of the running command
  void CheckDeadlines();
  void CheckQuietPipes();
  void OnExit(pid_t pid, int wait_status, const rusage& usage);
  bool OnFrame(Frame& frame);
  void OnCancel(const Cancel& cancel);
  void ReadOutput(bool out, bool err, bool gap_over);
  void OnOutput(Stream stream, std::string_view bytes);
  void StopFor(Reason reason, const std::string& sentence);
  bool CanStop() const;
  bool Decided() const;        // the outcome does not change any more
  bool WaitsForSpace() const;  // instead of taking the reserve

  // Records.
  void Add(journal::Kind kind, std::uint32_t command, std::string_view payload);
  void Flush();   // tries; without space the batch stays and a timer tries again
  void Settle();  // pumps until everything is in the spool
  absl::Status AppendToSpool(std::string_view records, Seq last);
  bool OverBudget();  // of an attempt that drops output instead of waiting
  absl::Status FlushIntoReserve();
  void Drop(Stream stream, std::size_t bytes, std::string_view why);
  void DeclareDropped();  // the markers behind output that was dropped
  void Sync();
  void Report();  // Status frame
  // The daemon is told with the next turn, or within kTellWithin of what only says how far the job is: one
  // message for a short job's whole beginning.
  void Tell(bool at_once);
  [[noreturn]] void Fail(const absl::Status& status);

  const std::string directory_;
  Connection connection_;
  std::unique_ptr<sandbox::Sandbox> sandbox_;  // of the tree
  ProcessTree tree_;

  // The loop.
  UniqueFd signal_fd_, timer_fd_, null_fd_;
  Time now_;
  std::optional<Time> armed_;
  std::optional<Time> wait_deadline_;  // of the PumpUntil in progress
  std::optional<Time> retry_flush_;    // the spool had no space
  std::optional<Time> tell_by_;        // the daemon does not know all yet
  bool output_added_ = false;          // since the last Flush
  Time blocked_since_;                 // while retry_flush_ is set

  // The attempt.
  std::optional<Start> start_;
  std::optional<Sequence> sequence_;
  std::unique_ptr<journal::Writer> writer_;
  std::unique_ptr<Spool> spool_;
  Status status_;
  Time started_, cleanup_started_;
  bool in_cleanup_ = false;
  bool cleanup_ended_ = false;
  bool log_full_ = false;
  bool late_cancel_noted_ = false;

  // The running command, or the checkout (number kNoCommand).
  std::optional<Command> command_;
  Pace pace_;
  std::uint32_t command_number_ = journal::kNoCommand;
  bool silent_ = false;
  StepRules rules_;  // of the running step
  std::uint64_t withheld_bytes_ = 0;
  bool in_reserve_ = false;                  // the spool goes on in the reserve
  std::uint64_t dropped_bytes_[2] = {0, 0};  // of each stream, not yet declared
  std::string why_dropped_;
  std::optional<SpoolBudget> budget_;
  bool over_budget_ = false;         // as it was when it was last looked at
  Time look_at_budget_;              // while it is
  LastLine last_line_;               // of the checkout
  std::optional<PluginRun> plugin_;  // while command_ is one
  plugins::DataStore plugin_data_;
  std::uint32_t next_command_ = 0;

  // Resource use of everything reaped.
  std::uint64_t user_micros_ = 0, system_micros_ = 0, max_rss_kib_ = 0;
};

}  // namespace waggle::shim
