// Drones and sessions: hello, resume, liveness, what a drone says about its attempts.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "queen/core/hive.h"

namespace waggle::queen {

Hive::Drone* Hive::ByConnection(ConnectionId connection) {
  auto found = by_connection_.find(connection);
  return found == by_connection_.end() ? nullptr : &drones_.at(found->second);
}

Hive::Attempt* Hive::Held(Drone& drone, Epoch epoch) {
  auto found = attempts_.find(epoch);
  if (found != attempts_.end() && found->second.session == drone.session && !found->second.seal) {
    return &found->second;
  }
  Send(drone.connection, to_drone::Fenced{epoch});
  return nullptr;
}

void Hive::Heard(Drone& drone) {
  drone.last_heard = now_;
}

void Hive::CheckLeaseLater(Drone& drone) {
  if (drone.lease_checked) return;
  drone.lease_checked = true;
  lease_checks_.emplace(drone.last_heard + config_.LostAfter(), drone.row.id);
}

std::string Hive::LastSeen(const Drone& drone) const {
  auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now_ - drone.last_heard).count();
  return absl::StrCat("last heard of ", seconds, " s ago");
}

Hive::Drone* Hive::FindOrAddDrone(const event::Hello& e) {
  auto refuse = [&](std::string why) {
    effects_.after.push_back(effect::Close{e.connection, absl::FailedPreconditionError(why)});
    return nullptr;
  };
  auto known = by_identity_.find(e.identity);
  auto named = by_name_.find(e.name);
  if (named != by_name_.end() && (known == by_identity_.end() || named->second != known->second)) {
    Drone& other = drones_.at(named->second);
    if (other.connection || !other.attempts.empty()) {
      return refuse(absl::StrCat("the name ", e.name, " is in use by another drone (on host ", other.row.host,
                                 ", ", other.connection ? "connected" : LastSeen(other),
                                 ")\nnext: start this drone with another --name"));
    }
    other.row.name.clear();  // a drone that is gone gives its name to the one that is here
    Save(other.row);
    by_name_.erase(named);
  }
  if (known == by_identity_.end()) {
    DroneId id(++counters_.drone);
    counters_changed_ = true;
    Drone& drone = drones_[id];
    drone.row.id = id;
    drone.row.identity = e.identity;
    known = by_identity_.emplace(e.identity, id).first;
  }
  Drone& drone = drones_.at(known->second);
  if (drone.row.name != e.name) {
    auto old = by_name_.find(drone.row.name);
    if (old != by_name_.end() && old->second == drone.row.id) by_name_.erase(old);
  }
  by_name_[e.name] = drone.row.id;
  drone.row.name = e.name;
  return &drone;
}

void Hive::TakeInfo(Drone& drone, const DroneInfo& info) {
  drone.row.speed = info.speed;
  drone.row.capacity = info.capacity;
  drone.row.labels = info.labels;
  drone.row.plugins = info.plugins;
}

void Hive::OpenSession(Drone& drone, const event::Hello& e) {
  if (drone.connection) {
    // The newest session wins, always: nobody can tell a half-dead old one from a clone.
    by_connection_.erase(drone.connection);
    effects_.after.push_back(effect::Close{
        drone.connection,
        absl::AbortedError(absl::StrCat("a newer session of this drone was opened from host ", e.host))});
  }
  if (drone.session) {
    by_session_.erase(drone.session);
    effects_.after.push_back(effect::EndSession{drone.session});
  }
  drone.session = drone.row.session = SessionId(++counters_.session);
  counters_changed_ = true;
  drone.connection = e.connection;
  drone.local = e.local;
  drone.lost = false;
  drone.connected_at = wall_;
  drone.row.host = e.host;
  drone.row.version = e.version;
  drone.row.last_seen = wall_;
  TakeInfo(drone, e.info.value_or(DroneInfo{}));  // without info: speed 0, capacity 1
  Heard(drone);
  by_connection_[e.connection] = drone.row.id;
  by_session_[drone.session] = drone.row.id;
  CheckLeaseLater(drone);
}

