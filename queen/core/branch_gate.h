#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "queen/core/rows.h"

namespace waggle::queen {

// Lets one run of a branch go at a time: the jobs of a run together, the runs of one repository and branch
// one after the other, in the order they came. A job that came as a document is a run of its own. The key is
// made of names, so nothing that changes while a run goes on can let two of them overlap; a job without a
// repository or a branch is never held. O(log n) in jobs and branches. Pure; one thread.
class BranchGate {
 public:
  void Enter(const JobRow& job);  // joins its run where that stands
  bool MayGo(JobId job) const;
  bool MayJoin(const JobRow& job) const;  // could go at once if it entered now
  // The job is finished. Returns the jobs that may go now and might not before.
  std::vector<JobId> Leave(JobId job);
  // One sentence for a job that is held; "" for any other.
  std::string WhyHeld(JobId job) const;
  std::uint64_t held() const { return held_; }

 private:
  using BranchKey = std::pair<std::string, std::string>;  // repository, branch
  struct Run {
    RunId id;  // none: one job that came as a document
    std::set<JobId> jobs;
  };
  using Runs = std::map<std::uint64_t, Run>;  // by order of arrival; the first may go
  struct Place {
    std::map<BranchKey, Runs>::iterator branch;
    Runs::iterator run;
  };

  std::map<BranchKey, Runs> branches_;
  std::unordered_map<JobId, Place> places_;
  std::uint64_t arrivals_ = 0, held_ = 0;
};

}  // namespace waggle::queen
