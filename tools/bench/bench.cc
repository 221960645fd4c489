#include "tools/bench/bench.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace waggle::bench {

Plan QuickPlan() {
  Plan plan;
  plan.repetitions = 1;
  plan.jobs = 200;
  plan.echoes = 40;
  plan.ticks = 50;
  plan.log_bytes = std::uint64_t{64} << 20;
  plan.small_writes_bytes = 2'000'000;
  plan.streaming_attempts = 50;
  plan.streaming_seconds = 1;
  plan.light_drones = 20;
  plan.fleet = 4;
  return plan;
}

const std::vector<Group>& Groups() {
  static const std::vector<Group> groups = {
      {{"F1", "F2", "F3", "F4", "F5", "F6"}, "what the machine can do", MeasureFloors},
      {{"B1", "B5"}, "no-op jobs", MeasureThroughput},
      {{"B2a"}, "submit to first line", MeasureSubmitLatency},
      {{"B2b"}, "line to watcher", MeasureLineLatency},
      {{"B3a", "B4"}, "a large log of short lines", MeasureLargeLog},
      {{"B3b"}, "many small writes", MeasureSmallWrites},
      {{"B3c"}, "a large log in large writes", MeasureLargeWrites},
      {{"B3c"}, "many attempts at once", MeasureAcks},
      {{"B4"}, "memory at rest", MeasureMemory},
      {{"B13"}, "deaths and cancels", MeasureFaults},
  };
  return groups;
}

absl::StatusOr<std::vector<const Group*>> Select(const std::vector<std::string>& names) {
  std::vector<std::string> left = names;
  std::vector<const Group*> selected;
  for (const Group& group : Groups()) {
    bool wanted = names.empty();
    for (const std::string& id : group.ids) {
      if (std::find(names.begin(), names.end(), id) == names.end()) continue;
      wanted = true;
      left.erase(std::remove(left.begin(), left.end(), id), left.end());
    }
    if (wanted) selected.push_back(&group);
  }
  if (left.empty()) return selected;
  return absl::InvalidArgumentError(
      absl::StrCat("there is no figure \"", left.front(),
                   "\"; known are F1 F2 F3 F4 F5 F6 B1 B2a B2b B3a B3b B3c B4 B5 B13"));
}

}  // namespace waggle::bench