void Hive::On(const event::Hello& e) {
  Drone* found = FindOrAddDrone(e);
  if (found == nullptr) return;
  Drone& drone = *found;
  const Epoch newest_given(counters_.epoch);
  counters_.epoch =
      std::max(counters_.epoch, e.highest_epoch.value());  // a restored queen learns what is used up
  OpenSession(drone, e);

  to_drone::Welcome welcome{drone.session, {}};
  std::set<Epoch> listed;
  std::vector<HeldAttempt> live;
  for (const HeldAttempt& held : e.attempts) {
    listed.insert(held.epoch);
    Disposition disposition = Resume(drone, held, newest_given);
    bool goes_on = disposition.action == Action::kContinue || disposition.action == Action::kSendFinal;
    if (goes_on) live.push_back(held);
    welcome.attempts.push_back(disposition);
  }
  Save(drone.row);
  Send(e.connection, std::move(welcome));
  for (const HeldAttempt& held : live) TakeUp(drone, held);
  std::vector<Epoch> missing;
  for (Epoch epoch : drone.attempts) {
    if (!listed.contains(epoch)) missing.push_back(epoch);
  }
  for (Epoch epoch : missing) {
    GiveUp(attempts_.at(epoch), Reason::kDroneLost,
           absl::StrCat(drone.row.name, " came back without this attempt"), 0);
  }
  UpdatePlacement(drone);
}

void Hive::TakeUp(Drone& drone, const HeldAttempt& held) {
  Attempt& attempt = attempts_.at(held.epoch);
  if (attempt.seal) return;
  if (const JobRow& job = jobs_.at(attempt.row.job); job.cancel_requested) {
    // The Welcome only says that a cancel is wanted; this says whose it is, and whether it hurries.
    Send(drone.connection, to_drone::Cancel{held.epoch, job.canceled_by, job.cancel_reason, job.cancel_now});
  }
  ApplyStatus(drone, attempt, held);
  if (held.state == HeldState::kLost) {
    GiveUp(attempt, Reason::kShimLost, "the process that led the attempt died", held.last_seq);
  }
}

Disposition Hive::Resume(Drone& drone, const HeldAttempt& held, Epoch newest_given) {
  Disposition disposition;
  disposition.epoch = held.epoch;
  auto found = attempts_.find(held.epoch);
  bool over = held.state == HeldState::kFinished || held.state == HeldState::kLost;
  bool live = found != attempts_.end() && found->second.row.drone == drone.row.id &&
              (!found->second.seal || found->second.seal->at_least > 0);
  if (!live) {
    disposition.action = held.epoch > newest_given ? Action::kUnknown
                         : over                    ? Action::kForget
                                                   : Action::kFenced;
    return disposition;
  }
  Attempt& attempt = found->second;
  attempt.session = drone.session;
  attempt.accept_by.reset();
  disposition.action = over ? Action::kSendFinal : Action::kContinue;
  auto job = jobs_.find(attempt.row.job);
  disposition.cancel = job != jobs_.end() && job->second.cancel_requested;
  disposition.granted = attempt.row.granted;
  effects_.after.push_back(effect::OpenLog{held.epoch, drone.session});
  return disposition;
}

void Hive::UpdatePlacement(Drone& drone) {
  std::uint32_t used = 0;
  for (Epoch epoch : drone.attempts) used += attempts_.at(epoch).holds_slot ? 1 : 0;
  placement_.SetDrone(drone.row.id, DroneFacts{drone.row.name, drone.row.speed, drone.row.capacity, used,
                                               drone.local, drone.row.labels, drone.row.plugins});
}

void Hive::On(const event::Disconnected& e) {
  Drone* drone = ByConnection(e.connection);
  if (drone == nullptr) return;  // deposed before, or never said hello
  by_connection_.erase(e.connection);
  drone->connection = ConnectionId();
  drone->row.last_seen = wall_;
  placement_.RemoveDrone(drone->row.id);  // no new work; what it holds keeps its lease
  Save(drone->row);
}

void Hive::On(const event::Info& e) {
  Drone* drone = ByConnection(e.connection);
  if (drone == nullptr) return;
  Heard(*drone);
  TakeInfo(*drone, e.info);
  Save(drone->row);
  UpdatePlacement(*drone);
}

void Hive::On(const event::Heartbeat& e) {
  Drone* drone = ByConnection(e.connection);
  if (drone == nullptr) return;
  Heard(*drone);
  drone->vitals = e.vitals;
  drone->row.last_seen = wall_;  // stored with the next change; listing shows it at once
  Send(e.connection, to_drone::HeartbeatAck{e.nonce});
}

