// What is on a worker host besides the decisions of its daemon: attempt directories, shims, and what goes
// wrong.
#include <algorithm>

#include "absl/strings/numbers.h"
#include "common/journal/scan.h"
#include "tests/sim/drone.h"

namespace waggle::sim {

journal::Location DroneHost::SpoolOf(Epoch epoch) const {
  return {absl::StrCat(host_, "/", epoch.value()), "spool"};
}

bool DroneHost::HasRoom() const {
  std::uint32_t running = 0;
  for (const auto& shim : shims_) running += shim->alive() && !shim->finished();
  return running < world_.plan.slots[number_];
}

// What a shim says reaches the daemon that is attached by then, in order, unless it is gone.
Shim::Listener DroneHost::ListenerOf(Epoch epoch) {
  return {[this, epoch](const drone::Held& held) {
            Later(100 * kMicro, [this, epoch, held] {
              auto entry = entries_.find(epoch);
              if (entry == entries_.end() || !entry->second.alive || !entry->second.attached) return;
              entry->second.last = held.last;
              entry->second.finished = held.state == drone::HeldState::kFinished;
              Input(drone::event::ShimStatus{held});
            });
          },
          [this, epoch](Seq last) {
            Later(100 * kMicro, [this, epoch, last] {
              auto entry = entries_.find(epoch);
              if (entry == entries_.end() || !entry->second.alive || !entry->second.attached) return;
              entry->second.last = last;
              Input(drone::event::ShimWatermark{epoch, last});
            });
          },
          [this, epoch] { Later(200 * kMicro, [this, epoch] { ShimExited(epoch); }); }};
}

void DroneHost::Perform(drone::effect::StartAttempt& e) {
  const Epoch epoch = e.assign.epoch;
  highest_ = std::max(highest_, epoch);
  std::uint64_t job = 0;
  std::size_t plan = 0;
  const std::size_t colon = e.assign.document.find(':');
  if (colon == std::string::npos || !absl::SimpleAtoi(e.assign.document.substr(0, colon), &job) ||
      !absl::SimpleAtoi(e.assign.document.substr(colon + 1), &plan)) {
    return Emit(drone::event::StartFailed{epoch, "the job document cannot be read"});
  }
  if (world_.disk.Full(host_)) return Emit(drone::event::StartFailed{epoch, "no space left on device"});
  if (!HasRoom()) world_.Fail("I8", absl::StrCat(name_, " starts more attempts than it has slots"));
  const JobPlan& job_plan = world_.plan.jobs[plan];
  oracle_.ShimStarted(epoch, JobId(job), number_);
  world_.Note(24, name_, " starts attempt ", epoch.value(), " of job ", job);
  shims_.push_back(std::make_unique<Shim>(world_, oracle_, clock_, epoch, JobId(job), job_plan,
                                          SpoolOf(epoch), ListenerOf(epoch)));
  Shim* shim = shims_.back().get();
  facts_[epoch] = {JobId(job), e.assign.received, boot_, !job_plan.phases[3].empty(), shim};
  entries_[epoch] = Entry{.alive = true, .attached = true};
  world_.After(random_.Skewed(100 * kMicro, 50 * kMilli), [shim] {
    shim->process.Run([shim] {
      if (shim->alive()) shim->Start();
    });
  });
  Emit(drone::event::Started{epoch, JobId(job)});
  Emit(drone::event::ShimConnected{epoch});
}

void DroneHost::Perform(drone::effect::TrimSpool& e) {
  auto entry = entries_.find(e.epoch);
  if (entry == entries_.end()) return;
  if (entry->second.trimmer == nullptr) {
    entry->second.trimmer = std::make_unique<journal::Trimmer>(SpoolOf(e.epoch));
  }
  entry->second.trimmer->Trim(e.acked).IgnoreError();
}

void DroneHost::Perform(drone::effect::GrantShim& e) {
  Shim* shim = facts_.at(e.epoch).shim;
  world_.After(100 * kMicro, [shim] {
    shim->process.Run([shim] {
      if (shim->alive()) shim->Grant();
    });
  });
}

void DroneHost::Perform(drone::effect::CancelShim& e) {
  auto entry = entries_.find(e.cancel.epoch);
  if (entry == entries_.end() || !entry->second.attached) return;
  Shim* shim = facts_.at(e.cancel.epoch).shim;
  world_.After(100 * kMicro, [shim, by = e.cancel.by, now = e.cancel.now] {
    shim->process.Run([shim, by, now] {
      if (shim->alive()) shim->Cancel(by, now);
    });
  });
}

void DroneHost::Perform(drone::effect::KillTree& e) {
  auto facts = facts_.find(e.epoch);
  if (facts == facts_.end() || facts->second.shim == nullptr) return;
  Shim* shim = facts->second.shim;
  facts->second.handed_back = facts->second.handed_back || e.hand_back;
  world_.After(random_.Skewed(100 * kMicro, 100 * kMilli), [shim] { shim->Kill(); });
}

void DroneHost::Perform(drone::effect::DeleteAttempt& e) {
  auto facts = facts_.find(e.epoch);
  if (facts == facts_.end()) return;
  oracle_.AttemptDeleted(e.epoch, !fenced_.contains(e.epoch));
  if (facts->second.shim != nullptr && facts->second.shim->alive()) {
    world_.Fail("I8", absl::StrCat(name_, " deletes attempt ", e.epoch.value(), " while its shim lives"));
  }
  entries_.erase(e.epoch);
  facts_.erase(facts);
  world_.disk.Remove(SpoolOf(e.epoch).directory + "/");
}

// As Attempts::ReadEnding.
drone::Held DroneHost::ReadEnding(Epoch epoch, const Facts& facts) {
  drone::Held held;
  held.epoch = epoch;
  held.state = drone::HeldState::kLost;
  held.received = facts.received;
  held.handed_back = facts.handed_back;
  std::optional<journal::Final> final;
  absl::StatusOr<journal::Tail> tail =
      journal::ScanLeft(SpoolOf(epoch), epoch, [&](const journal::RecordView& record, journal::Position) {
        if (record.header.kind == journal::Kind::kFinal) final = journal::DecodeFinal(record.payload);
      });
  if (!tail.ok()) return held;
  held.last = tail->last;
  if (!tail->problem.empty()) world_.Sometimes(Rare::spool_lost_its_tail);
  if (!final) return held;
  held.state = drone::HeldState::kFinished;
  held.handed_back = false;
  held.started = final->started;
  held.finished = final->finished;
  held.test_code = final->test_code;
  held.deploy_code = final->deploy_code;
  return held;
}

// As Attempts::OnShimExit.
void DroneHost::ShimExited(Epoch epoch) {
  auto at = entries_.find(epoch);
  if (at == entries_.end() || !at->second.alive) return;
  Entry& entry = at->second;
  entry.alive = entry.attached = false;
  if (entry.finished) {
    drone::Held held;
    held.epoch = epoch;
    held.state = drone::HeldState::kFinished;
    held.last = entry.last;
    return Input(drone::event::ShimGone{held, ""});
  }
  drone::Held held = ReadEnding(epoch, facts_.at(epoch));
  if (held.state == drone::HeldState::kLost) {
    world_.Sometimes(held.handed_back ? Rare::handed_back : Rare::shim_lost);
  }
  Input(drone::event::ShimGone{held, held.state == drone::HeldState::kLost ? "the shim is gone" : ""});
}

// As Attempts::Recover.
void DroneHost::Recover() {
  for (auto& [epoch, facts] : facts_) {
    highest_ = std::max(highest_, epoch);
    const bool alive = facts.shim != nullptr && facts.shim->alive();
    entries_[epoch] = Entry{.alive = alive};
    if (alive) {
      facts.handed_back = false;
      world_.Sometimes(Rare::shim_attached_again);
      drone::event::Recovered recovered{facts.job, {}, true, ""};
      recovered.held.epoch = epoch;
      recovered.held.received = facts.received;
      Emit(recovered);
      Attach(epoch);
      continue;
    }
    drone::Held held = ReadEnding(epoch, facts);
    held.counter = drone::kCounterAfterShim;
    const bool lost = held.state == drone::HeldState::kLost;
    if (lost && facts.boot != boot_) world_.Sometimes(Rare::attempt_lost_with_host);
    if (!lost) world_.Sometimes(Rare::ended_while_daemon_away);
    Emit(drone::event::Recovered{facts.job, held, false, lost ? "its shim was gone" : ""});
  }
}

void DroneHost::Attach(Epoch epoch) {
  entries_.at(epoch).attached = true;
  Emit(drone::event::ShimConnected{epoch});
  Shim* shim = facts_.at(epoch).shim;
  world_.After(100 * kMicro, [shim] {
    shim->process.Run([shim] {
      if (shim->alive()) shim->Greet();
    });
  });
}

// ---- faults ----

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
  partitioned_until_ = 0;
  kill_after_.reset();
  process_.Resume();
  for (const auto& shim : shims_) shim->process.Resume();
  if (core_ == nullptr) StartDaemon();
  if (paused_until_ != 0) ResumeWork();
  Resize(world_.plan.slots[number_] - 1, 0);
}

}  // namespace waggle::sim
