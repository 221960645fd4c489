#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "drone/core/drone_core.h"

// The life of an attempt: assignment, shim, grant and cancel, end, deletion.
namespace waggle::drone {
namespace {

using Level = effect::Note::Level;

// Whether the queen would learn something from `b` that it does not know from `a`; records have their own
// stream.
bool Differs(const Held& a, const Held& b) {
  return a.state != b.state || a.phase != b.phase || a.wants_grant != b.wants_grant ||
         a.started != b.started || a.finished != b.finished || a.test_code != b.test_code ||
         a.deploy_code != b.deploy_code;
}

}  // namespace

void DroneCore::On(Time, const event::Recovered& e) {
  Attempt& a = attempts_[e.held.epoch];
  a.job = e.job;
  a.held = e.held;
  a.process = e.alive;
  a.lost_detail = e.detail;
  a.handed_back = e.held.handed_back;
  if (e.alive) unheard_shims_.insert(e.held.epoch);
  highest_epoch_ = std::max(highest_epoch_, e.held.epoch);
  const std::string what = e.alive                                ? "its shim is attached again"
                           : e.held.state == HeldState::kFinished ? "it ended while the daemon was away"
                           : e.held.handed_back ? "it was handed back when the drone was stopped"
                                                : absl::StrCat("lost: ", e.detail);
  Log(Level::kInfo, absl::StrCat("job ", e.job.value(), " (epoch ", e.held.epoch.value(), ") found: ", what));
}

void DroneCore::Hear(Time now, const Assign& m) {
  if (!m.epoch) return CloseBrokenSession(now, "an assignment without an epoch");
  if (Attempt* a = Find(m.epoch)) {
    // Said twice: the answer got lost or is on its way. Starting it again would run it twice.
    if (a->doom != Doom::kNone) {
      Do(effect::SendControl{Reject{m.epoch, "this epoch was given up and is being deleted"}});
    } else if (!a->starting) {
      a->ours = true;
      Do(effect::SendControl{Accept{m.epoch, a->held.received}});
    }
    return;
  }
  const bool waits =
      std::any_of(deferred_.begin(), deferred_.end(), [&](const Assign& a) { return a.epoch == m.epoch; });
  if (waits) return;  // said twice
  if (m.epoch <= highest_epoch_) {
    // Epochs only grow: this one was run here, or given to somebody before. A replay must not start it again.
    std::string old = absl::StrCat("epoch ", m.epoch.value(), " is not newer than ", highest_epoch_.value(),
                                   ", the newest this drone was given");
    Log(Level::kWarning, old);
    Do(effect::SendControl{Reject{m.epoch, std::move(old)}});
    return;
  }
  std::string why = WhyNoRoom();
  if (!why.empty() && TakesWork() && deferred_.size() < Ending() &&
      running() - Ending() + deferred_.size() < info_.capacity) {
    deferred_.push_back(m);  // to the queen the slot of a fenced attempt is free; its tree is gone in moments
    return;
  }
  if (!why.empty()) {
    Log(Level::kInfo, absl::StrCat("epoch ", m.epoch.value(), " rejected: ", why));
    Do(effect::SendControl{Reject{m.epoch, std::move(why), !TakesWork() || lowered_}});
    return;
  }
  highest_epoch_ = std::max(highest_epoch_, m.epoch);
  Attempt& a = attempts_[m.epoch];
  a.held.epoch = m.epoch;
  a.held.received = m.received;
  a.starting = true;
  Do(effect::StartAttempt{m});
}

std::uint32_t DroneCore::Ending() const {
  return static_cast<std::uint32_t>(std::count_if(attempts_.begin(), attempts_.end(), [](const auto& entry) {
    const Attempt& a = entry.second;
    return a.doom == Doom::kFenced && !IsOver(a.held.state) && !a.verdict;
  }));
}

void DroneCore::StartDeferred(Time now) {
  while (!deferred_.empty() && (!TakesWork() || WhyNoRoom().empty())) {
    const Assign assign = std::move(deferred_.front());
    deferred_.pop_front();
    Hear(now, assign);
  }
}

void DroneCore::On(Time now, const event::Started& e) {
  Attempt* a = Find(e.epoch);
  if (a == nullptr) return;
  a->job = e.job;
  a->starting = false;
  a->process = true;
  if (a->doom != Doom::kNone) {
    a->kill_at = now;
    return;
  }
  if (stop_deadline_) HandBack(*a);
  Log(Level::kInfo, absl::StrCat("job ", e.job.value(), " (epoch ", e.epoch.value(), ") started"));
  if (!connected()) return;
  a->ours = true;
  SaySoon(now, *a);
}

void DroneCore::On(Time, const event::StartFailed& e) {
  if (Find(e.epoch) == nullptr) return;
  attempts_.erase(e.epoch);
  Log(Level::kWarning, absl::StrCat("epoch ", e.epoch.value(), " rejected: ", e.reason));
  if (connected()) Do(effect::SendControl{Reject{e.epoch, e.reason.substr(0, limits::kReasonBytes)}});
}

void DroneCore::On(Time, const event::ShimConnected& e) {
  Attempt* a = Find(e.epoch);
  if (a == nullptr) return;
  a->connected = true;
  a->cancel_sent = a->grant_sent = false;
  DeliverToShim(*a);
}

void DroneCore::On(Time, const event::ShimDisconnected& e) {
  if (Attempt* a = Find(e.epoch)) a->connected = false;
}

void DroneCore::DeliverToShim(Attempt& a) {
  if (!a.connected || IsOver(a.held.state) || a.doom != Doom::kNone) return;
  if (a.cancel && !a.cancel_sent) {
    a.cancel_sent = true;
    Do(effect::CancelShim{*a.cancel});
  }
  if (a.granted && a.held.wants_grant && !a.grant_sent) {
    a.grant_sent = true;
    Do(effect::GrantShim{a.held.epoch});
  }
}

void DroneCore::On(Time now, const event::ShimStatus& e) {
  Attempt* a = Find(e.held.epoch);
  if (a == nullptr) return;
  const bool last_unheard = unheard_shims_.erase(e.held.epoch) > 0 && unheard_shims_.empty();
  if (!IsOver(a->held.state) && e.held.counter >= a->held.counter) {
    Held next = e.held;
    next.received = a->held.received;
    next.last = a->damaged ? a->held.last : std::max(a->held.last, e.held.last);
    if (a->damaged && IsOver(next.state)) next.state = a->held.state;  // ends as lost, once the shim is gone
    const bool differs = Differs(a->held, next);
    a->held = next;
    a->stalled = false;
    if (IsOver(next.state)) LogEnd(*a);
    if (differs) Say(now, *a);
    DeliverToShim(*a);
  }
  if (last_unheard && begun_ && link_ == Link::kDown && tries_ == 0) OpenLink(now);
}

void DroneCore::On(Time, const event::ShimWatermark& e) {
  Attempt* a = Find(e.epoch);
  if (a == nullptr || a->damaged || e.last <= a->held.last) return;
  a->held.last = e.last;
  a->stalled = false;
}

void DroneCore::On(Time now, const event::ShimGone& e) {
  Attempt* a = Find(e.held.epoch);
  if (a == nullptr) return;
  const bool last_unheard = unheard_shims_.erase(e.held.epoch) > 0 && unheard_shims_.empty();
  a->process = a->connected = false;
  a->stalled = false;
  if (!IsOver(a->held.state)) {
    const bool lost = a->damaged || e.held.state == HeldState::kLost;
    Held& held = a->held;
    held.state = lost ? HeldState::kLost : HeldState::kFinished;
    held.counter = kCounterAfterShim;
    held.wants_grant = false;
    if (e.held.started != 0) held.started = e.held.started;
    if (e.held.finished != 0) held.finished = e.held.finished;
    if (e.held.test_code != -1) held.test_code = e.held.test_code;
    if (e.held.deploy_code != -1) held.deploy_code = e.held.deploy_code;
    if (!a->damaged) {
      held.last = e.held.last;  // counted on disk: the truth
      a->lost_detail = e.detail;
      a->handed_back = lost && e.held.handed_back;
    }
    if (a->sent > held.last) Rewind(*a, held.last);
    if (a->doom == Doom::kNone) LogEnd(*a);
    Say(now, *a);
  } else if (e.held.state == HeldState::kFinished && !a->damaged) {
    a->held.last = std::max(a->held.last, e.held.last);
  }
  if (last_unheard && begun_ && link_ == Link::kDown && tries_ == 0) OpenLink(now);
}

void DroneCore::Say(Time now, Attempt& a) {
  a.unsaid = true;
  if (!connected() || !a.ours) return;
  if (a.held.state == HeldState::kFinished) {
    SaySoon(now, a);
  } else {
    Tell(a);
  }
}

void DroneCore::SaySoon(Time now, Attempt& a) {
  if (!a.say_by) a.say_by = now + kSayWithin;
}

void DroneCore::TellDue(Time now) {
  for (auto& [epoch, a] : attempts_) {
    if (a.say_by && *a.say_by <= now) Tell(a);
  }
}

void DroneCore::Tell(Attempt& a) {
  const bool news = std::exchange(a.unsaid, false);
  a.say_by.reset();
  if (!news) {
    Do(effect::SendControl{Accept{a.held.epoch, a.held.received}});
  } else if (a.held.state == HeldState::kLost) {
    Do(effect::SendControl{ShimLost{a.held.epoch, a.held.last, a.lost_detail.substr(0, limits::kReasonBytes),
                                    a.trimmed, a.handed_back}});
  } else {
    Do(effect::SendControl{a.held});
  }
}

void DroneCore::LogEnd(const Attempt& a) {
  const bool lost = a.held.state == HeldState::kLost;
  std::string text = absl::StrCat("job ", a.job.value(), " (epoch ", a.held.epoch.value(), ") ");
  if (lost && a.handed_back) {
    absl::StrAppend(&text, "handed back");
  } else if (lost) {
    absl::StrAppend(&text, "lost: ", a.lost_detail);
  } else {
    absl::StrAppend(&text, "ended: ", a.held.last.value(), " records, test code ", a.held.test_code,
                    ", deploy code ", a.held.deploy_code);
  }
  Log(lost && !a.handed_back ? Level::kWarning : Level::kInfo, std::move(text));
}

void DroneCore::Hear(Time, const Cancel& m) {
  Attempt* a = Find(m.epoch);
  if (a == nullptr || IsOver(a->held.state)) return;
  if (a->cancel && a->cancel->now && !m.now) return;  // already asked for more
  a->cancel = m;
  a->cancel_sent = false;
  DeliverToShim(*a);
}

void DroneCore::Hear(Time, const Grant& m) {
  Attempt* a = Find(m.epoch);
  if (a == nullptr || IsOver(a->held.state)) return;
  a->granted = true;
  DeliverToShim(*a);
}

void DroneCore::Hear(Time now, const Verdict& m) {
  Attempt* a = Find(m.epoch);
  if (a == nullptr) return;
  // May overtake the shim's own word of its end. Of a fenced attempt the queen wrote the end herself: its
  // tree may live, and holds its slot.
  a->verdict = a->doom != Doom::kFenced;
  DoomAttempt(now, *a, Doom::kDelete);
}

void DroneCore::Hear(Time now, const Forget& m) {
  if (Attempt* a = Find(m.epoch)) DoomAttempt(now, *a, Doom::kDelete);
}

void DroneCore::Hear(Time now, const Fenced& m) {
  if (Attempt* a = Find(m.epoch)) DoomAttempt(now, *a, Doom::kFenced);
}

// Not asked to end but killed: it starts anew elsewhere, so its cleanup and the time for it are nobody's. Of
// a deploy under way the queen says that nobody knows.
void DroneCore::HandBack(const Attempt& a) {
  Do(effect::KillTree{a.held.epoch, /*hand_back=*/true});
}

void DroneCore::HandBackAll() {
  for (const auto& [epoch, a] : attempts_) {
    if (a.process && !IsOver(a.held.state)) HandBack(a);
  }
}

void DroneCore::DoomAttempt(Time now, Attempt& a, Doom doom) {
  if (a.doom != Doom::kNone) return;
  a.doom = doom;
  a.ours = false;
  a.say_by.reset();
  Rewind(a, a.acked);
  if (doom == Doom::kFenced) {
    Log(Level::kWarning, absl::StrCat("job ", a.job.value(), " (epoch ", a.held.epoch.value(),
                                      ") was given up by the queen: it is ended and deleted"));
  }
  // A shim whose final record is stored leaves by itself within moments; anything else has to be ended.
  const bool leaves = doom == Doom::kDelete && (a.verdict || IsOver(a.held.state));
  if (a.process) a.kill_at = leaves ? now + kShimLeaves : now;
}

void DroneCore::KillOverdue(Time now) {
  for (auto& [epoch, a] : attempts_) {
    if (!a.kill_at || now < *a.kill_at || !a.process) continue;
    a.kill_at = now + kShimLeaves;  // again, should it not help
    Do(effect::KillTree{epoch});
  }
}

void DroneCore::RemoveDoomed() {
  for (auto it = attempts_.begin(); it != attempts_.end();) {
    Attempt& a = it->second;
    if (a.doom == Doom::kNone || a.process || a.starting) {
      ++it;
      continue;
    }
    Do(effect::DeleteAttempt{it->first});
    unheard_shims_.erase(it->first);
    it = attempts_.erase(it);
  }
}

}  // namespace waggle::drone
