// The late truth: what became of a deploy whose drone was lost behind the grant and came back after the
// verdict.
//
// The verdict `unknown` stays. The deploy is not ended: it runs on to its end under its shim, the drone
// delivers the rest of its log (stored as a log of its own beside the sealed one) and the final record there
// is the truth, which is kept beside the verdict.
#include "absl/strings/str_cat.h"
#include "queen/core/hive.h"
#include "queen/core/verdict.h"

namespace waggle::queen {

void Hive::AwaitTruth(Attempt& attempt, JobRow job) {
  auto drone = drones_.find(attempt.row.drone);
  const bool back = drone != drones_.end() && drone->second.connection;
  if (drone == drones_.end() || (back && !attempt.kept)) return;  // nobody could bring it
  if (access_.IsRevoked(drone->second.row.identity)) return;      // it is never welcome again
  attempt.row.late_awaited = true;
  awaited_[attempt.row.epoch] = {std::move(job), attempt.row};
  if (awaited_.size() > kTruthsAwaited) StopAwaiting(awaited_.begin()->first);
}

void Hive::AskAgain(const Attempt& attempt) {
  auto drone = drones_.find(attempt.row.drone);
  if (drone == drones_.end() || !drone->second.connection) return;
  CloseSession(drone->second,
               absl::UnavailableError("the verdict of a deploy it holds is out: it shall say hello again"));
}

void Hive::StopAwaiting(Epoch epoch) {
  auto at = awaited_.find(epoch);
  if (at == awaited_.end()) return;
  at->second.attempt.late_awaited = false;
  at->second.attempt.log_ended = wall_;
  Save(at->second.attempt);
  awaited_.erase(at);
  ForgetLate(epoch);
}

void Hive::StopAwaitingOf(const Drone& drone) {
  std::vector<Epoch> of_it;
  for (const auto& [epoch, awaited] : awaited_) {
    if (awaited.attempt.drone == drone.row.id) of_it.push_back(epoch);
  }
  for (Epoch epoch : of_it) StopAwaiting(epoch);
}

void Hive::ForgetLate(Epoch epoch) {
  auto held = attempts_.find(epoch);
  if (held == attempts_.end()) {
    effects_.after.push_back(effect::CloseLog{epoch});
    return;
  }
  ReleaseSlot(held->second);
  Forget(epoch);
}

void Hive::StopAwaitingMissing(const Drone& drone, const std::set<Epoch>& listed) {
  if (listed.size() >= limits::kAttemptsInHello) return;  // there may be more
  std::vector<Epoch> missing;
  for (const auto& [epoch, awaited] : awaited_) {
    if (awaited.attempt.drone != drone.row.id || listed.contains(epoch)) continue;
    auto held = attempts_.find(epoch);
    if (held == attempts_.end() || !held->second.seal) missing.push_back(epoch);
  }
  for (Epoch epoch : missing) StopAwaiting(epoch);
}

bool Hive::AwaitsTruth(const Drone& drone, Epoch epoch) const {
  auto at = awaited_.find(epoch);
  return at != awaited_.end() && at->second.attempt.drone == drone.row.id;
}

Disposition Hive::ResumeLate(Drone& drone, const HeldAttempt& held) {
  const AttemptRow& row = awaited_.at(held.epoch).attempt;
  Attempt& attempt = attempts_[held.epoch];
  const bool over = held.state == HeldState::kFinished || held.state == HeldState::kLost;
  attempt.row = row;
  attempt.late = true;
  attempt.session = drone.session;
  attempt.holds_slot = !over;
  drone.attempts.insert(held.epoch);
  Disposition disposition;
  disposition.epoch = held.epoch;
  disposition.action = over ? Action::kSendFinal : Action::kContinue;
  disposition.late = LastBeforeSeal(row);
  effects_.after.push_back(effect::OpenLog{held.epoch, drone.session, disposition.late});
  return disposition;
}

void Hive::ApplyLateStatus(Drone& drone, Attempt& attempt, const HeldAttempt& held) {
  if (held.state == HeldState::kFinished || held.state == HeldState::kLost) return ReleaseSlot(attempt);
  // The grant was stored and never reached it. Meanwhile somebody may have deployed in its place: it must not
  // begin.
  const bool before_deploy = held.state == HeldState::kAccepted || held.state == HeldState::kRunning;
  if (before_deploy && held.counter > 0) {
    Send(drone.connection,
         to_drone::Cancel{held.epoch, "the queen",
                          "its drone was lost and its deploy had not begun; now it is too late for it",
                          false});
  }
}

void Hive::GiveUpLate(Attempt& attempt, Reason reason, std::string detail, std::uint64_t log_at_least) {
  ReleaseSlot(attempt);
  std::string text = absl::StrCat("waggle: ", detail);
  attempt.seal = effect::SealLog{attempt.row.epoch,      log_at_least,    reason,
                                 std::move(detail),      std::move(text), attempt.row.test_code,
                                 attempt.row.deploy_code};
  effects_.after.push_back(*attempt.seal);
}

void Hive::LoseLate(Attempt& attempt) {
  const Epoch epoch = attempt.row.epoch;
  // Its log stays open: what was acknowledged is deleted on the drone, and the log goes on behind it.
  effects_.after.push_back(effect::OpenLog{epoch, SessionId(), LastBeforeSeal(attempt.row)});
  ReleaseSlot(attempt);
  drones_.at(attempt.row.drone).attempts.erase(epoch);
  attempts_.erase(epoch);
}

void Hive::TakeTruth(const event::LogComplete& e) {
  auto at = awaited_.find(e.epoch);
  if (at == awaited_.end()) return;
  auto& [job, row] = at->second;
  row.late_awaited = false;
  row.log_ended = wall_;
  row.late = job.late = LateTruthOf(e, wall_);
  Save(row);
  if (job.id) Save(job);  // else it runs once more
  awaited_.erase(at);
  auto held = attempts_.find(e.epoch);
  if (held != attempts_.end() && !SayVerdict(held->second) && held->second.kept) AskAgain(held->second);
  ForgetLate(e.epoch);
}

bool Hive::SayVerdict(const Attempt& attempt) {
  auto drone = drones_.find(attempt.row.drone);
  if (drone == drones_.end() || !drone->second.connection || drone->second.session != attempt.session) {
    return false;
  }
  Send(drone->second.connection, to_drone::Verdict{attempt.row.epoch, attempt.row.state});
  return true;
}

}  // namespace waggle::queen
