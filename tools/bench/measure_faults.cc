// B13: how soon a drone's death is known, drones are back after a restart of the queen, and a canceled job's
// processes are gone.
#include <chrono>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "tools/bench/hive.h"

namespace waggle::bench {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = 60s;
constexpr int kCancels = 20;  // of each kind in each repetition
constexpr int kSlots = 2;

absl::StatusOr<double> KillDrone(Hive& hive) {
  const Time start = BootClock::now();
  hive.drone(0).Kill();
  RETURN_IF_ERROR(
      Await([&] { return hive.Connected().value_or(1) == 0; }, kPatience, "the loss of the drone", 1ms));
  const double seconds = Seconds(BootClock::now() - start);
  RETURN_IF_ERROR(hive.RestartDrone(0));
  return seconds;
}

// From the start of the new queen.
absl::StatusOr<double> RestartQueen(Hive& hive, int drones) {
  hive.KillQueen();
  const Time start = BootClock::now();
  RETURN_IF_ERROR(hive.StartQueen());
  RETURN_IF_ERROR(
      Await([&] { return hive.Connected().value_or(0) >= drones; }, kPatience, "the return of the drones"));
  return Seconds(BootClock::now() - start);
}

// From the request to the end of the last of the job's processes. A stubborn job ends by KILL alone and is
// canceled with `now`, so no grace is in either figure.
absl::StatusOr<double> CancelOne(const Bench& bench, Hive& hive, bool stubborn) {
  static int number = 0;
  const std::string token = absl::StrCat("token-", ++number, "-", bench.scratch());
  JobText job{bench.Binary("waggle-bench-emit"), {"hold", token}};
  if (stubborn) job.args.push_back("stubborn");
  ASSIGN_OR_RETURN(const std::uint64_t id, hive.client().Submit(job));
  RETURN_IF_ERROR(hive.client().Watch(id, [](std::string_view, std::uint64_t) { return false; }).status());
  const Time start = BootClock::now();
  RETURN_IF_ERROR(hive.client().Cancel(id, stubborn));
  RETURN_IF_ERROR(
      Await([&] { return ProcessesWith(token).empty(); }, kPatience, "the end of a canceled job", 1ms));
  const double seconds = Seconds(BootClock::now() - start);
  RETURN_IF_ERROR(
      Await([&] { return hive.client().Unfinished().value_or(0) == 0; }, kPatience, "the verdict"));
  return seconds;
}

Figure Fault(const char* what, double first_light, double goal) {
  Figure figure;
  figure.id = "B13";
  figure.what = what;
  figure.unit = "s";
  figure.first_light = first_light;
  figure.goal = goal;
  return figure;
}

}  // namespace

absl::Status MeasureFaults(Bench& bench) {
  const int fleet = bench.plan().fleet;
  Figure killed = Fault("drone killed: the queen knows", 1, 0.2);
  Figure resumed = Fault("queen restarted: drones resumed", 5, 1.5);
  Figure obedient = Fault("cancel: no process left, p99", 1, 0.2);
  Figure stubborn = Fault("cancel --now of what ignores signals: no process left, p99", 1, 0.2);
  resumed.what = absl::StrCat("queen restarted: ", fleet, " drones resumed");
  ASSIGN_OR_RETURN(std::unique_ptr<Hive> one, Hive::Start(bench));
  RETURN_IF_ERROR(one->AddDrones(1, kSlots));
  ASSIGN_OR_RETURN(std::unique_ptr<Hive> many, Hive::Start(bench));
  RETURN_IF_ERROR(many->AddDrones(fleet, 1));
  for (int i = 0; i < bench.plan().repetitions; ++i) {
    ASSIGN_OR_RETURN(killed.values.emplace_back(), KillDrone(*one));
    ASSIGN_OR_RETURN(resumed.values.emplace_back(), RestartQueen(*many, fleet));
    for (Figure* figure : {&obedient, &stubborn}) {
      std::vector<double> took;
      for (int n = 0; n < kCancels; ++n) {
        ASSIGN_OR_RETURN(took.emplace_back(), CancelOne(bench, *one, figure == &stubborn));
      }
      figure->values.push_back(Percentile(took, 99));
    }
  }
  for (Figure* figure : {&killed, &resumed, &obedient, &stubborn}) bench.Add(std::move(*figure));
  return absl::OkStatus();
}

}  // namespace waggle::bench
