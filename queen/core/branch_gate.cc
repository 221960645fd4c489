#include "queen/core/branch_gate.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace waggle::queen {

void BranchGate::Enter(const JobRow& job) {
  if (job.repo.empty() || job.branch.empty()) return;
  auto branch = branches_.try_emplace({job.repo, job.branch}).first;
  Runs& runs = branch->second;
  auto run = runs.end();
  if (job.run && !runs.empty() && runs.rbegin()->second.id == job.run) {
    run = std::prev(runs.end());
  } else if (job.run) {  // after a restart, or when a job runs once more: wherever its run stands
    run =
        std::find_if(runs.begin(), runs.end(), [&](const auto& other) { return other.second.id == job.run; });
  }
  if (run == runs.end()) run = runs.try_emplace(runs.end(), ++arrivals_, Run{job.run, {}});
  run->second.jobs.insert(job.id);
  places_.insert_or_assign(job.id, Place{branch, run});
  if (run != runs.begin()) ++held_;
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
