// What is on a worker host besides the decisions of its daemon: attempt directories and shims.
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

}  // namespace waggle::sim
