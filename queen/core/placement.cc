#include "queen/core/placement.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/isolation_label.h"
#include "common/base/plugin_name.h"

namespace waggle::queen {
namespace {

constexpr std::size_t kKeptQueues = 64;
constexpr std::size_t kClosedNamed = 3;  // drones in one sentence

// The first thing `drone` lacks for `requirement`; "" if nothing.
std::string Lacks(const DroneFacts& drone, const Requirement& requirement) {
  if (requirement.local_only && !drone.local) return "a connection over the queen's own socket";
  for (const auto& [label, value] : requirement.needs) {
    auto found = drone.labels.find(label);
    if (found != drone.labels.end() && found->second == value) continue;
    if (label.starts_with(kIsolationLabel))
      return absl::StrCat("isolation ", label.substr(kIsolationLabel.size()));
    return absl::StrCat("label ", label, "=", value);
  }
  for (const std::string& wanted : requirement.plugins) {
    const PluginName plugin = SplitPlugin(wanted);
    const auto found = drone.plugins.find(std::string(plugin.name));
    if (found == drone.plugins.end() || !VersionMeets(found->second, plugin.version)) {
      return absl::StrCat("plugin ", wanted);
    }
  }
  return "";
}

// What `drone` has in place of what Lacks() named.
std::string Instead(const DroneFacts& drone, std::string_view lacks) {
  constexpr std::string_view kPlugin = "plugin ";
  if (lacks.starts_with(kPlugin)) {
    const auto found = drone.plugins.find(std::string(SplitPlugin(lacks.substr(kPlugin.size())).name));
    if (found != drone.plugins.end()) return absl::StrCat(" has version ", found->second);
  }
  return " lacks it";
}

// "d1 is draining (update); d2 is paused; 4 more"
std::string Listed(std::vector<std::string> closed) {
  std::sort(closed.begin(), closed.end());
  std::string text;
  for (std::size_t i = 0; i < closed.size() && i < kClosedNamed; ++i) {
    absl::StrAppend(&text, text.empty() ? "" : "; ", closed[i]);
  }
  if (closed.size() > kClosedNamed) absl::StrAppend(&text, "; ", closed.size() - kClosedNamed, " more");
  return text;
}

}  // namespace

bool Eligible(const DroneFacts& drone, const Requirement& requirement) {
  return Lacks(drone, requirement).empty();
}

template <typename Change>
void Placement::ChangeQueue(Queue& queue, Change&& change) {
  auto runnable = [&] { return !queue.jobs.empty() && !queue.open.empty(); };
  if (runnable()) runnable_.erase({*queue.jobs.begin(), &queue});
  change(queue);
  if (runnable()) runnable_.insert({*queue.jobs.begin(), &queue});
}

Placement::DroneKey Placement::KeyOf(DroneId id, const Drone& drone) const {
  return {-drone.facts.speed, static_cast<double>(drone.facts.used) / drone.facts.capacity,
          drone.last_assigned, id};
}

void Placement::Attach(DroneId id, const Drone& drone) {
  if (!drone.open()) return;
  for (auto& [requirement, queue] : queues_) {
    if (!Eligible(drone.facts, requirement)) continue;
    ChangeQueue(queue, [&](Queue& q) { q.open.insert(KeyOf(id, drone)); });
  }
}

void Placement::Detach(DroneId id, const Drone& drone) {
  if (!drone.open()) return;
  for (auto& [requirement, queue] : queues_) {
    ChangeQueue(queue, [&](Queue& q) { q.open.erase(KeyOf(id, drone)); });
  }
}

void Placement::AddJob(JobId job, std::int32_t priority, const Requirement& requirement) {
  auto [at, fresh] = queues_.try_emplace(requirement);
  Queue& queue = at->second;
  if (fresh) {
    queue.requirement = requirement;
    for (const auto& [id, drone] : drones_) {
      if (drone.open() && Eligible(drone.facts, requirement)) queue.open.insert(KeyOf(id, drone));
    }
  }
  JobKey key{-static_cast<std::int64_t>(priority), job};
  ChangeQueue(queue, [&](Queue& q) { q.jobs.insert(key); });
  jobs_[job] = {&queue, key};
}

void Placement::RemoveJob(JobId job) {
  auto found = jobs_.find(job);
  if (found == jobs_.end()) return;
  Queue* queue = found->second.first;
  const JobKey key = found->second.second;
  jobs_.erase(found);
  ChangeQueue(*queue, [&](Queue& q) { q.jobs.erase(key); });
  // An empty queue keeps its open drones, so that the next such job costs no scan; many odd ones are not
  // worth it.
  if (queue->jobs.empty() && queues_.size() > kKeptQueues) {
    Requirement requirement = queue->requirement;
    queues_.erase(requirement);
  }
}

void Placement::SetDrone(DroneId drone, const DroneFacts& facts) {
  auto [at, fresh] = drones_.try_emplace(drone);
  if (!fresh) Detach(drone, at->second);
  at->second.facts = facts;
  Attach(drone, at->second);
}

void Placement::RemoveDrone(DroneId drone) {
  auto found = drones_.find(drone);
  if (found == drones_.end()) return;
  Detach(drone, found->second);
  drones_.erase(found);
}

void Placement::UseSlot(DroneId drone) {
  auto found = drones_.find(drone);
  if (found == drones_.end()) return;
  Detach(drone, found->second);
  ++found->second.facts.used;
  found->second.last_assigned = ++assignments_;
  Attach(drone, found->second);
}

void Placement::FreeSlot(DroneId drone) {
  auto found = drones_.find(drone);
  if (found == drones_.end() || found->second.facts.used == 0) return;
  Detach(drone, found->second);
  --found->second.facts.used;
  Attach(drone, found->second);
}

std::optional<std::pair<JobId, DroneId>> Placement::Next() {
  if (runnable_.empty()) return std::nullopt;
  auto [key, queue] = *runnable_.begin();
  DroneId drone = queue->open.begin()->drone;
  JobId job = key.job;
  RemoveJob(job);
  UseSlot(drone);
  return std::pair(job, drone);
}

std::string Placement::WhyWaiting(JobId job) const {
  auto found = jobs_.find(job);
  if (found == jobs_.end()) return "";
  const Queue& queue = *found->second.first;
  if (drones_.empty()) return "no drone is connected; next: start one with `drone serve`";
  std::uint64_t eligible = 0, slots = 0;
  std::vector<std::string> closed;
  std::string lack;
  for (const auto& [id, drone] : drones_) {
    std::string lacks = Lacks(drone.facts, queue.requirement);
    if (lacks.empty()) {
      ++eligible;
      if (drone.facts.closed.empty() && drone.facts.capacity > 0) {
        slots += drone.facts.capacity;
      } else {
        closed.push_back(absl::StrCat(drone.facts.name, " ",
                                      drone.facts.closed.empty() ? "offers capacity 0" : drone.facts.closed));
      }
    } else if (lack.empty()) {
      lack = absl::StrCat("no drone has ", lacks, " (", drones_.size(), " connected; ", drone.facts.name,
                          Instead(drone.facts, lacks), ")");
    }
  }
  if (eligible == 0) return lack;
  if (closed.size() == eligible) {
    return absl::StrCat(eligible == 1 ? std::string("the only matching drone takes no work: ")
                                      : absl::StrCat("all ", eligible, " matching drones take no work: "),
                        Listed(std::move(closed)));
  }
  const std::uint64_t open = eligible - closed.size();
  const std::string others = closed.empty() ? "" : absl::StrCat("; ", Listed(std::move(closed)));
  return absl::StrCat("all ", slots, " slots of ", open, open == 1 ? " matching drone" : " matching drones",
                      " are in use; ", waiting(), waiting() == 1 ? " job waits" : " jobs wait", others);
}

}  // namespace waggle::queen
