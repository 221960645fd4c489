// What goes wrong on a worker host, and what its owner does.
#include <algorithm>

#include "tests/sim/drone.h"
#include "tests/sim/queen.h"

namespace waggle::sim {

void DroneHost::KillDaemon(std::uint64_t after_effects, Nanos down) {
  if (core_ == nullptr) return;
  down_ = down;
  kill_after_ = after_effects;
  world_.After(2 * kSecond, [this, life = life_, down] {
    if (life == life_ && kill_after_) DaemonGone(down);
  });
}

void DroneHost::Detach(Nanos down) {
  down_ = down;
  Later(0, [this] {
    draining_ = false;
    Input(drone::event::Detach{});
  });
}

void DroneHost::Drain(Nanos down) {
  down_ = down;
  Later(0, [this] {
    if (draining_) return;  // a second one means stop now
    draining_ = true;
    Input(drone::event::Drain{});
  });
}

void DroneHost::Stop(Nanos down) {
  down_ = down;
  Later(0, [this] {
    draining_ = true;
    Input(drone::event::Stop{});
  });
}

void DroneHost::EmitPause() {
  const Duration left(paused_until_ - world_.now());
  Emit(drone::event::Pause{"the owner works here", clock_.Local() + left, 1});
}

void DroneHost::PauseWork(Nanos length, bool resume) {
  Later(0, [this, length, resume] {
    paused_until_ = world_.now() + length;
    EmitPause();
    Settle();
    if (resume) world_.After(length / 2, [this] { ResumeWork(); });
  });
}

// Also undoes a drain.
void DroneHost::ResumeWork() {
  paused_until_ = 0;
  Later(0, [this] {
    if (!core_->view().stopping) draining_ = false;
    Input(drone::event::Resume{});
  });
}

void DroneHost::Resize(std::uint64_t choice, Nanos length) {
  const std::uint32_t slots = world_.plan.slots[number_];
  Later(0, [this, capacity = static_cast<std::uint32_t>(1 + choice % slots)] {
    Input(drone::event::Resize{capacity});
  });
  world_.After(length, [this, slots] { Later(0, [this, slots] { Input(drone::event::Resize{slots}); }); });
}

void DroneHost::PauseDaemon(Nanos length) {
  if (core_ == nullptr || process_.paused()) return;
  process_.Pause();
  world_.After(length, [this, life = life_] {
    if (life == life_) process_.Resume();
  });
}

void DroneHost::Suspend(Nanos length) {
  PauseDaemon(length);
  for (const auto& shim : shims_) {
    if (!shim->alive() || shim->process.paused()) continue;
    shim->process.Pause();
    world_.After(length, [raw = shim.get()] { raw->process.Resume(); });
  }
}

void DroneHost::Reboot(Nanos down) {
  for (const auto& shim : shims_) shim->Kill();
  if (core_ == nullptr) StartLater(down);
  DaemonGone(down);
  world_.disk.LosePower(host_, random_);
  for (auto it = facts_.begin(); it != facts_.end();) {
    it->second.shim = nullptr;
    it = !it->second.durable && random_.OneIn(3) ? facts_.erase(it) : std::next(it);
  }
  ++boot_;
  clock_.Boot();
}

void DroneHost::KillShim(std::uint64_t which) {
  std::vector<Shim*> alive;
  for (const auto& shim : shims_) {
    if (shim->alive()) alive.push_back(shim.get());
  }
  if (!alive.empty()) alive[which % alive.size()]->Kill();
}

void DroneHost::CutShimSockets() {
  for (auto& [epoch, entry] : entries_) {
    if (!entry.alive || !entry.attached) continue;
    entry.attached = false;
    Later(0, [this, epoch = epoch] { Input(drone::event::ShimDisconnected{epoch}); });
    Later(200 * kMilli, [this, epoch = epoch] {
      auto at = entries_.find(epoch);
      if (at == entries_.end() || !at->second.alive || at->second.attached) return;
      Attach(epoch);
      Settle();
    });
  }
}

void DroneHost::CutConnections(bool control, bool bulk) {
  if (control && control_ != nullptr) control_->Cut();
  if (bulk && bulk_ != nullptr) bulk_->Cut();
}

void DroneHost::Stall(bool bulk, Side from, Nanos length) {
  const std::shared_ptr<Connection>& connection = bulk ? bulk_ : control_;
  if (connection != nullptr) connection->Stall(from, world_.now() + length);
}

void DroneHost::SlowLink(Nanos extra, Nanos length) {
  slow_extra_ = extra;
  slow_until_ = world_.now() + length;
  for (const auto& connection : {control_, bulk_}) {
    if (connection != nullptr) connection->Slow(slow_extra_, slow_until_);
  }
}

void DroneHost::ExpireCertificate(Nanos length, bool cut) {
  if (peer_.local) return;
  expired_until_ = world_.now() + length;
  if (cut) CutConnections(true, true);
}

void DroneHost::Enrolled(std::string identity) {
  peer_.identity = std::move(identity);
  StartDaemon();
}

void DroneHost::Unplug() {
  unplugged_ = true;
  for (const auto& shim : shims_) shim->Kill();
  DaemonGone(0);
  world_.disk.Remove(host_ + "/");
}

void DroneHost::Partition(Nanos length, Nanos down_length) {
  partitioned_until_ = world_.now() + length;
  for (const auto& connection : {control_, bulk_}) {
    if (connection == nullptr) continue;
    connection->Stall(Side::kDrone, partitioned_until_);
    connection->Stall(Side::kQueen, world_.now() + down_length);
  }
}

void DroneHost::Heal() {
  SetDiskFull(false);
  partitioned_until_ = expired_until_ = 0;
  SlowLink(0, 0);
  kill_after_.reset();
  process_.Resume();
  for (const auto& shim : shims_) shim->process.Resume();
  if (core_ == nullptr) StartDaemon();
  if (paused_until_ != 0) ResumeWork();
  Resize(world_.plan.slots[number_] - 1, 0);
}

}  // namespace waggle::sim
