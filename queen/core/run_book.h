#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "queen/core/rows.h"

namespace waggle::queen {

// What the jobs of unfinished runs wait for from each other, and what each run has come to. A job that waits
// for others is decided as soon as nothing that may still happen can change the answer. O(1) for each pair of
// jobs of which one waits for the other. Pure; one thread.
class RunBook {
 public:
  enum class Decision : std::uint8_t { kWait, kGo, kSkip };

  // With every job of it, those that have ended too; what `run` says it has come to stays. Replaces what was
  // known of it. REQUIRES: no two of them wait for each other.
  void Open(RunRow run, const std::vector<JobRow>& jobs);
  // A run without an end, of which no job is left that could bring it: their rows could not be read.
  void EndIfNothingIsLeft(RunId run, WallMillis now);
  bool Has(RunId run) const { return runs_.contains(run); }
  bool Knows(JobId job) const { return of_.contains(job); }

  // Gives the jobs that were decided by it.
  std::vector<JobId> Ended(const JobRow& job, WallMillis now);
  void Started(const JobRow& job);

  Decision DecisionFor(JobId job) const;  // kGo for a job of no run
  std::string WhySkipped(JobId job) const;
  std::string WhyWaiting(JobId job) const;  // one sentence; "" if it waits for no other job

  const RunRow& Row(RunId run) const { return runs_.at(run).row; }
  std::vector<JobId> JobsOf(RunId run) const;  // by id; none of a run that is not open
  // Runs of the branch that have not ended, oldest first.
  std::vector<RunId> OpenOn(const std::string& repo, const std::string& branch) const;
  // What is to be stored since the last call. Runs of which every job has ended are forgotten with it.
  std::vector<RunRow> TakeChanged();

 private:
  struct Member {
    std::string name;
    JobState state = JobState::kCreated;
    RunsAfter runs_after = RunsAfter::kPassed;
    bool allow_failure = false, not_wanted = false;
    std::vector<JobId> after, before;  // it waits for; that wait for it
    std::size_t open = 0;              // of `after`: have not ended
    JobId spoiler;                     // the first of `after` that did not end well
    bool Well() const;
  };
  struct Run {
    RunRow row;
    std::map<JobId, Member> members;
    std::size_t open = 0, required_open = 0;
  };

  static void Note(Run& run, const JobRow& job);  // what its end means for the run
  static void Settle(Run& run, WallMillis now);
  static void Connect(Run& run);
  void Forget(RunId run);
  const Member* Find(JobId job) const;

  std::unordered_map<RunId, Run> runs_;
  std::unordered_map<JobId, RunId> of_;
  std::set<RunId> changed_;
};

}  // namespace waggle::queen
