// The person of the simulated world, and the watchers: they submit, cancel and look.
#include <algorithm>

#include "absl/strings/numbers.h"

#include "common/journal/reader.h"
#include "tests/sim/simulation.h"

namespace waggle::sim {
namespace {

bool IsEndless(const JobPlan& job) {
  for (const auto& phase : job.phases) {
    if (std::any_of(phase.begin(), phase.end(), [](const StepPlan& step) { return step.endless; }))
      return true;
  }
  return false;
}

}  // namespace

void Simulation::PlanPeople() {
  std::set<std::uint32_t> runs;
  for (std::size_t n = 0; n + 1 < plan_.jobs.size(); ++n) {
    const JobPlan& job = plan_.jobs[n];
    if (!plan_.job_kept[n]) continue;
    if (job.run == 0) {
      world_.At(job.submit_at, [this, n] { Submit(n); });
      if (job.repeated_after) world_.At(job.submit_at + *job.repeated_after, [this, n] { Submit(n); });
    } else if (runs.insert(job.run).second) {
      const auto submit = [this, run = job.run] { SubmitRun(run); };
      world_.At(job.submit_at, submit);
      if (job.repeated_after) world_.At(job.submit_at + *job.repeated_after, submit);
    }
  }
  for (Nanos at = 3 * kSecond; at < plan_.chaos_end; at += 7 * kSecond) {
    world_.At(at, [this] {
      CheckFleet(/*at_end=*/false);
      AskWhy();
    });
  }
}

queen::JobDraft Simulation::DraftOf(std::size_t index) const {
  const JobPlan& job = plan_.jobs[index];
  queen::JobDraft draft;
  draft.document = absl::StrCat(index);
  draft.row.name = absl::StrCat("j", index);
  draft.row.type = job.type;
  draft.row.priority = job.priority;
  if (job.labelled) draft.row.needs["gpu"] = "yes";
  if (job.repository > 0) {
    draft.row.repo = absl::StrCat("repo", job.repository);
    draft.row.branch = "main";
  }
  draft.row.runs_after = job.runs_after;
  draft.row.allow_failure = job.allow_failure;
  draft.row.retry_failed = job.retry_failed;
  if (job.not_wanted) draft.skipped = "not now";
  return draft;
}

// Nobody answered, or there is no space for it now.
bool Simulation::NotTaken(const queen::AnswerValue* answer) {
  if (answer == nullptr) return true;
  const auto* status = std::get_if<absl::Status>(answer);
  if (status == nullptr || !absl::IsResourceExhausted(*status)) return false;
  world_.Sometimes(Rare::refused_for_space);
  return true;
}

void Simulation::Submit(std::size_t index) {
  world_.Note(40, "a person submits job plan ", index);
  const queen::JobDraft draft = DraftOf(index);
  // The probe is many jobs of one plan.
  const bool probe = index + 1 == plan_.jobs.size();
  const queen::event::SubmissionKey key{probe ? "" : draft.row.name, draft.document};
  if (const queen::SubmissionRow* stored = FindStored(key.key)) return Submitted(index, stored->job);
  queen_.Ask(
      [&](queen::RequestId id) {
        return queen::event::SubmitJob{id, draft, key};
      },
      [this, index](const queen::AnswerValue* answer) {
        if (NotTaken(answer)) return world_.After(kAskAgain, [this, index] { Submit(index); });
        if (const auto* row = std::get_if<queen::JobRow>(answer)) Submitted(index, row->id);
        if (const auto* known = std::get_if<queen::KnownSubmission>(answer)) {
          world_.Sometimes(Rare::submission_repeated);
          Submitted(index, known->row.job);
        }
      });
}

// As the API looks before it asks the core.
const queen::SubmissionRow* Simulation::FindStored(const std::string& key) {
  auto found = store_.submissions.find(key);
  if (!queen_.up() || found == store_.submissions.end()) return nullptr;
  world_.Sometimes(Rare::submission_found_stored);
  return &found->second;
}

void Simulation::SubmitRun(std::uint32_t run) {
  queen::RunRow row;
  std::vector<std::size_t> indexes;
  std::vector<queen::JobDraft> drafts;
  for (std::size_t n = 0; n + 1 < plan_.jobs.size(); ++n) {
    if (plan_.jobs[n].run != run || !plan_.job_kept[n]) continue;
    indexes.push_back(n);
    drafts.push_back(DraftOf(n));
    // Bits name jobs of the plan; those that were taken out of it are waited for by nobody.
    for (std::size_t before = 0; before + 1 < indexes.size(); ++before) {
      const std::size_t first = FirstOf(run);
      if (plan_.jobs[n].after >> (indexes[before] - first) & 1) drafts.back().after.push_back(before);
    }
    row.repo = drafts.back().row.repo;
    row.branch = drafts.back().row.branch;
  }
  const queen::event::SubmissionKey key{absl::StrCat("r", run), "a run"};
  auto submitted = [this, indexes](RunId id) {
    std::vector<JobId> jobs;
    for (const auto& [job, stored] : store_.jobs) {
      if (stored.run == id) jobs.push_back(job);
    }
    if (jobs.size() != indexes.size()) return world_.Fail("I10", "a run has other jobs than were submitted");
    for (std::size_t n = 0; n < indexes.size(); ++n) Submitted(indexes[n], jobs[n]);
    const JobPlan& first = plan_.jobs[indexes[0]];
    if (first.run_canceled_after && canceled_runs_.insert(id).second) {
      world_.After(*first.run_canceled_after, [this, id] { CancelRun(id); });
    }
  };
  if (const queen::SubmissionRow* stored = FindStored(key.key)) return submitted(stored->run);
  queen_.Ask(
      [&](queen::RequestId id) {
        return queen::event::SubmitRun{id, row, drafts, key, plan_.jobs[indexes[0]].cancel_previous};
      },
      [this, run, submitted](const queen::AnswerValue* answer) {
        if (NotTaken(answer)) return world_.After(kAskAgain, [this, run] { SubmitRun(run); });
        if (const auto* fresh = std::get_if<queen::SubmittedRun>(answer)) submitted(fresh->run.id);
        if (const auto* known = std::get_if<queen::KnownSubmission>(answer)) submitted(known->row.run);
      });
}

std::size_t Simulation::FirstOf(std::uint32_t run) const {
  std::size_t n = 0;
  while (plan_.jobs[n].run != run) ++n;
  return n;
}

void Simulation::CancelRun(RunId run) {
  queen_.Ask(
      [&](queen::RequestId id) {
        return queen::event::CancelRun{id, run, "alice", "enough of it", false};
      },
      [this, run](const queen::AnswerValue* answer) {
        if (NotTaken(answer)) return world_.After(kAskAgain, [this, run] { CancelRun(run); });
        if (std::holds_alternative<queen::RunRow>(*answer)) world_.Sometimes(Rare::run_canceled);
      });
}

// As the API does: from what is stored. Deploys are left alone, so that no second one is anybody's wish.
void Simulation::Retry(JobId job) {
  auto row = store_.jobs.find(job);
  if (!queen_.up() || row == store_.jobs.end()) return;
  if (row->second.type != JobType::kTest || !IsTerminal(row->second.state)) return;
  if (world_.now() > plan_.chaos_end) return;  // what is over then must stay so
  queen::event::Retry retry;
  retry.again = {job};
  retry.by = "alice";
  auto run = store_.runs.find(row->second.run);
  if (run != store_.runs.end()) retry.run = run->second;
  for (const auto& [id, stored] : store_.jobs) {
    if (id == job || (row->second.run && stored.run == row->second.run)) retry.jobs.push_back(stored);
  }
  queen_.Ask(
      [&](queen::RequestId id) {
        retry.request = id;
        return retry;
      },
      [this](const queen::AnswerValue* answer) {
        if (answer != nullptr && std::holds_alternative<queen::SubmittedRun>(*answer)) {
          world_.Sometimes(Rare::job_retried);
        }
      });
}

void Simulation::Submitted(std::size_t index, JobId job) {
  oracle_.Answered(job);
  auto before = jobs_.find(index);
  if (before != jobs_.end() && index + 1 < plan_.jobs.size()) {
    const bool forgotten = !store_.jobs.contains(before->second);  // by a restored queen
    if (before->second != job && !forgotten) {
      world_.Fail("I10", absl::StrCat("job plan ", index, " was submitted with one key and is job ",
                                      before->second.value(), " and job ", job.value()));
    }
    if (!forgotten) return;
  }
  jobs_[index] = job;
  plans_[job] = index;
  const JobPlan& plan = plan_.jobs[index];
  if (plan.cancel_after) {
    world_.After(*plan.cancel_after, [this, job, now = plan.cancel_now] { Cancel(job, now); });
  }
  if (plan.retried_after) world_.After(*plan.retried_after, [this, job] { Retry(job); });
  if (plan.watched) Watch(index);
}

void Simulation::Cancel(JobId job, bool now) {
  world_.Note(41, "a person cancels job ", job.value());
  auto row = store_.jobs.find(job);
  if (row != store_.jobs.end() && !IsTerminal(row->second.state) && !row->second.attempt) {
    world_.Sometimes(Rare::canceled_while_queued);
  }
  queen_.Ask(
      [&](queen::RequestId id) {
        return queen::event::CancelJob{id, job, "alice", "enough", now};
      },
      [this, job, now](const queen::AnswerValue* answer) {
        if (NotTaken(answer)) world_.After(kAskAgain, [this, job, now] { Cancel(job, now); });
      });
}

void Simulation::DrainDrone(const Fault& fault) {
  const std::string name = drones_[fault.drone]->name();
  std::optional<Duration> deadline;
  if (fault.chance % 2) deadline = Duration(fault.length / 2);
  queen_.Ask(
      [&](queen::RequestId id) {
        return queen::event::DrainDrone{id, name, "alice", "update", deadline};
      },
      [this, name, before = undrains_[name]](const queen::AnswerValue* answer) {
        if (undrains_[name] != before) return;  // somebody has changed his mind
        if (answer == nullptr || !std::holds_alternative<queen::DroneView>(*answer)) return;
        oracle_.DrainAnswered(name);
        world_.Sometimes(Rare::drained_by_queen);
      });
  world_.After(fault.length, [this, name] { UndrainDrone(name); });
}

void Simulation::UndrainDrone(const std::string& name) {
  ++undrains_[name];
  oracle_.UndrainAsked(name);
  queen_.Ask(
      [&](queen::RequestId id) {
        return queen::event::UndrainDrone{id, name};
      },
      [this, name](const queen::AnswerValue* answer) {
        if (NotTaken(answer)) world_.After(kAskAgain, [this, name] { UndrainDrone(name); });
      });
}

// Nobody else would ever end them: their cancel was not due yet, or nobody knows their number.
void Simulation::CancelEndless() {
  for (const auto& [id, row] : store_.jobs) {
    if (IsTerminal(row.state) || row.cancel_requested) continue;
    std::size_t index = 0;
    const bool probe = !absl::SimpleAtoi(store_.documents.at(id), &index) || index + 1 == plan_.jobs.size();
    if (!probe && IsEndless(plan_.jobs[index])) Cancel(id, false);
  }
  world_.After(20 * kSecond, [this] { CancelEndless(); });
}

void Simulation::TidyFleet() {
  queen_.Ask([](queen::RequestId id) { return queen::event::ListFleet{id}; },
             [this](const queen::AnswerValue* answer) {
               const auto* fleet = answer == nullptr ? nullptr : std::get_if<queen::FleetView>(answer);
               if (fleet == nullptr) return;
               for (const queen::DroneView& drone : fleet->drones) {
                 if (drone.row.drained != 0) UndrainDrone(drone.row.name);  // quarantined: the clone is gone
                 for (Epoch epoch : drone.forgotten) {
                   world_.Sometimes(Rare::attempt_forgotten);
                   oracle_.EndAsked(epoch);
                   queen_.Ask(
                       [&](queen::RequestId id) {
                         return queen::event::ForgetAttempt{id, drone.row.name, epoch};
                       },
                       [](const queen::AnswerValue*) {});
                 }
               }
             });
  world_.After(20 * kSecond, [this] { TidyFleet(); });
}

void Simulation::Watch(std::size_t index) {
  const JobId job = jobs_.at(index);
  Look(job, views_[job]);
  auto row = store_.jobs.find(job);
  if (row != store_.jobs.end() && IsTerminal(row->second.state) && world_.now() > plan_.chaos_end) return;
  world_.After(people_.Skewed(20 * kMilli, 10 * kSecond), [this, index] { Watch(index); });
}

// As a pump of the WatchHub does: from the cursor to what is appended.
void Simulation::Look(JobId job, View& view) {
  auto row = store_.jobs.find(job);
  if (!queen_.up() || row == store_.jobs.end() || !row->second.attempt) return;
  const Epoch epoch = row->second.attempt;
  std::optional<Seq> last = queen_.LastAppended(epoch);
  if (!last) return;
  std::vector<std::uint32_t>& shown = view.records[epoch];
  if (last->value() <= shown.size()) return;
  journal::Reader reader({absl::StrCat("/q/logs/", epoch.value() / 4096), absl::StrCat(epoch.value())});
  if (!reader.SeekTo(Seq(shown.size() + 1)).ok()) return;
  std::string raw;
  if (!reader.ReadRaw(64 * 1024, *last, &raw).ok()) return;
  journal::ForEachRecord(raw, [&](const journal::RecordView& record) { shown.push_back(record.header.crc); });
}

}  // namespace waggle::sim
