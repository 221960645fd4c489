#include "drone/shim/sequence.h"

#include <utility>

namespace waggle::shim {

Sequence::Sequence(Plan plan) : plan_(plan) {
  for (Phase phase : kPhases) {
    if (Applies(phase) && HasWork(phase)) return;
  }
  reason_ = Reason::kBadConfig;
  detail_ = "the job has no step that its type would run; add one to a phase";
}

bool Sequence::Applies(Phase phase) const {
  if (phase == Phase::kTest) return plan_.type != JobType::kDeploy;
  if (phase == Phase::kDeploy) return plan_.type != JobType::kTest;
  return true;
}

bool Sequence::HasWork(Phase phase) const {
  return plan_.steps[static_cast<int>(phase)] > 0 || plan_.plugins[static_cast<int>(phase)];
}

bool Sequence::Demanded(Phase phase) const {
  return (phase == Phase::kTest || phase == Phase::kDeploy) && Applies(phase);
}

std::optional<Phase> Sequence::FirstFrom(int index) const {
  if (reason_ == Reason::kBadConfig) return std::nullopt;
  for (; index < kPhaseCount; ++index) {
    Phase phase = kPhases[index];
    if (!Applies(phase) || (halted() && phase != Phase::kCleanup)) continue;
    bool checkout = phase == Phase::kPrepare && plan_.checkout;
    if (HasWork(phase) || Demanded(phase) || checkout) return phase;
  }
  return std::nullopt;
}

bool Sequence::PhaseOver() const {
  if (phase_code_ != 0) return true;
  return in_cleanup_ ? cleanup_stopped_ : halted();
}

bool Sequence::RunsMore() const {
  if (inside_ && !PhaseOver()) {
    const bool checkout = kPhases[index_] == Phase::kPrepare && plan_.checkout && !checkout_started_;
    const bool plugins = plan_.plugins[index_] && (!plugins_started_ || plugins_run_);
    if (checkout || plugins || step_ < plan_.steps[index_]) return true;
  }
  int index = inside_ ? index_ + 1 : index_;
  while (std::optional<Phase> phase = FirstFrom(index)) {
    index = static_cast<int>(*phase);
    if (HasWork(*phase) || (*phase == Phase::kPrepare && plan_.checkout)) return true;
    ++index;
  }
  return false;
}

Sequence::Action Sequence::Next() {
  plugins_run_ = false;
  if (!inside_) {
    std::optional<Phase> phase = FirstFrom(index_);
    if (!phase) return {.what = Do::kFinish};
    index_ = static_cast<int>(*phase);
    inside_ = true;
    in_cleanup_ = *phase == Phase::kCleanup;
    step_ = 0;
    phase_code_ = 0;
    plugins_started_ = false;
    return {.what = Do::kBeginPhase, .phase = *phase};
  }
  const Phase phase = kPhases[index_];
  if (!PhaseOver()) {
    if (phase == Phase::kPrepare && plan_.checkout && !checkout_started_) {
      checkout_started_ = true;
      return {.what = Do::kCheckout, .phase = phase};
    }
    const bool plugins = plan_.plugins[index_] && !plugins_started_;
    if (plugins || step_ < plan_.steps[index_]) {
      if (phase == Phase::kDeploy && !granted_) return {.what = Do::kAwaitGrant, .phase = phase};
      if (plugins) {
        plugins_started_ = plugins_run_ = true;
        return {.what = Do::kRunPlugins, .phase = phase};
      }
      return {.what = Do::kRunStep, .phase = phase, .step = step_++};
    }
  }
  return EndPhase();
}

Sequence::Action Sequence::EndPhase() {
  Action action{.what = Do::kEndPhase, .phase = kPhases[index_], .code = phase_code_};
  action.ran_nothing = Demanded(action.phase) && plan_.steps[index_] == 0;
  inside_ = false;
  ++index_;
  action.next = FirstFrom(index_);
  if (!halted()) {
    bool before_deploy = action.phase <= Phase::kTest;
    if (before_deploy && (!action.next || *action.next >= Phase::kDeploy)) tested_ = true;
    if (action.phase == Phase::kDeploy) deployed_ = true;
  }
  return action;
}

void Sequence::StepDone(std::int32_t code) {
  if (code == 0 || phase_code_ != 0) return;
  phase_code_ = code;
  if (!in_cleanup_ && !failed_) failed_ = FailedStep{kPhases[index_], step_ - 1, code};
}

void Sequence::CheckoutDone(std::int32_t code, std::string detail) {
  if (code == 0) return;
  phase_code_ = code;
  Stop(Reason::kSource, std::move(detail));  // without effect when a cancel or limit ended the checkout
}

void Sequence::PluginFailed(std::int32_t code, std::string detail) {
  if (!Stop(Reason::kPlugin, std::move(detail))) return;
  phase_code_ = code;
}

bool Sequence::Stop(Reason reason, std::string detail) {
  if (halted() || in_cleanup_) return false;
  reason_ = reason;
  detail_ = std::move(detail);
  return true;
}

std::int32_t Sequence::test_code() const {
  if (failed_ && failed_->phase <= Phase::kTest) return failed_->code;
  return tested_ ? 0 : -1;
}

std::int32_t Sequence::deploy_code() const {
  if (failed_ && failed_->phase == Phase::kDeploy) return failed_->code;
  return deployed_ ? 0 : -1;
}

}  // namespace waggle::shim
