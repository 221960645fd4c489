#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/vocabulary.h"
#include "tests/sim/random.h"

namespace waggle::sim {

// Faults by name: what it does and to whom stands in faults.cc.
// clang-format off
#define WAGGLE_SIM_FAULTS(X) \
  X(cut_control) X(cut_bulk) X(cut_both) X(stall_up) X(stall_down) X(stall_bulk) X(slow_link) X(partition) \
  X(daemon_kill) X(daemon_detach) X(daemon_drain) X(daemon_stop) X(owner_pause) X(owner_resize) X(daemon_pause) X(host_suspend) X(host_reboot) \
  X(shim_kill) X(shim_socket_cut) X(spool_full) X(spool_bit_flip) X(cloned_key) X(cert_expiry) X(drone_wall_step) X(queen_kill) X(queen_power_loss) \
  X(queen_pause) X(queen_disk_full) X(queen_sync_error) X(queen_slow_disk) X(queen_wall_step) \
  X(queen_bit_flip) X(db_restore) X(person_drain) X(person_revoke) X(both_restart)
// clang-format on

enum class FaultKind : std::uint8_t {
#define X(name) name,
  WAGGLE_SIM_FAULTS(X)
#undef X
      kCount
};
inline constexpr std::size_t kFaultKinds = static_cast<std::size_t>(FaultKind::kCount);
const char* Name(FaultKind kind);

struct Fault {
  FaultKind kind = FaultKind::cut_control;
  Nanos at = 0;
  Nanos length = 0;
  std::size_t drone = 0;
  std::uint64_t chance = 0;  // where in its steps it strikes, and other choices
};

struct StepPlan {
  Nanos duration = 0;
  std::uint32_t chunks = 0, chunk_bytes = 0;  // of output, spread over its duration
  std::int32_t code = 0;
  bool endless = false;  // runs until somebody ends it
};

struct JobPlan {
  JobType type = JobType::kTest;
  std::array<std::vector<StepPlan>, kPhaseCount> phases;
  // Of a run: which of its jobs before this one it waits for (bits), and how.
  std::uint32_t after = 0;
  RunsAfter runs_after = RunsAfter::kPassed;
  bool allow_failure = false, not_wanted = false;
  std::int32_t retry_failed = 0;
  bool cancel_previous = false;  // of the run; said by its first job
  std::optional<Nanos> run_canceled_after, retried_after;
  std::uint32_t run = 0;  // jobs of equal number are submitted together as a run; 0 = as a document
  int repository = 0;     // 0 = none
  std::int32_t priority = 0;
  bool labelled = false;  // wants label gpu=yes
  Nanos submit_at = 0;
  std::optional<Nanos> cancel_after;  // of its submission
  bool cancel_now = false;
  bool watched = false;
  std::optional<Nanos> repeated_after;  // submitted once more, as if the answer had got lost
};

// Everything that is decided before a seed runs. Faults and jobs can be taken out one by one: what a shorter
// failing run does not need.
struct Plan {
  std::uint64_t seed = 0;
  std::vector<std::uint32_t> slots;  // of each drone
  std::vector<bool> gpu;             // likewise: has the label
  std::vector<bool> remote;          // likewise: is on another host, known by its certificate
  std::vector<int> clock_ppm;        // of the queen, then of each drone: how much too fast it runs
  Nanos latency = 0;                 // of a message, on average
  Nanos chaos_end = 0;
  std::vector<JobPlan> jobs;  // the last one is the probe: nobody submits it before everything else is over
  std::vector<Fault> faults;
  std::vector<bool> job_kept, fault_kept;
};

Plan MakePlan(std::uint64_t seed);

// How long the queen and the drones may need after the last fault to bring everything to its end.
inline constexpr Nanos kHealBound = 100 * kMinute;
inline constexpr Nanos kWallLimit = 600 * kMinute;  // of a job: longer than anything waits for it

}  // namespace waggle::sim
