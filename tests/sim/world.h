#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <queue>
#include <string>
#include <string_view>
#include <typeinfo>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "tests/sim/disk.h"
#include "tests/sim/plan.h"
#include "tests/sim/random.h"

namespace waggle::sim {

// Rare paths that the seeds of a run must have taken between them. A new one: a name here, and a Sometimes()
// where it shows in what the product said, stored or did.
// clang-format off
#define WAGGLE_SIM_RARE_PATHS(X) \
  X(stale_epoch_refused) X(stale_records_fenced) X(repeat_dropped) X(session_deposed) \
  X(bulk_of_old_session_refused) X(drone_lost_by_lease) X(drone_knew_first) X(queued_again) \
  X(retries_used_up) X(deploy_unknown) X(canceled_while_queued) X(canceled_while_running) \
  X(cancel_said_again) X(cancel_lost_race_to_end) X(commit_lost_in_crash) X(commit_kept_unanswered) \
  X(crash_between_effects) X(queen_cut_torn_log) X(spool_lost_its_tail) X(attempt_lost_with_host) \
  X(shim_lost) X(handed_back) X(shim_attached_again) X(ended_while_daemon_away) X(spool_full_blocked_job) \
  X(assignment_rejected) X(assignment_unanswered) X(seal_awaited_records) X(seal_gave_up_waiting) \
  X(verdict_after_restart) X(send_final) X(forgotten) X(grant_said_again) X(drained) X(drained_by_queen) \
  X(commit_waited_for_space) X(log_waited_for_space) X(refused_for_space) X(queen_left_by_sync_error) \
  X(held_for_branch) X(lease_over_on_drone) \
  X(submission_repeated) X(submission_found_stored) \
  X(clone_deposed) X(revoked) X(log_bit_flipped) X(log_incomplete) X(spool_damaged) \
  X(late_truth) X(late_shim_lost) X(late_drone_gone) \
  X(backup_restored) X(deploy_settled) X(attempt_forgotten) \
  X(job_skipped) X(failed_repeated) X(job_retried) X(run_canceled) X(run_superseded)
// clang-format on

enum class Rare : std::uint8_t {
#define X(name) name,
  WAGGLE_SIM_RARE_PATHS(X)
#undef X
      kCount
};
inline constexpr std::size_t kRarePaths = static_cast<std::size_t>(Rare::kCount);
const char* Name(Rare path);

struct Result {
  bool ok = true;
  std::string invariant, text;  // of the first violation
  std::uint64_t hash = 0;       // of everything that happened, in order
  std::uint64_t steps = 0;
  Nanos virtual_time = 0;
  std::array<std::uint64_t, kFaultKinds> faults{};
  std::array<std::uint64_t, kRarePaths> rare{};
  std::vector<std::string> trace;
};

// Time, order and chance of one simulated world, and what came of it. One thread.
class World {
 public:
  World(const Plan& plan, bool tracing) : plan(plan), tracing(tracing) {}

  Nanos now() const { return now_; }
  void At(Nanos when, std::function<void()> what);
  void After(Nanos delay, std::function<void()> what) { At(now_ + delay, std::move(what)); }
  // The next thing that is due, no later than `until`; false when there is none or something has failed.
  bool Step(Nanos until);
  void SkipTo(Nanos when) { now_ = when; }

  void Fail(std::string_view invariant, std::string text);
  bool failed() const { return !result.ok; }
  void Sometimes(Rare path) { ++result.rare[static_cast<std::size_t>(path)]; }

  // One thing that happened: into the hash, and into the trace when somebody will read it.
  template <typename... Parts>
  void Note(std::uint64_t what, const Parts&... parts) {
    result.hash = MixBits(result.hash ^ MixBits(what) ^ static_cast<std::uint64_t>(now_));
    if (tracing && sizeof...(parts) > 0) AddTrace(absl::StrCat(parts...));
  }

  // The same for an event, effect or message: its type and, if it has one, its epoch.
  template <typename Variant>
  void NoteValue(std::uint64_t what, const std::string& who, const Variant& value) {
    Note(what + value.index());
    if (!tracing) return;
    std::visit(
        [&](const auto& v) {
          std::string line = absl::StrCat(who, " ", TypeName(typeid(v)));
          if (line.ends_with("::Tick") || line.ends_with("::Timer")) return;
          if constexpr (requires { v.epoch.value(); })
            absl::StrAppend(&line, " of attempt ", v.epoch.value());
          if constexpr (requires { v.message.index(); }) {
            std::visit([&](const auto& m) { absl::StrAppend(&line, " ", TypeName(typeid(m))); }, v.message);
          }
          if (line.find("Heartbeat") == std::string::npos) AddTrace(std::move(line));
        },
        value);
  }

  const Plan& plan;
  const bool tracing;
  Result result;
  Disk disk;

 private:
  struct Entry {
    Nanos when;
    std::uint64_t order;
    std::function<void()> what;
  };
  struct Later {
    bool operator()(const Entry& a, const Entry& b) const {
      return a.when != b.when ? a.when > b.when : a.order > b.order;
    }
  };
  void AddTrace(std::string line);
  static std::string TypeName(const std::type_info& type);

  Nanos now_ = 0;
  std::uint64_t order_ = 0;
  std::priority_queue<Entry, std::vector<Entry>, Later> due_;
};

// The boot clock and the wall clock of one host.
class HostClock {
 public:
  HostClock(const World& world, int ppm, Random random);
  Time Local() const { return LocalAt(world_.now()); }
  // When this clock shows `local`; never before that.
  Nanos WorldTimeOf(Time local) const;
  WallMillis Wall() const;
  void StepWall(Nanos by) { wall_offset_ += by; }
  void Boot() { booted_ = world_.now(); }  // the boot clock starts again near zero

 private:
  Time LocalAt(Nanos world) const;
  const World& world_;
  const int ppm_;
  Nanos booted_, wall_offset_;
};

}  // namespace waggle::sim
