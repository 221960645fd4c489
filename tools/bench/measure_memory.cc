// B4 at rest: the queen alone, and what each connected idle drone adds. Its peaks come with B3a.
#include <chrono>
#include <thread>

#include "common/base/status_macros.h"
#include "tools/bench/floors.h"
#include "tools/bench/hive.h"
#include "tools/bench/light_drone.h"

namespace waggle::bench {

absl::Status MeasureMemory(Bench& bench) {
  Figure idle{.id = "B4", .what = "queen, idle", .unit = "MiB", .first_light = 40, .goal = 20};
  Figure real{.id = "B4", .what = "drone daemon, idle", .unit = "MiB"};
  Figure drone{
      .id = "B4", .what = "queen, for each idle drone", .unit = "KiB", .floor = "F6", .first_light = 160};
  Figure ratio = drone;  // the goal speaks of another measure than first light
  ratio.what = "  the same, against F6";
  ratio.first_light.reset();
  ratio.judged = Figure::Judged::kRatio;
  ratio.goal = 1.3;
  const int count = bench.plan().light_drones;
  for (int i = 0; i < bench.plan().repetitions; ++i) {
    ASSIGN_OR_RETURN(std::unique_ptr<RpcFloor> rpc, RpcFloor::Start(bench));
    ASSIGN_OR_RETURN(const double floor, rpc->IdleConnection(count));
    rpc.reset();
    ASSIGN_OR_RETURN(std::unique_ptr<Hive> hive, Hive::Start(bench));
    RETURN_IF_ERROR(hive->AddDrones(1, 1));
    const long before = MemoryKiB(hive->queen().pid(), "VmRSS");
    idle.values.push_back(static_cast<double>(before) / 1024);
    real.values.push_back(static_cast<double>(MemoryKiB(hive->drone(0).pid(), "VmRSS")) / 1024);
    std::vector<std::unique_ptr<LightDrone>> drones;
    for (int n = 0; n < count; ++n) {
      ASSIGN_OR_RETURN(drones.emplace_back(),
                       LightDrone::Connect(hive->data() + "/queen.sock", n, 1, nullptr));
    }
    const long after = MemoryKiB(hive->queen().pid(), "VmRSS");
    drone.values.push_back(static_cast<double>(after - before) / count);
    drone.floor_values.push_back(floor);
  }
  ratio.values = drone.values;
  ratio.floor_values = drone.floor_values;
  for (Figure* figure : {&idle, &real, &drone, &ratio}) bench.Add(std::move(*figure));
  return absl::OkStatus();
}

}  // namespace waggle::bench
