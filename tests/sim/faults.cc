// What can go wrong. A new fault: a name in plan.h and a case here.
#include <algorithm>

#include "tests/sim/simulation.h"

namespace waggle::sim {

void Simulation::Strike(const Fault& fault) {
  ++world_.result.faults[static_cast<std::size_t>(fault.kind)];
  DroneHost& drone = *drones_[fault.drone];
  world_.Note(50, "FAULT ", Name(fault.kind), " ", drone.name(), " for ", fault.length / kMilli, " ms");
  if (fault.kind <= FaultKind::partition) return StrikeStream(fault, drone);
  if (fault.kind <= FaultKind::drone_wall_step) return StrikeDrone(fault, drone);
  StrikeQueen(fault);
  if (fault.kind == FaultKind::both_restart) drone.KillDaemon(fault.chance / 7 % 4, fault.length / 2);
}

void Simulation::StrikeStream(const Fault& fault, DroneHost& drone) {
  switch (fault.kind) {
    case FaultKind::cut_control:
      return drone.CutConnections(true, false);
    case FaultKind::cut_bulk:
      return drone.CutConnections(false, true);
    case FaultKind::cut_both:
      return drone.CutConnections(true, true);
    case FaultKind::stall_up:
      return drone.Stall(/*bulk=*/false, Side::kDrone, fault.length);
    case FaultKind::stall_down:
      return drone.Stall(/*bulk=*/false, Side::kQueen, fault.length);
    case FaultKind::stall_bulk:
      return drone.Stall(/*bulk=*/true, fault.chance % 2 ? Side::kDrone : Side::kQueen, fault.length);
    case FaultKind::slow_link:
      return drone.SlowLink(static_cast<Nanos>(fault.chance % kMinute), fault.length);
    default:
      return drone.Partition(
          fault.length, fault.chance % 2 ? fault.length : fault.length / 1000 * (fault.chance / 2 % 1000));
  }
}

void Simulation::StrikeDrone(const Fault& fault, DroneHost& drone) {
  const Nanos day = 24 * 60 * kMinute;
  switch (fault.kind) {
    case FaultKind::daemon_kill:
      return drone.KillDaemon(fault.chance % 8, fault.length);
    case FaultKind::daemon_detach:
      return drone.Detach(fault.length);
    case FaultKind::daemon_drain:
      return drone.Drain(fault.length);
    case FaultKind::daemon_stop:
      return drone.Stop(fault.length);
    case FaultKind::owner_pause:
      return drone.PauseWork(fault.length, fault.chance % 2);
    case FaultKind::owner_resize:
      return drone.Resize(fault.chance, fault.length);
    case FaultKind::daemon_pause:
      return drone.PauseDaemon(fault.length);
    case FaultKind::host_suspend:
      return drone.Suspend(fault.length);
    case FaultKind::host_reboot:
      return drone.Reboot(fault.length);
    case FaultKind::shim_kill:
      return drone.KillShim(fault.chance);
    case FaultKind::shim_socket_cut:
      return drone.CutShimSockets();
    case FaultKind::spool_full:
      drone.SetDiskFull(true);
      return world_.After(fault.length, [&drone] { drone.SetDiskFull(false); });
    case FaultKind::spool_bit_flip:
      drone.FlipSpoolBit();
      if (fault.chance % 2) drone.KillDaemon(0, fault.length);
      return;
    case FaultKind::cloned_key:
      return CloneKey(fault, drone);
    case FaultKind::cert_expiry:
      return drone.ExpireCertificate(fault.length, fault.chance % 2);
    default:
      return drone.StepWall(static_cast<Nanos>(fault.chance % static_cast<std::uint64_t>(2 * day)) - day);
  }
}

// Somebody copied the key of a drone to another host, perhaps with its data directory. The newest session
// wins again and again, until a person unplugs the copy and starts the first one.
void Simulation::CloneKey(const Fault& fault, DroneHost& drone) {
  clones_.push_back(std::make_unique<DroneHost>(drone, clones_.size() + 1, fault.chance % 2 != 0));
  DroneHost* clone = clones_.back().get();
  clone->StartDaemon();
  world_.After(fault.length, [clone, &drone] {
    clone->Unplug();
    drone.StartDaemon();
  });
}

void Simulation::StrikeQueen(const Fault& fault) {
  const Nanos day = 24 * 60 * kMinute;
  switch (fault.kind) {
    case FaultKind::queen_kill:
    case FaultKind::both_restart:
      return queen_.Kill(fault.chance % 12, fault.length);
    case FaultKind::person_drain:
      return DrainDrone(fault);
    case FaultKind::queen_power_loss:
      ++queen_power_losses_;
      return queen_.LosePower(fault.length);
    case FaultKind::queen_pause:
      return queen_.Pause(fault.length);
    case FaultKind::queen_disk_full:
      queen_.SetDiskFull(true);
      return world_.After(fault.length, [this] { queen_.SetDiskFull(false); });
    case FaultKind::queen_sync_error:
      return queen_.FailSync();
    case FaultKind::queen_slow_disk:
      return queen_.SlowDisk(world_.now() + fault.length);
    case FaultKind::queen_bit_flip:
      queen_.FlipLogBit();
      if (fault.chance % 2) queen_.Kill(fault.chance / 2 % 12, fault.length);
      return;
    case FaultKind::db_restore:
      return RestoreBackup(fault);
    case FaultKind::person_revoke:
      return RevokeDrone(fault);
    default:
      return queen_.StepWall(static_cast<Nanos>(fault.chance % static_cast<std::uint64_t>(2 * day)) - day);
  }
}

// Somebody makes a backup now, and later finds a reason to go back to it.
void Simulation::RestoreBackup(const Fault& fault) {
  const Nanos at = std::min(world_.now() + fault.length, plan_.chaos_end - kMilli);
  world_.At(at, [this, backup = store_, down = static_cast<Nanos>(fault.chance % (10 * kSecond))] {
    world_.Sometimes(Rare::backup_restored);
    queen_.Restore(backup, down);
    EnrolForgotten();
  });
}

void Simulation::Heal() {
  world_.Note(51, "the last fault is over");
  queen_.Heal();
  for (const auto& clone : clones_) clone->Unplug();
  for (const auto& drone : drones_) {
    drone->Heal();
    UndrainDrone(drone->name());
  }
  CancelEndless();
  TidyFleet();
}

}  // namespace waggle::sim
