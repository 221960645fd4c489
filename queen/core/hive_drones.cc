// Drones and sessions: hello, resume, liveness, placement, loss.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/planted.h"
#include "queen/core/hive.h"
#include "queen/core/verdict.h"

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
  if (drone.forgotten.contains(epoch)) return nullptr;  // it was asked to keep it
  Send(drone.connection, to_drone::Fenced{epoch});
  CountTrespass(drone, epoch);
  return nullptr;
}

void Hive::CountTrespass(Drone& drone, Epoch epoch) {
  auto found = attempts_.find(epoch);
  bool others = found == attempts_.end() ? !epoch || epoch.value() > counters_.epoch
                                         : found->second.row.drone != drone.row.id;
  if (!others || !drone.connection || ++drone.trespasses < kTrespasses) return;
  CloseSession(drone, absl::PermissionDeniedError(absl::StrCat(
                          "drone ", drone.row.name, " (host ", drone.row.host, ") spoke ", kTrespasses,
                          " times of attempts that are not its own, at last of epoch ", epoch.value(),
                          "\nnext: look who uses its data directory, and which version it runs")));
}

void Hive::CloseSession(Drone& drone, absl::Status why) {
  effects_.after.push_back(effect::Close{drone.connection, std::move(why)});
  effects_.after.push_back(effect::EndSession{drone.session});
  by_connection_.erase(drone.connection);
  drone.connection = ConnectionId();
  placement_.RemoveDrone(drone.row.id);  // what it holds keeps its lease
}

void Hive::Avoid(Drone& drone, Duration at_first) {
  drone.avoided_until = now_ + at_first * (1 << std::min(drone.refusals, 5));
  ++drone.refusals;
  avoided_.emplace(*drone.avoided_until, drone.row.id);
  UpdatePlacement(drone);
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
  absl::Status peer = CheckPeer(e);
  if (!peer.ok()) {
    effects_.after.push_back(effect::Close{e.connection, std::move(peer)});
    return nullptr;
  }
  Drone* predecessor = nullptr;
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
    predecessor = &other;
    by_name_.erase(named);
  }
  if (known == by_identity_.end() && drones_.size() >= limits::kDrones) {
    return refuse(absl::StrCat("the queen knows ", drones_.size(), " drones; at most ", limits::kDrones,
                               "\nnext: start this drone with the --data directory it had before"));
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
  if (predecessor != nullptr) {
    TakeOverDrain(*predecessor, drone);
    Save(predecessor->row);
  }
  return &drone;
}

void Hive::TakeInfo(Drone& drone, const DroneInfo& info) {
  drone.row.speed = info.speed;
  drone.row.capacity = info.capacity;
  drone.row.labels = info.labels;
  drone.row.plugins = info.plugins;
  drone.intake = info.intake;
  drone.intake_reason = info.intake_reason;
  drone.intake_until = info.intake_until;
}