void Hive::On(const event::Alive& e) {
  auto found = by_session_.find(e.session);
  if (found != by_session_.end()) Heard(drones_.at(found->second));
}

void Hive::On(const event::Accept& e) {
  Drone* drone = ByConnection(e.connection);
  if (drone == nullptr) return;
  Heard(*drone);
  Attempt* attempt = Held(*drone, e.epoch);
  if (attempt == nullptr) return;
  HeldAttempt held;
  held.epoch = e.epoch;
  held.counter = attempt->row.counter;
  held.received = e.received != 0 ? e.received : wall_;
  ApplyStatus(*drone, *attempt, held);
  const JobRow& job = jobs_.at(attempt->row.job);
  if (job.cancel_requested) {
    // Canceled between offer and accept: the drone may not have known the attempt when the cancel came.
    Send(e.connection, to_drone::Cancel{e.epoch, job.canceled_by, job.cancel_reason, job.cancel_now});
  }
}

void Hive::On(const event::Reject& e) {
  Drone* drone = ByConnection(e.connection);
  if (drone == nullptr) return;
  Heard(*drone);
  Attempt* attempt = Held(*drone, e.epoch);
  if (attempt == nullptr) return;
  GiveUp(*attempt, Reason::kRejected, absl::StrCat(drone->row.name, " refused the job: ", e.reason), 0);
}

void Hive::On(const event::Status& e) {
  Drone* drone = ByConnection(e.connection);
  if (drone == nullptr) return;
  Heard(*drone);
  Attempt* attempt = Held(*drone, e.attempt.epoch);
  if (attempt != nullptr) ApplyStatus(*drone, *attempt, e.attempt);
}

void Hive::ApplyStatus(Drone& drone, Attempt& attempt, const HeldAttempt& held) {
  if (held.counter < attempt.row.counter) return;  // an older one that was overtaken
  attempt.row.counter = held.counter;
  attempt.accept_by.reset();
  bool news = TakeTimes(attempt, held.received, held.started, 0);
  auto take_code = [&](std::int32_t& known, std::int32_t said) {
    news = news || (said != -1 && said != known);
    if (said != -1) known = said;
  };
  take_code(attempt.row.test_code, held.test_code);
  take_code(attempt.row.deploy_code, held.deploy_code);
  JobState state = held.state == HeldState::kAccepted ? JobState::kReceived : JobState::kStarted;
  JobRow& job = jobs_.at(attempt.row.job);
  if (held.state == HeldState::kFinished || held.state == HeldState::kLost) ReleaseSlot(attempt);
  bool grant = held.wants_grant && !job.cancel_requested;
  bool first_grant = grant && !attempt.row.granted;
  if (state > attempt.row.state || first_grant || news) {
    attempt.row.state = std::max(attempt.row.state, state);
    attempt.row.granted = attempt.row.granted || first_grant;
    if (job.attempt == attempt.row.epoch) job.state = attempt.row.state;
    Save(attempt.row);
    Save(job);
  }
  if (grant) Send(drone.connection, to_drone::Grant{held.epoch});
}

void Hive::On(const event::ShimLost& e) {
  Drone* drone = ByConnection(e.connection);
  if (drone == nullptr) return;
  Heard(*drone);
  Attempt* attempt = Held(*drone, e.epoch);
  if (attempt == nullptr) return;
  GiveUp(*attempt, Reason::kShimLost, e.detail.empty() ? "the process that led the attempt died" : e.detail,
         e.last_seq);
}

void Hive::LoseDrone(Drone& drone) {
  if (drone.lost) return;
  drone.lost = true;
  if (drone.connection) {
    // Silent but still connected: the other end is frozen or cut off. It starts over when it is back.
    effects_.after.push_back(
        effect::Close{drone.connection, absl::UnavailableError("the lease of this session is over")});
    by_connection_.erase(drone.connection);
    drone.connection = ConnectionId();
    placement_.RemoveDrone(drone.row.id);
  }
  std::set<Epoch> held = drone.attempts;
  for (Epoch epoch : held) {
    GiveUp(attempts_.at(epoch), Reason::kDroneLost,
           absl::StrCat(drone.row.name, " was lost, ", LastSeen(drone)), 0);
  }
}

}  // namespace waggle::queen
