#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/planted.h"
#include "drone/core/drone_core.h"

// The session with the queen: opening, losing, leases, heartbeats.
namespace waggle::drone {
namespace {

using Level = effect::Note::Level;

constexpr std::uint32_t kProtocol = 1;

// What the queen asks for, kept within sense: a zero would make the drone spin.
Duration Sane(Duration asked, Duration fallback) {
  if (asked <= Duration::zero()) return fallback;
  return std::clamp<Duration>(asked, std::chrono::milliseconds(10), limits::kOperatorCeiling);
}

}  // namespace

// Of a shim that was found again and has not said a word nobody here knows how far it is.
bool DroneCore::HasSpoken(const Attempt& a) {
  return !a.process || a.held.counter > 0 || a.held.last;
}

void DroneCore::OpenLink(Time now) {
  Hello hello;
  hello.highest_epoch = highest_epoch_;
  hello.said_at = now;
  hello.info = OfferedInfo();
  offer_unsaid_ = false;
  for (auto& [epoch, a] : attempts_) {
    if (hello.attempts.size() == limits::kAttemptsInHello) break;
    if (a.doom != Doom::kNone) continue;  // it is as good as gone: nothing more can come of it
    Held& held = hello.attempts.emplace_back(a.held);
    if (held.state == HeldState::kLost) {
      held.detail = a.lost_detail.substr(0, limits::kReasonBytes);
      held.trimmed = a.trimmed;
      held.handed_back = a.handed_back;
    }
    a.unsaid = false;
  }
  unheard_shims_.clear();
  link_ = Link::kOpening;
  proven_ = now;  // once it is answered
  beats_.clear();
  hello_deadline_ = now + limits::kHelloDeadline;
  Do(effect::OpenControl{std::move(hello)});
}

void DroneCore::LinkDown(Time now, double jitter) {
  link_ = Link::kDown;
  if (bulk_open_) Do(effect::CloseBulk{});
  bulk_open_ = bulk_ready_ = false;
  bulk_retry_.reset();
  farewell_ = 0;
  deferred_.clear();  // not accepted: the queen gives them to somebody
  for (auto& [epoch, a] : attempts_) {
    a.ours = false;
    a.say_by.reset();
    Rewind(a, a.acked);
  }
  next_try_ = now + Backoff(tries_++, jitter);
}

void DroneCore::WatchLink(Time now, double jitter) {
  if (link_ == Link::kUp && now >= proven_ + lease_) {
    Log(Level::kWarning, absl::StrCat("lost the queen: no answer for a whole lease; ", running(),
                                      " running attempts go on; connecting again"));
  } else if (link_ == Link::kOpening && now >= hello_deadline_) {
    Log(Level::kWarning, "the queen does not answer the greeting; connecting again");
  } else {
    return;
  }
  Do(effect::CloseControl{});
  LinkDown(now, jitter);
}

void DroneCore::CloseBrokenSession(Time now, std::string_view what) {
  Log(Level::kError,
      absl::StrCat("the queen broke the protocol: ", absl::string_view(what.data(), what.size()),
                   "; the session is closed, ", running(), " running attempts go on; connecting again"));
  Do(effect::CloseControl{});
  LinkDown(now, 1.0);
  next_try_ = now + limits::kBackoffMax;  // its Welcome comes soon again, and the next breach behind it
}

void DroneCore::BeatIfDue(Time now) {
  if (connected() && now >= last_beat_ + HeartbeatPeriod()) Beat(now);
}

void DroneCore::Beat(Time now) {
  last_beat_ = now;
  Do(effect::SendControl{Heartbeat{++nonce_, running()}});
  beats_.emplace_back(nonce_, now);
  if (beats_.size() > kBeatsRemembered) beats_.pop_front();
}

void DroneCore::On(Time now, const event::ControlLost& e) {
  if (link_ == Link::kDown) return;
  if (e.why == event::ControlLost::Why::kDeposed ||
      (e.why == event::ControlLost::Why::kRefused && link_ == Link::kOpening)) {
    const bool deposed = e.why == event::ControlLost::Why::kDeposed;
    Log(Level::kError,
        deposed ? absl::StrCat("another session of this drone took over: ", e.text,
                               ". This daemon leaves; stop one of the two, or give each its own --data")
                : absl::StrCat("the queen refuses this drone: ", e.text));
    Do(effect::Exit{1});
    exited_ = true;
    return;
  }
  if (link_ == Link::kUp) {
    Log(Level::kWarning, absl::StrCat("lost the queen: ", e.text, "; ", running(),
                                      " running attempts go on; connecting again"));
  } else if (e.text != last_trouble_) {
    Log(Level::kWarning, absl::StrCat("cannot reach the queen: ", e.text, "; trying again until it answers"));
  }
  last_trouble_ = e.text;
  LinkDown(now, e.jitter);
}

void DroneCore::On(Time now, const event::FromQueen& e) {
  if (link_ == Link::kDown) return;
  const bool welcome = std::holds_alternative<Welcome>(e.message);
  if (welcome != (link_ == Link::kOpening)) {
    CloseBrokenSession(now, welcome ? "a second Welcome in one session" : "a message before its Welcome");
    return;
  }
  if (planted::Is(planted::kLeaseFromReply)) proven_ = now;
  std::visit([&](const auto& m) { Hear(now, m); }, e.message);
}

void DroneCore::Hear(Time now, const Welcome& m) {
  if (m.protocol != kProtocol) {
    Log(Level::kError, absl::StrCat("the queen speaks protocol ", m.protocol, "; this drone speaks ",
                                    kProtocol, ". Install matching versions; the queen is upgraded first"));
    Do(effect::Exit{1});
    exited_ = true;
    return;
  }
  link_ = Link::kUp;
  tries_ = 0;
  bulk_tries_ = 0;
  last_trouble_.clear();
  session_ = m.session;
  lease_ = Sane(m.lease, limits::kLease);
  busy_ = Sane(m.heartbeat_busy, limits::kHeartbeatBusy);
  idle_ = Sane(m.heartbeat_idle, limits::kHeartbeatIdle);
  last_beat_ = now;
  Log(Level::kInfo, absl::StrCat("connected to the queen: session ", session_.value(), ", ", attempts_.size(),
                                 " attempts held"));
  for (const Disposition& d : m.attempts) {
    if (Attempt* a = Find(d.epoch)) Apply(now, d, *a);
  }
  Hear(now, m.drain.value_or(Drain{.on = false}));
  if (offer_unsaid_) {
    Offer();
    if (draining_) SayLeaving(now);
  }
  // The Hello was written before this answer: what changed in between is said now.
  for (auto& [epoch, a] : attempts_) {
    if (a.ours && (a.unsaid || a.held.state == HeldState::kLost)) Say(now, a);
  }
  bulk_open_ = true;
  Do(effect::OpenBulk{session_});
}

void DroneCore::Apply(Time now, const Disposition& d, Attempt& a) {
  switch (d.action) {
    case Disposition::Action::kContinue:
    case Disposition::Action::kSendFinal:
      a.ours = true;
      Rewind(a, Seq(0));
      a.acked = a.sent = HasSpoken(a) ? std::min(d.acked, a.held.last) : d.acked;
      if (HasSpoken(a)) Do(effect::TrimSpool{d.epoch, a.acked});
      a.granted = a.granted || d.granted;
      DeliverToShim(a);
      return;
    case Disposition::Action::kForget:
      DoomAttempt(now, a, Doom::kDelete);
      return;
    case Disposition::Action::kFenced:
      DoomAttempt(now, a, Doom::kFenced);
      return;
    case Disposition::Action::kUnknown:
      Log(Level::kWarning, absl::StrCat("the queen does not know epoch ", d.epoch.value(), "; it is kept"));
      return;
  }
}

// The queen's lease runs from when she got the heartbeat, so the drone's runs from when it was sent: a late
// answer says nothing about now.
void DroneCore::Hear(Time, const HeartbeatAck& m) {
  if (m.nonce == farewell_) farewell_ = 0;
  while (!beats_.empty() && beats_.front().first <= m.nonce) {
    if (beats_.front().first == m.nonce) proven_ = std::max(proven_, beats_.front().second);
    beats_.pop_front();
  }
}

void DroneCore::Hear(Time, const QueryInfo&) {
  Do(effect::SendControl{OfferedInfo()});
}

}  // namespace waggle::drone
