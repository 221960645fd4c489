// B1 jobs per second against F1, and B5 what each job costs the daemons.
#include <chrono>

#include "common/base/status_macros.h"
#include "tools/bench/floors.h"
#include "tools/bench/hive.h"

namespace waggle::bench {
namespace {

using namespace std::chrono_literals;

constexpr int kDrones = 2, kSlots = 2;
constexpr int kSpawns = 1000;
constexpr Duration kPatience = 300s;

struct Cpu {
  double queen = 0, drones = 0, shims = 0;  // seconds; shims with what they started
};

Cpu Used(Hive& hive) {
  Cpu cpu;
  cpu.queen = CpuOf(hive.queen().pid()).own;
  for (std::size_t i = 0; i < hive.drones(); ++i) {
    const CpuTime drone = CpuOf(hive.drone(i).pid());
    cpu.drones += drone.own;
    cpu.shims += drone.children;
    for (pid_t host : ChildrenOf(hive.drone(i).pid())) cpu.shims += CpuOf(host).own;  // starts the shims
  }
  return cpu;
}

// Until every job has ended; asks the core alone, which is cheap, and the store only at the end.
absl::Status AwaitIdle(Hive& hive) {
  RETURN_IF_ERROR(Await(
      [&] {
        const absl::StatusOr<FleetState> fleet = hive.client().Fleet();
        return !fleet.ok() || (fleet->queued == 0 && fleet->used == 0);
      },
      kPatience, "the end of the jobs", 10ms));
  return Await([&] { return hive.client().Unfinished().value_or(0) == 0; }, kPatience,
               "the verdicts of the jobs");
}

}  // namespace

absl::Status MeasureThroughput(Bench& bench) {
  const int jobs = bench.plan().jobs;
  Figure rate{.id = "B1",
              .what = "no-op jobs, 2 drones x 2 slots",
              .unit = "jobs/s",
              .floor = "F1",
              .better = Figure::Better::kHigher,
              .judged = Figure::Judged::kRatio,
              .first_light = 0.20,
              .goal = 0.40};
  Figure queen{.id = "B5",
               .what = "queen CPU per job",
               .unit = "ms",
               .floor = "F1 CPU",
               .first_light = 1.5,
               .goal = 0.3};
  Figure drone{.id = "B5",
               .what = "drone and shim CPU per job, without its own",
               .unit = "ms",
               .floor = "F1 CPU",
               .first_light = 3,
               .goal = 1.2};
  Figure daemon{.id = "B5", .what = "  of that the drone", .unit = "ms", .floor = "F1 CPU"};
  Figure shim{.id = "B5", .what = "  of that the shim", .unit = "ms", .floor = "F1 CPU"};
  ASSIGN_OR_RETURN(std::unique_ptr<Hive> hive, Hive::Start(bench));
  RETURN_IF_ERROR(hive->AddDrones(kDrones, kSlots));
  for (int i = 0; i < bench.plan().repetitions; ++i) {
    ASSIGN_OR_RETURN(const SpawnFloor floor, MeasureSpawn(kSpawns));
    const Cpu before = Used(*hive);
    const Time start = BootClock::now();
    ASSIGN_OR_RETURN(const std::vector<std::uint64_t> ids,
                     hive->client().SubmitMany({"sh", {"-c", "true"}}, jobs));
    RETURN_IF_ERROR(AwaitIdle(*hive));
    const double seconds = Seconds(BootClock::now() - start);
    const Cpu after = Used(*hive);
    RETURN_IF_ERROR(hive->client().ExpectPassed(ids));
    rate.values.push_back(jobs / seconds);
    rate.floor_values.push_back(floor.per_second);
    // The jobs' own processes are what the floor's are: they are taken off.
    const double drones = (after.drones - before.drones) / jobs;
    const double shims = (after.shims - before.shims) / jobs - floor.cpu_seconds;
    queen.values.push_back((after.queen - before.queen) / jobs * 1e3);
    daemon.values.push_back(drones * 1e3);
    shim.values.push_back(shims * 1e3);
    drone.values.push_back((drones + shims) * 1e3);
    for (Figure* figure : {&queen, &drone, &daemon, &shim})
      figure->floor_values.push_back(floor.cpu_seconds * 1e3);
  }
  for (Figure* figure : {&rate, &queen, &drone, &daemon, &shim}) bench.Add(std::move(*figure));
  return absl::OkStatus();
}

}  // namespace waggle::bench
