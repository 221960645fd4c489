#include "queen/core/branch_gate.h"

#include "absl/strings/str_cat.h"

namespace waggle::queen {

void BranchGate::Enter(const JobRow& job) {
  if (job.repo.empty() || job.branch.empty()) return;
  auto branch = branches_.try_emplace({job.repo, job.branch}).first;
  Runs& runs = branch->second;
  bool joins = job.run && !runs.empty() && runs.rbegin()->second.id == job.run;
  auto run = joins ? std::prev(runs.end()) : runs.try_emplace(runs.end(), ++arrivals_, Run{job.run, {}});
  run->second.jobs.insert(job.id);
  places_.insert_or_assign(job.id, Place{branch, run});
  if (run != runs.begin()) ++held_;
}

void BranchGate::Rejoin(const JobRow& job, JobId sibling) {
  auto place = places_.find(sibling);
  if (place == places_.end()) return Enter(job);
  const Place at = place->second;
  at.run->second.jobs.insert(job.id);
  places_.insert_or_assign(job.id, at);
  if (at.run != at.branch->second.begin()) ++held_;
}

bool BranchGate::MayJoin(const JobRow& job) const {
  auto branch = branches_.find({job.repo, job.branch});
  if (branch == branches_.end()) return true;
  const Runs& runs = branch->second;
  return runs.size() == 1 && job.run && runs.begin()->second.id == job.run;
}

bool BranchGate::MayGo(JobId job) const {
  auto place = places_.find(job);
  return place == places_.end() || place->second.run == place->second.branch->second.begin();
}

std::vector<JobId> BranchGate::Leave(JobId job) {
  auto found = places_.find(job);
  if (found == places_.end()) return {};
  auto [branch, run] = found->second;
  places_.erase(found);
  Runs& runs = branch->second;
  bool was_first = run == runs.begin();
  if (!was_first) --held_;
  run->second.jobs.erase(job);
  if (!run->second.jobs.empty()) return {};
  runs.erase(run);
  if (runs.empty()) {
    branches_.erase(branch);
    return {};
  }
  if (!was_first) return {};
  const std::set<JobId>& next = runs.begin()->second.jobs;
  held_ -= next.size();
  return {next.begin(), next.end()};
}

std::string BranchGate::WhyHeld(JobId job) const {
  if (MayGo(job)) return "";
  const auto& [key, runs] = *places_.at(job).branch;
  const Run& first = runs.begin()->second;
  std::string holder =
      first.id ? absl::StrCat("r", first.id.value()) : absl::StrCat("job ", first.jobs.begin()->value());
  return absl::StrCat(holder, " on branch ", key.second,
                      " is not finished; runs of one branch go one at a time");
}

}  // namespace waggle::queen
