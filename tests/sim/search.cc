#include "tests/sim/search.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/sim/simulation.h"

namespace waggle::sim {
namespace {

constexpr std::uint64_t kTwiceEvery = 100;

void Add(const Result& result, Totals* totals) {
  ++totals->seeds;
  totals->steps += result.steps;
  totals->virtual_time += result.virtual_time;
  for (std::size_t n = 0; n < kFaultKinds; ++n) totals->faults[n] += result.faults[n];
  for (std::size_t n = 0; n < kRarePaths; ++n) totals->rare[n] += result.rare[n];
}

}  // namespace

Totals RunSeeds(std::uint64_t first, std::uint64_t count, unsigned workers) {
  Totals totals;
  std::mutex mutex;
  std::atomic<std::uint64_t> next{first};
  std::atomic<bool> stop{false};
  auto work = [&] {
    for (;;) {
      const std::uint64_t seed = next++;
      if (seed >= first + count || stop) return;
      const Plan plan = MakePlan(seed);
      Result result = Simulation(plan, /*tracing=*/false).Run();
      const bool again = seed % kTwiceEvery == 0;
      if (again && result.ok && Simulation(plan, /*tracing=*/true).Run().hash != result.hash) {
        result.ok = false;
        result.invariant = "D1";
        result.text = "the same seed took another course the second time";
      }
      std::lock_guard<std::mutex> lock(mutex);
      Add(result, &totals);
      totals.twice += again;
      if (result.ok || (totals.failed && *totals.failed < seed)) continue;
      totals.failed = seed;
      totals.invariant = result.invariant;
      totals.text = result.text;
      stop = true;
    }
  };
  std::vector<std::thread> threads;
  for (unsigned n = 1; n < workers; ++n) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  return totals;
}

Plan Shrink(std::uint64_t seed, const std::string& invariant, int seconds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  Plan best = MakePlan(seed);
  auto fails = [&](const Plan& plan) {
    const Result result = Simulation(plan, /*tracing=*/false).Run();
    return !result.ok && result.invariant == invariant;
  };
  // Ever smaller pieces of what is left: half of it, a quarter, down to one by one.
  auto shrink = [&](std::vector<bool> Plan::*list, std::size_t fixed) {
    const std::size_t size = (best.*list).size() - fixed;
    for (std::size_t piece = std::max<std::size_t>(1, size / 2);; piece /= 2) {
      for (std::size_t at = 0; at < size && std::chrono::steady_clock::now() < deadline; at += piece) {
        Plan less = best;
        bool any = false;
        for (std::size_t n = at; n < std::min(size, at + piece); ++n) {
          any = any || (less.*list)[n];
          (less.*list)[n] = false;
        }
        if (any && fails(less)) best = std::move(less);
      }
      if (piece <= 1) return;
    }
  };
  for (int round = 0; round < 2; ++round) {
    shrink(&Plan::fault_kept, 0);
    shrink(&Plan::job_kept, 1);
  }
  return best;
}

std::string KeptText(const std::vector<bool>& kept) {
  std::string text;
  for (std::size_t n = 0; n < kept.size(); ++n) {
    if (kept[n]) absl::StrAppend(&text, text.empty() ? "" : ",", n);
  }
  return text;
}

bool ParseKept(const std::string& text, std::vector<bool>* kept) {
  kept->assign(kept->size(), false);
  for (absl::string_view word : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    std::size_t index = 0;
    if (!absl::SimpleAtoi(word, &index) || index >= kept->size()) return false;
    (*kept)[index] = true;
  }
  return true;
}

}  // namespace waggle::sim