void Hive::OpenSession(Drone& drone, const event::Hello& e) {
  const bool quarantined = WatchRivals(drone, e);
  if (drone.connection && !planted::Is(planted::kOldSessionHeard)) {
    // The newest session wins, always: nobody can tell a half-dead old one from a clone.
    by_connection_.erase(drone.connection);
    effects_.after.push_back(effect::Close{
        drone.connection, absl::AbortedError(absl::StrCat(
                              "a newer session of ", drone.row.name, " was opened from host ", e.host,
                              quarantined ? absl::StrCat("; ", drone.row.drain_reason) : ""))});
  }
  if (drone.session) {
    by_session_.erase(drone.session);
    effects_.after.push_back(effect::EndSession{drone.session});
  }
  drone.session = drone.row.session = SessionId(++counters_.session);
  counters_changed_ = true;
  drone.connection = e.connection;
  drone.local = e.local;
  drone.place = e.place;
  drone.said_at = e.said_at;
  drone.lost = false;
  drone.trespasses = 0;
  drone.forgotten.clear();
  drone.forgotten_running = 0;
  drone.avoided_until.reset();
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
  if (drone.session && !e.place.empty() && e.place == drone.place && e.said_at < drone.said_at) {
    effects_.after.push_back(effect::Close{
        e.connection,
        absl::UnavailableError("this greeting was overtaken by a newer one of the same daemon")});
    return;
  }
  Learn(e.highest_epoch);
  OpenSession(drone, e);

  to_drone::Welcome welcome{drone.session, {}, {}};
  if (drone.row.drained != 0) welcome.drain = DrainOf(drone);
  std::set<Epoch> listed;
  std::vector<HeldAttempt> live;
  for (const HeldAttempt& held : e.attempts) {
    listed.insert(held.epoch);
    Disposition disposition = Resume(drone, held);
    bool goes_on = disposition.action == Action::kContinue || disposition.action == Action::kSendFinal;
    if (goes_on) live.push_back(held);
    welcome.attempts.push_back(disposition);
  }
  Save(drone.row);
  Send(e.connection, std::move(welcome));
  for (const HeldAttempt& held : live) TakeUp(drone, held);
  StopAwaitingMissing(drone, listed);
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

Disposition Hive::Resume(Drone& drone, const HeldAttempt& held) {
  Disposition disposition;
  disposition.epoch = held.epoch;
  auto found = attempts_.find(held.epoch);
  const bool sealing = found != attempts_.end() && found->second.seal.has_value();
  if (AwaitsTruth(drone, held.epoch) && !sealing) return ResumeLate(drone, held);
  bool over = held.state == HeldState::kFinished || held.state == HeldState::kLost;
  // Of one that was given up only the records to its end are wanted. Should it run: somebody else with this
  // drone's key said that it was lost, and that stands.
  // Likewise if a deploy has ended: that is told behind the verdict.
  const bool ended =
      held.state == HeldState::kFinished && sealing && found->second.seal->reason == Reason::kUnknown;
  bool live = found != attempts_.end() && found->second.row.drone == drone.row.id &&
              (!found->second.seal || (over && !ended && found->second.seal->at_least > 0));
  const bool mine = sealing && found->second.row.drone == drone.row.id;
  if (mine && !live && (found->second.late || found->second.seal->reason == Reason::kUnknown)) {
    found->second.kept = true;  // its verdict, or the truth behind it, is on its way
    disposition.action = Action::kUnknown;
    return disposition;
  }
  if (!live) {
    const bool forgotten = IsForgotten(held.epoch);
    if (forgotten) NoteForgotten(drone, held);
    disposition.action = forgotten ? Action::kUnknown : over ? Action::kForget : Action::kFenced;
    return disposition;
  }
  Attempt& attempt = found->second;
  attempt.session = drone.session;
  attempt.accept_by.reset();
  disposition.action = over ? Action::kSendFinal : Action::kContinue;
  auto job = jobs_.find(attempt.row.job);
  disposition.cancel = job != jobs_.end() && job->second.cancel_requested;
  disposition.granted = attempt.row.granted;
  if (attempt.late) {
    disposition.granted = false;
    disposition.late = LastBeforeSeal(attempt.row);
  }
  effects_.after.push_back(effect::OpenLog{held.epoch, drone.session, disposition.late});
  return disposition;
}

std::string Hive::WhyClosed(const Drone& drone) const {
  if (drone.row.drained != 0 && !planted::Is(planted::kDrainedPlaced)) {
    return absl::StrCat("is drained by ", drone.row.drained_by, drone.row.drain_reason.empty() ? "" : ": ",
                        drone.row.drain_reason);
  }
  const std::string reason = drone.intake_reason.empty() ? "" : absl::StrCat(" (", drone.intake_reason, ")");
  if (drone.intake == Intake::kDraining) return "is draining" + reason;
  if (drone.intake == Intake::kPaused) return "is paused" + reason;
  const bool avoided = drone.avoided_until && now_ < *drone.avoided_until;
  return avoided ? "gets none for a moment, because it did not take the last one" : "";
}

void Hive::UpdatePlacement(Drone& drone) {
  std::uint32_t used = drone.forgotten_running;
  for (Epoch epoch : drone.attempts) used += attempts_.at(epoch).holds_slot ? 1 : 0;
  placement_.SetDrone(drone.row.id,
                      DroneFacts{drone.row.name, drone.row.speed, drone.row.capacity, used, drone.local,
                                 LabelsOf(drone), drone.row.plugins, WhyClosed(drone)});
}

void Hive::On(const event::Disconnected& e) {
  Drone* drone = ByConnection(e.connection);
  if (drone == nullptr) return;  // deposed before, or never said hello
  by_connection_.erase(e.connection);
  drone->connection = ConnectionId();
  drone->row.last_seen = wall_;
  placement_.RemoveDrone(drone->row.id);  // no new work; what it holds keeps its lease
  if (planted::Is(planted::kLostOnDisconnect)) LoseDrone(*drone, "its connection ended");
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
  if (e.running < drone->forgotten_running) {  // of what it brought, no more than that can be left
    drone->forgotten_running = e.running;
    UpdatePlacement(*drone);
  }
  drone->row.last_seen = wall_;  // stored with the next change; listing shows it at once
  Send(e.connection, to_drone::HeartbeatAck{e.nonce});
}

void Hive::On(const event::Trespass& e) {
  auto found = by_session_.find(e.session);
  if (found != by_session_.end()) CountTrespass(drones_.at(found->second), e.epoch);
}

void Hive::On(const event::Alive& e) {
  auto found = by_session_.find(e.session);
  if (found != by_session_.end()) Heard(drones_.at(found->second));
}

void Hive::LoseDrone(Drone& drone, std::string_view why) {
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
    Attempt& attempt = attempts_.at(epoch);
    if (attempt.late && !attempt.seal) {
      LoseLate(attempt);
      continue;
    }
    GiveUp(attempt, Reason::kDroneLost,
           absl::StrCat(drone.row.name, " was lost, ", absl::string_view(why.data(), why.size())), 0);
  }
}

}  // namespace waggle::queen
