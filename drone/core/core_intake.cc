#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "drone/core/drone_core.h"

// Whether this drone takes work, and how much: what the owner of its host decides while it runs.
namespace waggle::drone {
namespace {

using Level = effect::Note::Level;

}  // namespace

void DroneCore::On(Time now, const event::Pause& e) {
  paused_ = e;
  Log(Level::kInfo, absl::StrCat("paused: no new work, ", running(), " running attempts go on",
                                 e.reason.empty() ? "" : ": ", e.reason));
  Offer();
  EndPauseIfDue(now);
}

void DroneCore::On(Time, const event::Resume&) {
  if (TakesWork() || stop_deadline_) return;
  paused_.reset();
  draining_ = false;
  farewell_ = 0;
  Log(Level::kInfo, absl::StrCat("resumed: ", info_.capacity, " slots take work"));
  Offer();
}

void DroneCore::On(Time, const event::Resize& e) {
  const std::uint32_t before = info_.capacity;
  if (e.capacity == 0 || e.capacity > limits::kMaxCapacity || e.capacity == before) return;
  info_.capacity = e.capacity;
  lowered_ = e.capacity < before;
  Log(Level::kInfo,
      absl::StrCat("resized from ", before, " to ", e.capacity, " slots; ", running(), " are in use"));
  Offer();
}

// It is the queen who gives no work; here it is only shown, until the next session says otherwise.
void DroneCore::Hear(Time, const Drain& m) {
  if (m.on != queens_drain_.has_value()) {
    Log(Level::kInfo,
        m.on ? absl::StrCat("the queen drains this drone", m.reason.empty() ? "" : ": ", m.reason)
             : std::string("the queen gives this drone work again"));
  }
  queens_drain_ = m.on ? std::optional<Drain>(m) : std::nullopt;
  if (!m.on || !m.hand_back) return;
  Log(Level::kInfo, absl::StrCat("the deadline of the drain is over: ", running(),
                                 " running attempts are ended and handed back"));
  HandBackAll();
}

void DroneCore::EndPauseIfDue(Time now) {
  if (!paused_ || !paused_->until || now < *paused_->until) return;
  paused_.reset();
  Log(Level::kInfo, "the pause is over");
  Offer();
}

Info DroneCore::OfferedInfo() const {
  Info info = info_;
  if (draining_) {
    info.intake = Intake::kDraining;
  } else if (paused_) {
    info.intake = Intake::kPaused;
    info.intake_reason = paused_->reason;
    info.intake_until = paused_->until_wall;
  }
  return info;
}

void DroneCore::Offer() {
  offer_unsaid_ = !connected();
  if (connected()) Do(effect::SendControl{OfferedInfo()});
}

// Whoever leaves as soon as he said so leaves the assignments that cross his word to a deadline.
void DroneCore::SayLeaving(Time now) {
  leave_by_ = now + kFarewellWait;
  if (!connected()) return;
  Beat(now);
  farewell_ = nonce_;
}

std::string DroneCore::WhyNoRoom() const {
  if (draining_) return "the drone is draining and takes no new work";
  if (paused_) {
    return absl::StrCat("the drone is paused and takes no new work", paused_->reason.empty() ? "" : ": ",
                        paused_->reason);
  }
  const std::uint32_t used = running();
  if (used >= info_.capacity)
    return absl::StrCat("no free slot: ", used, " of ", info_.capacity, " are taken");
  if (attempts_.size() >= limits::kAttemptsInHello) {
    return absl::StrCat("the drone holds ", attempts_.size(), " attempts that are not delivered yet");
  }
  return "";
}

View DroneCore::view() const {
  View view;
  view.connected = connected();
  view.trouble = last_trouble_;
  view.capacity = info_.capacity;
  view.running = running();
  view.pause = paused_;
  view.queens_drain = queens_drain_;
  view.draining = draining_;
  view.stopping = stop_deadline_.has_value();
  for (const auto& [epoch, a] : attempts_) {
    const Seq delivered = std::min(a.acked, a.held.last);
    view.jobs.push_back({a.job, a.held, a.held.last.value() - delivered.value()});
  }
  return view;
}

}  // namespace waggle::drone
