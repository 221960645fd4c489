#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/planted.h"
#include "drone/core/drone_core.h"

// The window of unacknowledged records: whose records go next, how many, and from where after a cut.
namespace waggle::drone {
namespace {

// Room that must be left in a window before a message is made: one message holds at least one whole record.
constexpr std::size_t kLargestRecord = limits::kRecordPayload + 64;

}  // namespace

void DroneCore::Rewind(Attempt& a, Seq acked) {
  while (!a.batches.empty() && a.batches.back().first > acked) {
    a.in_flight -= a.batches.back().second;
    in_flight_ -= a.batches.back().second;
    a.batches.pop_back();
  }
  a.sent = acked;
  a.acked = std::min(a.acked, acked);
  a.stalled = false;
}

void DroneCore::On(Time, const event::BulkReady&) {
  if (bulk_open_) bulk_ready_ = true;
}

void DroneCore::On(Time now, const event::BulkLost& e) {
  if (!bulk_open_) return;
  bulk_open_ = bulk_ready_ = false;
  for (auto& [epoch, a] : attempts_) Rewind(a, planted::Is(planted::kResumeFromSent) ? a.sent : a.acked);
  Log(effect::Note::Level::kDebug, absl::StrCat("bulk stream lost: ", e.text));
  if (connected()) bulk_retry_ = now + Backoff(bulk_tries_++, e.jitter);
}

void DroneCore::On(Time now, const event::FromBulk& e) {
  if (!bulk_open_ || !connected()) return;
  bulk_tries_ = 0;
  if (const auto* fenced = std::get_if<Fenced>(&e.message)) {
    Hear(now, *fenced);
    return;
  }
  if (const auto* ack = std::get_if<Ack>(&e.message)) {
    Attempt* a = Find(ack->epoch);
    // An acknowledgement of what was never sent cannot be true; it changes nothing.
    if (a == nullptr || !a->ours || ack->seq > a->sent || ack->seq <= a->acked) return;
    a->acked = ack->seq;
    while (!a->batches.empty() && a->batches.front().first <= ack->seq) {
      a->in_flight -= a->batches.front().second;
      in_flight_ -= a->batches.front().second;
      a->batches.pop_front();
    }
    Do(effect::TrimSpool{ack->epoch, a->acked});
    return;
  }
  const auto& resume = std::get<ResumeFrom>(e.message);
  Attempt* a = Find(resume.epoch);
  if (a == nullptr || !a->ours || !resume.seq || resume.seq.value() > a->sent.value() + 1) return;
  Rewind(*a, Seq(resume.seq.value() - 1));
}

void DroneCore::On(Time now, const event::RecordsSent& e) {
  Attempt* a = Find(e.epoch);
  if (e.bytes == 0) {
    bulk_ready_ = bulk_open_;
    if (a == nullptr) return;
    if (!a->process) {
      On(now, event::SpoolDamaged{e.epoch, a->sent, "records are missing at its end"});
    } else {
      a->stalled = true;  // until the shim says more
    }
    return;
  }
  if (a == nullptr || e.upto <= a->sent) return;
  a->sent = e.upto;
  a->batches.emplace_back(e.upto, e.bytes);
  a->in_flight += e.bytes;
  in_flight_ += e.bytes;
}

void DroneCore::On(Time now, const event::SpoolDamaged& e) {
  bulk_ready_ = bulk_open_;
  Attempt* a = Find(e.epoch);
  if (a == nullptr || a->damaged) return;
  a->damaged = true;
  a->trimmed = e.trimmed;
  a->held.last = std::max(e.last_good, a->acked);
  a->lost_detail = e.trimmed
                       ? absl::StrCat("the queen has lost records that it had acknowledged: ", e.problem)
                       : absl::StrCat("its spool is damaged: ", e.problem);
  if (a->process && !IsOver(a->held.state)) {
    Log(effect::Note::Level::kError, absl::StrCat("epoch ", e.epoch.value(), ": ", a->lost_detail));
    // A job whose log cannot be completed cannot pass: end it rather than let it run on unseen. Only a deploy
    // under way is worse cut off than unseen.
    if (a->held.state != HeldState::kGranted) Do(effect::KillTree{e.epoch});
    return;
  }
  a->held.state = HeldState::kLost;
  a->held.counter = kCounterAfterShim + 1;
  LogEnd(*a);
  Say(now, *a);
}

bool DroneCore::HasToSend(const Attempt& a) const {
  return a.ours && !a.damaged && !a.stalled && a.doom == Doom::kNone && a.sent < a.held.last &&
         a.in_flight + kLargestRecord <= limits::kWindowPerAttempt;
}

void DroneCore::Pump() {
  if (!bulk_ready_ || !connected() || in_flight_ + kLargestRecord > limits::kWindowPerDrone) return;
  // Round robin: the first behind the one served last, so that a flood delays the others by one message each.
  auto start = attempts_.upper_bound(last_served_);
  auto serve = [this](std::map<Epoch, Attempt>::iterator from, std::map<Epoch, Attempt>::iterator to) {
    auto it = std::find_if(from, to, [this](const auto& entry) { return HasToSend(entry.second); });
    if (it == to) return false;
    const Attempt& a = it->second;
    const std::size_t room = std::min(
        {limits::kLogBatch, limits::kWindowPerAttempt - a.in_flight, limits::kWindowPerDrone - in_flight_});
    last_served_ = it->first;
    bulk_ready_ = false;
    Do(effect::SendRecords{it->first, Seq(a.sent.value() + 1), a.held.last, room});
    return true;
  };
  if (!serve(start, attempts_.end())) serve(attempts_.begin(), start);
}

}  // namespace waggle::drone
