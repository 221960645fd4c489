#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/ids.h"

namespace waggle::queen {

// What a job asks of a drone. Jobs with equal requirements share one queue.
struct Requirement {
  std::map<std::string, std::string> needs;
  std::vector<std::string> plugins;  // sorted; "ccache" or, of a version, "ccache@2"
  bool local_only = false;
  auto operator<=>(const Requirement&) const = default;
};

// What placement knows of a drone. A drone that is not connected is not known.
struct DroneFacts {
  std::string name;
  double speed = 0;
  std::uint32_t capacity = 1;
  std::uint32_t used = 0;
  bool local = false;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> plugins;
  std::string closed;  // why it takes no work, as the end of a sentence about it; "" = it does
};

// Decides which waiting job goes to which drone. The rule, in one place:
//   jobs:   priority (higher first), then age (lower id first), among those some open drone can run;
//   drones: among the eligible ones with a free slot the fastest, then the one with the smallest
//   used/capacity, then the
//           one that got work longest ago.
// A job nobody can take now does not hold up the jobs behind it. Incremental: a change costs O(log n) in jobs
// and drones for each distinct Requirement it touches. Pure; one thread.
class Placement {
 public:
  void AddJob(JobId job, std::int32_t priority, const Requirement& requirement);
  void RemoveJob(JobId job);                              // no effect if it does not wait
  void SetDrone(DroneId drone, const DroneFacts& facts);  // adds or replaces
  void RemoveDrone(DroneId drone);
  void UseSlot(DroneId drone);
  void FreeSlot(DroneId drone);

  // The next assignment, with the slot taken and the job removed from the queue.
  std::optional<std::pair<JobId, DroneId>> Next();

  // Why this job waits, one sentence; "" if it does not wait here.
  std::string WhyWaiting(JobId job) const;
  std::uint64_t waiting() const { return jobs_.size(); }

 private:
  struct JobKey {
    std::int64_t minus_priority;
    JobId job;
    auto operator<=>(const JobKey&) const = default;
  };
  struct DroneKey {
    double minus_speed;
    double load;  // used / capacity
    std::uint64_t last_assigned;
    DroneId drone;
    auto operator<=>(const DroneKey&) const = default;
  };
  struct Queue {
    Requirement requirement;
    std::set<JobKey> jobs;
    std::set<DroneKey> open;  // eligible drones with a free slot
  };
  struct Drone {
    DroneFacts facts;
    std::uint64_t last_assigned = 0;
    bool open() const { return facts.closed.empty() && facts.used < facts.capacity; }
  };

  DroneKey KeyOf(DroneId id, const Drone& drone) const;
  void Attach(DroneId id, const Drone& drone);  // into the open set of every queue that may use it
  void Detach(DroneId id, const Drone& drone);
  template <typename Change>
  void ChangeQueue(Queue& queue, Change&& change);  // keeps runnable_ right around a change of its heads

  std::map<Requirement, Queue> queues_;
  std::unordered_map<JobId, std::pair<Queue*, JobKey>> jobs_;
  std::unordered_map<DroneId, Drone> drones_;
  std::set<std::pair<JobKey, Queue*>> runnable_;  // queues with a job and an open drone, by their first job
  std::uint64_t assignments_ = 0;
};

bool Eligible(const DroneFacts& drone, const Requirement& requirement);

}  // namespace waggle::queen
