// Drones that the queen is asked to give no work.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "queen/core/hive.h"
#include "queen/core/said.h"

namespace waggle::queen {
namespace {

constexpr std::string_view kQuarantine = "the queen";  // who drained it

}  // namespace

Hive::Drone* Hive::FindNamed(RequestId request, const std::string& name) {
  auto found = by_name_.find(name);
  if (found != by_name_.end()) return &drones_.at(found->second);
  effects_.after.push_back(effect::Answer{
      request, absl::NotFoundError(absl::StrCat("there is no drone ", Presentable(name, limits::kNameBytes),
                                                "\nnext: `waggle drones` lists them"))});
  return nullptr;
}

DroneView Hive::ViewOf(const Drone& drone) const {
  DroneView view;
  view.row = drone.row;
  view.row.labels = LabelsOf(drone);
  view.connected = static_cast<bool>(drone.connection);
  view.connected_at = view.connected ? drone.connected_at : 0;
  if (view.connected) {
    view.intake = drone.intake;
    view.intake_reason = drone.intake_reason;
    view.intake_until = drone.intake_until;
    view.forgotten.assign(drone.forgotten.begin(), drone.forgotten.end());
    view.used = drone.forgotten_running;
  }
  view.vitals = drone.vitals;
  for (Epoch epoch : drone.attempts) {
    const Attempt& attempt = attempts_.at(epoch);
    if (!attempt.holds_slot) continue;
    ++view.used;
    view.jobs.push_back(attempt.row.job);
  }
  return view;
}

to_drone::Drain Hive::DrainOf(const Drone& drone) {
  return {true, drone.row.drained_by, drone.row.drain_reason, drone.row.drain_deadline, drone.hand_back};
}

void Hive::HandBackLater(Drone& drone, Duration in) {
  drone.hand_back_at = now_ + in;
  drain_checks_.emplace(*drone.hand_back_at, drone.row.id);
}

void Hive::TakeOverDrain(Drone& from, Drone& to) {
  if (from.row.drained == 0 || from.row.drained_by == kQuarantine) return;  // a new key is nobody's copy
  to.row.drained = std::exchange(from.row.drained, 0);
  to.row.drained_by = std::exchange(from.row.drained_by, "");
  to.row.drain_reason = std::exchange(from.row.drain_reason, "");
  to.row.drain_deadline = std::exchange(from.row.drain_deadline, 0);
  to.hand_back = std::exchange(from.hand_back, false);
  to.hand_back_at = std::exchange(from.hand_back_at, std::nullopt);
  if (to.hand_back_at) drain_checks_.emplace(*to.hand_back_at, to.row.id);
}

void Hive::CheckDrain(Drone& drone) {
  if (!drone.hand_back_at || *drone.hand_back_at > now_) return;  // undrained, or drained anew
  drone.hand_back_at.reset();
  drone.hand_back = true;
  if (drone.connection) Send(drone.connection, DrainOf(drone));  // else its next Welcome says so
}

bool Hive::WatchRivals(Drone& drone, const event::Hello& e) {
  const int swaps = drone.rivals.OnSession(e.place, drone.connection ? drone.place : "", now_);
  if (swaps <= kSwaps) return false;
  DroneRow& row = drone.row;
  if (row.drained == 0) row.drained = wall_;
  row.drained_by = std::string(kQuarantine);
  const std::string where = row.host == e.host ? absl::StrCat("twice on host ", e.host)
                                               : absl::StrCat("on hosts ", row.host, " and ", e.host);
  row.drain_reason = e.local ? absl::StrCat("quarantined: its data directory is used ", where,
                                            "; stop one, then waggle undrain ", row.name)
                             : absl::StrCat("quarantined: its key is used ", where, "; queen revoke drone ",
                                            row.name, ", then enrol both again");
  return true;
}

void Hive::On(const event::DrainDrone& e) {
  Drone* drone = FindNamed(e.request, e.name);
  if (drone == nullptr) return;
  DroneRow& row = drone->row;
  if (row.drained == 0) row.drained = wall_;
  row.drained_by = e.by;
  row.drain_reason = e.reason;
  drone->hand_back = false;
  drone->hand_back_at.reset();
  row.drain_deadline = 0;
  if (e.deadline) {
    row.drain_deadline = wall_ + std::chrono::duration_cast<std::chrono::milliseconds>(*e.deadline).count();
    HandBackLater(*drone, *e.deadline);
  }
  Save(row);
  if (drone->connection) {
    UpdatePlacement(*drone);
    Send(drone->connection, DrainOf(*drone));
  }
  effects_.after.push_back(effect::Answer{e.request, ViewOf(*drone)});
}

void Hive::On(const event::UndrainDrone& e) {
  Drone* drone = FindNamed(e.request, e.name);
  if (drone == nullptr) return;
  DroneRow& row = drone->row;
  const bool was = row.drained != 0;
  row.drained = row.drain_deadline = 0;
  row.drained_by.clear();
  row.drain_reason.clear();
  drone->hand_back = false;
  drone->hand_back_at.reset();
  drone->rivals = Rivals();
  if (was) Save(row);
  if (was && drone->connection) {
    UpdatePlacement(*drone);
    to_drone::Drain over;
    over.on = false;
    Send(drone->connection, std::move(over));
  }
  effects_.after.push_back(effect::Answer{e.request, ViewOf(*drone)});
}

}  // namespace waggle::queen
