#include "queen/core/hive.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace waggle::queen {

Hive::Hive(HiveConfig config, Snapshot snapshot, Time now)
    : config_(config),
      counters_(snapshot.counters),
      access_(snapshot.peers, snapshot.invitations),
      restores_(std::move(snapshot.restores)) {
  for (DroneRow& row : snapshot.drones) {
    Drone& drone = drones_[row.id];
    drone.row = std::move(row);
    drone.last_heard = now;  // the queen was the one away: every lease starts anew
    by_identity_[drone.row.identity] = drone.row.id;
    if (!drone.row.name.empty()) by_name_[drone.row.name] = drone.row.id;
  }
  for (JobRow& row : snapshot.jobs) jobs_.emplace(row.id, std::move(row));
  for (AttemptRow& row : snapshot.attempts) {
    Attempt& attempt = attempts_[row.epoch];
    attempt.row = std::move(row);
    auto drone = drones_.find(attempt.row.drone);
    if (drone == drones_.end()) continue;
    attempt.holds_slot = !IsTerminal(attempt.row.state);
    drone->second.attempts.insert(attempt.row.epoch);
  }
  for (Snapshot::Awaited& row : snapshot.awaited) {
    const Epoch epoch = row.attempt.epoch;
    if (attempts_.contains(epoch)) continue;
    if (row.job.attempt != epoch) row.job.id = JobId();  // it runs once more
    awaited_[epoch] = std::move(row);
  }
  OpenRuns(snapshot);
}

Effects Hive::Start(Time now, WallMillis wall) {
  now_ = now;
  wall_ = wall;
  settling_ = true;  // until every job is where it belongs
  BeginListening();
  std::vector<JobId> waiting, running;
  for (const auto& [id, job] : jobs_) {
    (job.attempt && attempts_.contains(job.attempt) ? running : waiting).push_back(id);
  }
  std::sort(waiting.begin(), waiting.end());
  for (const std::vector<JobId>& ids : {running, waiting}) {
    for (JobId id : ids) EnterBranch(jobs_.at(id));
  }
  std::erase_if(waiting, [this](JobId id) {
    JobRow& job = jobs_.at(id);
    // Only the row that was set aside said whether its deploy was granted, and none may begin twice.
    const bool begun = job.state == JobState::kReceived || job.state == JobState::kStarted;
    if (job.type != JobType::kTest && job.attempt && begun) {
      FinishJob(job, JobState::kErrored, Reason::kUnknown,
                "the record of its attempt could not be read and was set aside; its deploy may have run");
      return true;
    }
    if (!job.cancel_requested) return false;
    FinishJob(job, JobState::kCanceled, Reason::kCanceled, CancelDetail(job));
    return true;
  });
  for (JobId id : waiting) {
    JobRow& job = jobs_.at(id);
    job.state == JobState::kCreated&& run_book_.Knows(id) ? decided_.push_back(id) : Enqueue(job);
  }
  settling_ = false;
  Settle();
  for (auto& [epoch, attempt] : attempts_) {
    bool given_up = IsTerminal(attempt.row.state) && !attempt.row.log_closed;
    auto job = jobs_.find(attempt.row.job);
    bool orphan = job == jobs_.end() || job->second.attempt != epoch || !drones_.contains(attempt.row.drone);
    if (given_up || orphan) SealOrphan(attempt);
  }
  for (auto& [id, drone] : drones_) {
    if (access_.IsRevoked(drone.row.identity)) CutOff(drone);  // the queen before may not have come to it
    if (!drone.attempts.empty()) CheckLeaseLater(drone);
    if (drone.row.drained != 0 && drone.row.drain_deadline != 0) {
      HandBackLater(drone,
                    std::chrono::milliseconds(std::max<WallMillis>(0, drone.row.drain_deadline - wall_)));
    }
  }
  return Take();
}

Effects Hive::Step(Time now, WallMillis wall, const Event& event) {
  now_ = now;
  wall_ = wall;
  if (asked_wake_ && now > *asked_wake_ + config_.away) StartLeasesAnew();
  std::visit([this](const auto& e) { On(e); }, event);
  CheckDeadlines();
  PlaceJobs();
  return Take();
}

void Hive::On(const event::Storage& e) {
  storage_trouble_ = e.trouble;
}

void Hive::On(const event::Tick&) {}  // CheckDeadlines() follows every event

void Hive::On(const event::Explain& e) {
  Explanations answer;
  for (JobId id : e.jobs) {
    auto job = jobs_.find(id);
    if (job == jobs_.end()) {
      answer.texts.emplace_back();
    } else if (job->second.state == JobState::kCreated) {
      answer.texts.push_back(run_book_.WhyWaiting(id));
    } else if (job->second.state == JobState::kQueued && job->second.attempt) {
      auto attempt = attempts_.find(job->second.attempt);
      answer.texts.push_back(
          attempt == attempts_.end()
              ? ""
              : absl::StrCat("assigned to ", attempt->second.row.drone_name, "; waits for its answer"));
    } else if (!storage_trouble_.empty()) {
      answer.texts.push_back(storage_trouble_);
    } else if (listening()) {
      answer.texts.push_back(WhyListening());
    } else {
      std::string held = branch_gate_.WhyHeld(id);
      answer.texts.push_back(held.empty() ? placement_.WhyWaiting(id) : held);
    }
  }
  effects_.after.push_back(effect::Answer{e.request, std::move(answer)});
}

