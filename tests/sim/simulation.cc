#include "tests/sim/simulation.h"

#include <algorithm>
#include <exception>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"

namespace waggle::sim {

Simulation::Simulation(const Plan& plan, bool tracing)
    : plan_(plan),
      world_(plan_, tracing),
      store_([this](const std::string& what) { world_.Fail("I1", what); }),
      oracle_(world_, store_),
      queen_(world_, oracle_, store_),
      people_(plan_.seed, "people") {
  for (std::size_t n = 0; n < plan_.slots.size(); ++n) {
    drones_.push_back(std::make_unique<DroneHost>(world_, oracle_, queen_, n));
  }
}

bool Simulation::RunUntil(Nanos until, const std::function<bool()>& done) {
  Nanos look = world_.now();
  while (!world_.failed() && world_.result.steps < most_steps_) {
    if (done && world_.now() >= look) {
      if (done()) return true;
      look = world_.now() + kSecond / 2;
    }
    if (!world_.Step(until)) break;
  }
  return done && !world_.failed() && done();
}

Result Simulation::Run(std::uint64_t most_steps) {
  most_steps_ = most_steps;
  try {
    EnrolFirst();
    queen_.Start();
    for (const auto& drone : drones_) drone->StartDaemon();
    PlanPeople();
    for (std::size_t n = 0; n < plan_.faults.size(); ++n) {
      if (plan_.fault_kept[n]) world_.At(plan_.faults[n].at, [this, n] { Strike(plan_.faults[n]); });
    }
    RunUntil(plan_.chaos_end, nullptr);
    world_.SkipTo(std::max(world_.now(), plan_.chaos_end));
    Heal();
    RunUntil(world_.now() + kMinute, nullptr);  // what a slow link still carries arrives
    const bool quiet = RunUntil(world_.now() + kHealBound, [this] { return Quiet(); });
    if (!quiet && world_.result.steps < most_steps_) world_.Fail("I2", Unfinished());
    if (!world_.failed() && quiet) {
      oracle_.CheckEnd();
      oracle_.CheckRuns();
      CheckWatchers();
      ProbeSlots();
    }
  } catch (const std::exception& thrown) {
    world_.Fail("X", absl::StrCat("the product threw ", thrown.what()));
  }
  world_.result.virtual_time = world_.now();
  return world_.result;
}

bool Simulation::Quiet() const {
  if (!queen_.up()) return false;
  for (std::size_t n = 0; n + 1 < plan_.jobs.size(); ++n) {
    if (plan_.job_kept[n] && !jobs_.contains(n)) return false;  // a person still tries to submit it
  }
  for (const auto& [id, job] : store_.jobs) {
    if (!IsTerminal(job.state)) return false;
  }
  for (const auto& [epoch, attempt] : store_.attempts) {
    if (!attempt.log_closed || attempt.late_awaited) return false;
  }
  return std::all_of(drones_.begin(), drones_.end(), [](const auto& drone) { return drone->Idle(); });
}

std::string Simulation::Unfinished() const {
  std::string text =
      absl::StrCat((world_.now() - plan_.chaos_end) / kMinute, " minutes after the last fault");
  if (!queen_.up()) absl::StrAppend(&text, ", the queen is down");
  for (const auto& [id, job] : store_.jobs) {
    if (!IsTerminal(job.state)) {
      absl::StrAppend(&text, ", job ", id.value(), " is ", std::string(Name(job.state)), " in attempt ",
                      job.attempt.value(), job.cancel_requested ? " (canceled)" : "");
    }
  }
  for (std::size_t n = 0; n + 1 < plan_.jobs.size(); ++n) {
    if (plan_.job_kept[n] && !jobs_.contains(n))
      absl::StrAppend(&text, ", job plan ", n, " is not submitted");
  }
  for (const auto& [epoch, attempt] : store_.attempts) {
    if (attempt.late_awaited)
      absl::StrAppend(&text, ", the truth about attempt ", epoch.value(), " is awaited");
    if (!attempt.log_closed) absl::StrAppend(&text, ", the log of attempt ", epoch.value(), " is open");
  }
  for (const auto& drone : drones_) {
    if (!drone->Idle()) absl::StrAppend(&text, ", ", drone->name(), " is not idle");
  }
  return text;
}

// Reserved slots: never more than there are, and none at the end.
void Simulation::CheckFleet(bool at_end) {
  queen_.Ask(
      [](queen::RequestId id) { return queen::event::ListFleet{id}; },
      [this, at_end](const queen::AnswerValue* answer) {
        const auto* fleet = answer == nullptr ? nullptr : std::get_if<queen::FleetView>(answer);
        if (fleet == nullptr) return;
        fleet_checked_ = true;
        for (const queen::DroneView& drone : fleet->drones) {
          std::size_t number = 0;
          if (!absl::SimpleAtoi(drone.row.name.substr(1), &number)) continue;
          const std::uint32_t slots = plan_.slots[number];  // a draining drone offers none
          if (drone.connected && drone.used > slots) {
            world_.Fail("I8",
                        absl::StrCat(drone.row.name, " has ", drone.used, " of ", slots, " slots in use"));
          }
          if (at_end && drone.used > 0) {
            world_.Fail("I8", absl::StrCat(drone.row.name, " has ", drone.used, " slots in use and no work"));
          }
        }
      });
}

void Simulation::AskWhy() {
  std::vector<JobId> waiting;
  for (const auto& [id, job] : store_.jobs) {
    if (job.state == JobState::kQueued && !job.attempt) waiting.push_back(id);
  }
  queen_.Ask(
      [&](queen::RequestId id) {
        return queen::event::Explain{id, waiting};
      },
      [this](const queen::AnswerValue* answer) {
        const auto* why = answer == nullptr ? nullptr : std::get_if<queen::Explanations>(answer);
        if (why == nullptr) return;
        for (const std::string& text : why->texts) {
          if (absl::StrContains(text, "branch")) world_.Sometimes(Rare::held_for_branch);
        }
      });
}

// As many endless jobs as there are slots: all of them must run at once.
void Simulation::ProbeSlots() {
  fleet_checked_ = false;
  CheckFleet(/*at_end=*/true);
  RunUntil(world_.now() + kMinute, [this] { return fleet_checked_; });
  std::size_t slots = 0;
  for (std::uint32_t count : plan_.slots) slots += count;
  const std::uint64_t first = store_.counters.job + 1;
  for (std::size_t n = 0; n < slots; ++n) Submit(plan_.jobs.size() - 1);
  auto running = [this, first] {
    std::size_t count = 0;
    for (auto it = store_.jobs.lower_bound(JobId(first)); it != store_.jobs.end(); ++it) {
      count += it->second.state == JobState::kStarted;
    }
    return count;
  };
  // A drone that refused again and again, and then was silent, is avoided for up to 16 minutes.
  if (!RunUntil(world_.now() + 20 * kMinute, [&] { return running() == slots; })) {
    if (world_.result.steps < most_steps_) {
      world_.Fail("I8",
                  absl::StrCat("only ", running(), " of ", slots, " free slots can be used at the end"));
    }
    return;
  }
  for (auto it = store_.jobs.lower_bound(JobId(first)); it != store_.jobs.end(); ++it)
    Cancel(it->first, true);
  if (!RunUntil(world_.now() + 5 * kMinute, [this] { return Quiet(); }) &&
      world_.result.steps < most_steps_) {
    world_.Fail("I2", Unfinished());
  }
}

void Simulation::CheckWatchers() {
  for (const auto& [job, view] : views_) {
    for (const auto& [epoch, shown] : view.records) {
      const std::vector<std::uint32_t>* stored = oracle_.Stored(epoch);
      const bool prefix = stored != nullptr && shown.size() <= stored->size() &&
                          std::equal(shown.begin(), shown.end(), stored->begin());
      if (shown.empty() || prefix || oracle_.Flipped(epoch)) continue;
      // Bytes may be shown before they are synced: the loss of power may take them back.
      if (queen_power_losses_ > 0) continue;
      world_.Fail("I14", absl::StrCat("a watcher of job ", job.value(), " was shown ", shown.size(),
                                      " records of attempt ", epoch.value(), " that are not what is stored"));
    }
  }
}

}  // namespace waggle::sim
