#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "common/base/vocabulary.h"

namespace waggle::shim {

// Decides what an attempt does next. PURE: no process, clock or file; the supervisor asks Next(), does it,
// reports the result, and asks again.
//
// Phases come in their fixed order. The first failing step ends its phase; after it, and after Stop(), only
// cleanup runs. Plugins that take part in a phase run at its beginning, behind the checkout, and may add
// steps before those of the job. A phase without steps and plugins is passed over without a word, unless its
// job type demands it (test, deploy): then it begins and ends with ran_nothing.
class Sequence {
 public:
  struct Plan {
    JobType type = JobType::kTest;
    std::array<std::size_t, kPhaseCount> steps{};
    bool checkout = false;                    // the source comes in at the start of prepare
    std::array<bool, kPhaseCount> plugins{};  // whether any takes part
  };

  enum class Do : std::uint8_t {
    kBeginPhase,
    kCheckout,
    kAwaitGrant,
    kRunPlugins,
    kRunStep,
    kEndPhase,
    kFinish
  };
  struct Action {
    Do what = Do::kFinish;
    Phase phase = Phase::kEnvironment;
    std::size_t step = 0;       // kRunStep: index in its phase
    std::int32_t code = 0;      // kEndPhase
    std::optional<Phase> next;  // kEndPhase: the phase that will really run after this one
    bool ran_nothing = false;   // kEndPhase: the job type demands the phase, and it has no step
  };

  struct FailedStep {
    Phase phase = Phase::kEnvironment;
    std::size_t step = 0;
    std::int32_t code = 0;
  };

  explicit Sequence(Plan plan);

  // kAwaitGrant is given again until Granted() or Stop(). REQUIRES: the result of the action before was
  // reported.
  Action Next();

  void StepDone(std::int32_t code);
  void CheckoutDone(std::int32_t code, std::string detail);
  void Granted() { granted_ = true; }
  // After kRunPlugins: so many steps come before those of the phase.
  void PluginsAsked(std::size_t steps) { plan_.steps[index_] += steps; }
  // A plugin failed: the attempt ends. Without effect in cleanup, which goes on.
  void PluginFailed(std::int32_t code, std::string detail);

  // Something other than a step's exit ends the attempt: cancel or a limit. The first cause wins, and none
  // counts once the outcome is decided (a step failed, or cleanup began); false then.
  bool Stop(Reason reason, std::string detail);
  // The limit of the cleanup phase is over: its remaining steps are skipped.
  void StopCleanup() { cleanup_stopped_ = true; }

  bool stopped() const { return reason_ != Reason::kNone; }
  // Whether Next() may still ask for a step or the checkout.
  bool RunsMore() const;
  // The outcome is decided: only cleanup is left.
  bool halted() const { return failed_.has_value() || stopped(); }
  bool granted() const { return granted_; }
  Reason reason() const { return reason_; }
  const std::string& detail() const { return detail_; }
  // The first failed step outside of cleanup.
  const std::optional<FailedStep>& failed() const { return failed_; }
  // Code of the environment, prepare and test phases together: 0 = all passed, −1 = they were not all
  // reached.
  std::int32_t test_code() const;
  std::int32_t deploy_code() const;

 private:
  bool Applies(Phase phase) const;
  bool Demanded(Phase phase) const;
  bool HasWork(Phase phase) const;  // as far as it is known before the phase

  bool PhaseOver() const;
  std::optional<Phase> FirstFrom(int index) const;
  Action EndPhase();

  Plan plan_;
  int index_ = 0;        // phase that is considered next, or that is running
  bool inside_ = false;  // between kBeginPhase and kEndPhase
  bool in_cleanup_ = false;
  bool cleanup_stopped_ = false;
  bool checkout_started_ = false;
  bool plugins_started_ = false;  // in this phase
  bool plugins_run_ = false;      // since the last Next()
  bool granted_ = false;
  bool tested_ = false, deployed_ = false;  // all of it passed
  std::size_t step_ = 0;
  std::int32_t phase_code_ = 0;
  std::optional<FailedStep> failed_;
  Reason reason_ = Reason::kNone;
  std::string detail_;
};

}  // namespace waggle::shim
