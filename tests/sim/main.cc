// waggle_sim: runs seeds of the simulated hive. See README.md.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/sim/search.h"
#include "tests/sim/simulation.h"

namespace waggle::sim {
namespace {

constexpr const char* kUsage =
    "usage: waggle_sim [--first SEED] [--count N] [--workers N] [--find BUG]\n"
    "       waggle_sim --seed SEED [--faults LIST] [--jobs LIST] [--steps N] [--lines N]\n"
    "  --count   seeds from --first on (1); 1 % run twice; exits 1 when one fails or, of 5,000 or more, "
    "none took a rare path\n"
    "  --find    the other way round: the binary has this bug planted; exits 0 when a seed finds it\n"
    "  --seed    one seed with its trace; --faults and --jobs keep only those numbers of its plan\n";
constexpr std::size_t kTraceLines = 40;
constexpr std::uint64_t kManySeeds = 5'000;  // among fewer a rare path may be missing
constexpr int kShrinkSeconds = 20;

struct Options {
  std::uint64_t first = 1, count = 100, workers = 2, steps = ~std::uint64_t{0}, lines = kTraceLines;
  std::string seed, faults, jobs, find;
  bool some_faults = false, some_jobs = false;
};

bool Parse(int argc, char** argv, Options* options) {
  for (int n = 1; n + 1 < argc; n += 2) {
    const std::string name = argv[n], value = argv[n + 1];
    auto number = [&](std::uint64_t* to) { return absl::SimpleAtoi(value, to); };
    bool known = true;
    if (name == "--first") {
      known = number(&options->first);
    } else if (name == "--count") {
      known = number(&options->count);
    } else if (name == "--workers") {
      known = number(&options->workers) && options->workers > 0 && options->workers <= 64;
    } else if (name == "--steps") {
      known = number(&options->steps);
    } else if (name == "--lines") {
      known = number(&options->lines);
    } else if (name == "--seed") {
      options->seed = value;
    } else if (name == "--find") {
      options->find = value;
    } else if (name == "--faults") {
      options->faults = value;
      options->some_faults = true;
    } else if (name == "--jobs") {
      options->jobs = value;
      options->some_jobs = true;
    } else {
      known = false;
    }
    if (!known) return false;
  }
  return argc % 2 == 1;
}

void PrintTrace(const Plan& plan, std::uint64_t steps, std::size_t lines) {
  const Result result = Simulation(plan, /*tracing=*/true).Run(steps);
  const std::size_t skipped = result.trace.size() > lines ? result.trace.size() - lines : 0;
  if (skipped > 0) std::cout << "  … " << skipped << " lines before\n";
  for (std::size_t n = skipped; n < result.trace.size(); ++n) std::cout << "  " << result.trace[n] << "\n";
  std::cout << "  " << (result.ok ? "ok" : absl::StrCat("FAILED ", result.invariant, ": ", result.text))
            << ", " << result.steps << " steps, " << result.virtual_time / kSecond
            << " s of virtual time, hash " << result.hash << "\n";
}

int Replay(const Options& options) {
  std::uint64_t seed = 0;
  if (!absl::SimpleAtoi(options.seed, &seed)) return std::cerr << kUsage, 2;
  Plan plan = MakePlan(seed);
  if ((options.some_faults && !ParseKept(options.faults, &plan.fault_kept)) ||
      (options.some_jobs && !ParseKept(options.jobs, &plan.job_kept))) {
    return std::cerr << "waggle_sim: seed " << seed << " has " << plan.faults.size() << " faults and "
                     << plan.jobs.size() - 1 << " jobs\n",
           2;
  }
  for (std::size_t n = 0; n < plan.faults.size(); ++n) {
    if (!plan.fault_kept[n]) continue;
    std::cout << "fault " << n << ": " << Name(plan.faults[n].kind) << " d" << plan.faults[n].drone << " at "
              << plan.faults[n].at / kMilli << " ms for " << plan.faults[n].length / kMilli << " ms\n";
  }
  PrintTrace(plan, options.steps, options.lines);
  return Simulation(plan, /*tracing=*/false).Run(options.steps).ok ? 0 : 1;
}

void PrintSummary(const Totals& totals) {
  std::uint64_t faults = 0;
  for (std::uint64_t count : totals.faults) faults += count;
  std::cout << "simulation: " << totals.seeds << " seeds, " << totals.twice << " of them twice, "
            << totals.steps << " events, " << totals.virtual_time / kMinute / 60 << " h of virtual time, "
            << faults << " faults\n";
  std::cout << "faults:";
  for (std::size_t n = 0; n < kFaultKinds; ++n) {
    std::cout << " " << Name(static_cast<FaultKind>(n)) << "=" << totals.faults[n];
  }
  std::cout << "\nrare paths:";
  for (std::size_t n = 0; n < kRarePaths; ++n) {
    std::cout << " " << Name(static_cast<Rare>(n)) << "=" << totals.rare[n];
  }
  std::cout << "\n";
}

int ReportFailure(const Totals& totals) {
  const std::uint64_t seed = *totals.failed;
  std::cout << "FAILED seed " << seed << ", invariant " << totals.invariant << ": " << totals.text << "\n";
  std::cout << "replay: waggle_sim --seed " << seed << "\n" << std::flush;
  if (totals.invariant == "D1") return 1;
  const Plan shorter = Shrink(seed, totals.invariant, kShrinkSeconds);
  std::cout << "shorter: waggle_sim --seed " << seed << " --faults '" << KeptText(shorter.fault_kept)
            << "' --jobs '" << KeptText(shorter.job_kept) << "'\n";
  PrintTrace(shorter, ~std::uint64_t{0}, kTraceLines);
  return 1;
}

int Main(int argc, char** argv) {
  Options options;
  if (!Parse(argc, argv, &options)) return std::cerr << kUsage, 2;
  if (!options.seed.empty()) return Replay(options);
  const Totals totals = RunSeeds(options.first, options.count, static_cast<unsigned>(options.workers));
  if (!options.find.empty()) {
    if (totals.failed) {
      std::cout << "planted " << options.find << ": found by " << totals.invariant << " after "
                << totals.seeds << " seeds (seed " << *totals.failed << ": " << totals.text << ")\n";
      return 0;
    }
    std::cout << "planted " << options.find << ": SURVIVED " << totals.seeds << " seeds\n";
    return 1;
  }
  PrintSummary(totals);
  if (totals.failed) return ReportFailure(totals);
  if (options.count < kManySeeds) return 0;
  int missing = 0;
  for (std::size_t n = 0; n < kRarePaths; ++n) {
    if (totals.rare[n] > 0) continue;
    std::cout << "FAILED: no seed took the rare path " << Name(static_cast<Rare>(n)) << "\n";
    ++missing;
  }
  return missing > 0 ? 1 : 0;
}

}  // namespace
}  // namespace waggle::sim

int main(int argc, char** argv) {
  return waggle::sim::Main(argc, argv);
}
