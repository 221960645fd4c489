#include "drone/core/drone_core.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/limits.h"
#include "common/base/planted.h"

namespace waggle::drone {

DroneCore::DroneCore(Info info)
    : info_(std::move(info)),
      lease_(limits::kLease),
      busy_(limits::kHeartbeatBusy),
      idle_(limits::kHeartbeatIdle) {}

Effects DroneCore::Step(Time now, const Event& event) {
  effects_ = {};
  if (exited_) return {};
  std::visit([&](const auto& e) { On(now, e); }, event);
  if (exited_) return std::move(effects_);  // nothing follows the exit
  EndPauseIfDue(now);
  KillOverdue(now);
  RemoveDoomed();
  StartDeferred(now);
  Pump();
  FinishLeaving(now);
  if (!exited_) effects_.wake = NextWake();
  return std::move(effects_);
}

std::uint32_t DroneCore::running() const {
  return static_cast<std::uint32_t>(std::count_if(attempts_.begin(), attempts_.end(), [](const auto& entry) {
    return !IsOver(entry.second.held.state) && !entry.second.verdict;
  }));
}

void DroneCore::On(Time now, const event::Begin& e) {
  begun_ = true;
  highest_epoch_ = std::max(highest_epoch_, e.highest_epoch);
  next_try_ = now;
  if (unheard_shims_.empty()) {
    OpenLink(now);
  } else {
    next_try_ += kFirstStatusWait;
  }
}

void DroneCore::On(Time now, const event::Drain&) {
  if (draining_) {
    On(now, event::Stop{});
    return;
  }
  draining_ = true;
  Log(effect::Note::Level::kInfo,
      absl::StrCat("draining: no new work, ", attempts_.size(), " attempts go on to their end"));
  Offer();
  SayLeaving(now);
}

void DroneCore::On(Time now, const event::Stop&) {
  if (stop_deadline_) return;
  if (!std::exchange(draining_, true)) {
    Offer();
    SayLeaving(now);
  }
  stop_deadline_ = now + kStopWait;
  Log(effect::Note::Level::kInfo,
      absl::StrCat("stopping: ", running(), " running attempts are ended and handed back"));
  HandBackAll();
}

void DroneCore::On(Time, const event::Detach&) {
  Log(effect::Note::Level::kInfo,
      absl::StrCat("detached: ", running(), " running attempts go on without the daemon"));
  Do(effect::Exit{0});
  exited_ = true;
}

void DroneCore::On(Time now, const event::Timer& e) {
  WatchLink(now, e.jitter);
  BeatIfDue(now);
  TellDue(now);
  if (bulk_retry_ && now >= *bulk_retry_) {
    bulk_retry_.reset();
    if (connected() && !bulk_open_) {
      bulk_open_ = true;
      Do(effect::OpenBulk{session_});
    }
  }
  if (link_ == Link::kDown && begun_ && now >= next_try_) OpenLink(now);
}

void DroneCore::FinishLeaving(Time now) {
  if (exited_ || !draining_) return;
  const bool crossing = (farewell_ != 0 || link_ == Link::kOpening) && now < *leave_by_;
  if (attempts_.empty() && crossing) return;
  if (attempts_.empty() || planted::Is(planted::kDrainLeavesWork)) {
    Log(effect::Note::Level::kInfo, "nothing is held any more: leaving");
    Do(effect::Exit{0});
    exited_ = true;
    return;
  }
  if (!stop_deadline_ || now < *stop_deadline_) return;
  std::string left = absl::StrJoin(attempts_, ", ", [](std::string* out, const auto& entry) {
    absl::StrAppend(out, "job ", entry.second.job.value(), " (epoch ", entry.first.value(), ")");
  });
  Log(effect::Note::Level::kError,
      absl::StrCat(
          "leaving with ", attempts_.size(),
          " attempts not delivered to the queen; the next start of this drone delivers them: ", left));
  Do(effect::Exit{1});
  exited_ = true;
}

DroneCore::Attempt* DroneCore::Find(Epoch epoch) {
  auto it = attempts_.find(epoch);
  return it == attempts_.end() ? nullptr : &it->second;
}

void DroneCore::Log(effect::Note::Level level, std::string text) {
  Do(effect::Note{level, std::move(text)});
}

Duration DroneCore::HeartbeatPeriod() const {
  return running() > 0 ? busy_ : idle_;
}

std::optional<Time> DroneCore::NextWake() const {
  std::optional<Time> wake;
  auto consider = [&wake](Time t) {
    if (!wake || t < *wake) wake = t;
  };
  if (link_ == Link::kDown && begun_) consider(next_try_);
  if (link_ == Link::kOpening) consider(hello_deadline_);
  if (link_ == Link::kUp) {
    consider(proven_ + lease_);
    consider(last_beat_ + HeartbeatPeriod());
  }
  if (bulk_retry_) consider(*bulk_retry_);
  if (stop_deadline_) consider(*stop_deadline_);
  if (draining_ && attempts_.empty()) consider(*leave_by_);
  if (paused_ && paused_->until) consider(*paused_->until);
  for (const auto& [epoch, a] : attempts_) {
    if (a.kill_at) consider(*a.kill_at);
    if (a.say_by) consider(*a.say_by);
  }
  return wake;
}

Duration Backoff(int tries, double jitter) {
  Duration ceiling = limits::kBackoffMin;
  for (int i = 0; i < tries && ceiling < limits::kBackoffMax; ++i) ceiling *= 2;
  ceiling = std::min<Duration>(ceiling, limits::kBackoffMax);
  jitter = std::clamp(jitter, 0.0, 1.0);
  return Duration(static_cast<Duration::rep>(jitter * static_cast<double>(ceiling.count())));
}

}  // namespace waggle::drone