void Hive::On(const event::ListFleet& e) {
  FleetView view;
  for (const auto& [id, drone] : drones_) {
    if (drone.row.name.empty()) continue;  // its name was taken over
    view.drones.push_back(ViewOf(drone));
  }
  std::sort(view.drones.begin(), view.drones.end(),
            [](const DroneView& a, const DroneView& b) { return a.row.name < b.row.name; });
  view.queued = waiting();
  effects_.after.push_back(effect::Answer{e.request, std::move(view)});
}

void Hive::CheckAttempt(Attempt& attempt) {
  if (attempt.seal) {
    if (attempt.seal_by && *attempt.seal_by <= now_) GiveUp(attempt, Reason::kDroneLost, "", 0);
    return;
  }
  if (!attempt.accept_by || *attempt.accept_by > now_) return;
  auto drone = drones_.find(attempt.row.drone);
  if (drone != drones_.end() && drone->second.connection) {
    Send(drone->second.connection, to_drone::Fenced{attempt.row.epoch});
    Avoid(drone->second, kAvoidSilent);
  }
  GiveUp(attempt, Reason::kDroneLost, absl::StrCat(attempt.row.drone_name, " did not answer the assignment"),
         0);
}

void Hive::CheckDeadlines() {
  while (!attempt_checks_.empty() && attempt_checks_.begin()->first <= now_) {
    Epoch epoch = attempt_checks_.begin()->second;
    attempt_checks_.erase(attempt_checks_.begin());
    auto found = attempts_.find(epoch);
    if (found != attempts_.end()) CheckAttempt(found->second);
  }
  while (!avoided_.empty() && avoided_.begin()->first <= now_) {
    DroneId id = avoided_.begin()->second;
    avoided_.erase(avoided_.begin());
    auto found = drones_.find(id);
    if (found != drones_.end() && found->second.connection) UpdatePlacement(found->second);
  }
  while (!drain_checks_.empty() && drain_checks_.begin()->first <= now_) {
    DroneId id = drain_checks_.begin()->second;
    drain_checks_.erase(drain_checks_.begin());
    auto found = drones_.find(id);
    if (found != drones_.end()) CheckDrain(found->second);
  }
  CheckListening();
  while (!lease_checks_.empty() && lease_checks_.begin()->first <= now_) {
    DroneId id = lease_checks_.begin()->second;
    lease_checks_.erase(lease_checks_.begin());
    auto found = drones_.find(id);
    if (found == drones_.end()) continue;
    Drone& drone = found->second;
    drone.lease_checked = false;
    if (drone.last_heard + config_.LostAfter() > now_) {
      CheckLeaseLater(drone);
    } else {
      LoseDrone(drone, LastSeen(drone));
    }
  }
}

// Nobody could be heard while the queen was away; what drones said meanwhile is still in the inbox.
void Hive::StartLeasesAnew() {
  for (auto& [id, drone] : drones_) Heard(drone);
  if (listening()) ListenAnew();
  for (auto& [epoch, attempt] : attempts_) {
    if (!attempt.accept_by) continue;
    attempt.accept_by = now_ + config_.accept_deadline;
    attempt_checks_.emplace(*attempt.accept_by, epoch);
  }
}

void Hive::Save(const JobRow& job) {
  effects_.rows.jobs.push_back(job);
  effects_.after.emplace_back(effect::Publish{job});
}
void Hive::Save(const AttemptRow& attempt) {
  effects_.rows.attempts.push_back(attempt);
}
void Hive::Save(const DroneRow& drone) {
  effects_.rows.drones.push_back(drone);
}

void Hive::Save(const RestoreRow& restore) {
  effects_.rows.restores.push_back(restore);
}

void Hive::Send(ConnectionId connection, ToDrone message) {
  effects_.after.push_back(effect::Send{connection, std::move(message)});
}

Effects Hive::Take() {
  for (RunRow& run : run_book_.TakeChanged()) effects_.rows.runs.push_back(std::move(run));
  if (counters_changed_) effects_.rows.counters = counters_;
  counters_changed_ = false;
  effects_.wake_at = listen_until_;
  auto wake = [this](const auto& checks) {
    if (checks.empty()) return;
    Time at = checks.begin()->first;
    effects_.wake_at = effects_.wake_at ? std::min(*effects_.wake_at, at) : at;
  };
  wake(lease_checks_);
  wake(attempt_checks_);
  wake(avoided_);
  wake(drain_checks_);
  asked_wake_ = effects_.wake_at;
  return std::exchange(effects_, Effects{});
}

}  // namespace waggle::queen
