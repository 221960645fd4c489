#include "tests/sim/plan.h"

#include <algorithm>

namespace waggle::sim {
namespace {

StepPlan MakeStep(Random& random) {
  StepPlan step;
  step.duration = random.Skewed(5 * kMilli, 40 * kSecond);
  step.chunks = static_cast<std::uint32_t>(random.Below(6));
  step.chunk_bytes = static_cast<std::uint32_t>(random.Skewed(1, random.OneIn(12) ? 40'000 : 600));
  if (random.OneIn(9)) step.code = static_cast<std::int32_t>(random.Between(1, 255));
  return step;
}

JobPlan MakeJob(Random& random, bool any_gpu) {
  JobPlan job;
  const std::uint64_t type = random.Below(6);
  job.type = type < 3 ? JobType::kTest : type < 5 ? JobType::kDeploy : JobType::kTestAndDeploy;
  for (std::size_t phase = 0; phase < kPhaseCount; ++phase) {
    const bool main = phase == 2 || phase == 3;
    for (std::uint64_t n = main ? 1 + random.Below(2) : random.OneIn(4); n > 0; --n) {
      job.phases[phase].push_back(MakeStep(random));
    }
  }
  if (random.OneIn(3)) job.repository = static_cast<int>(random.Between(1, 3));
  job.priority = static_cast<std::int32_t>(random.Below(3));
  job.labelled = any_gpu && random.OneIn(5);
  if (random.OneIn(4)) {
    job.cancel_after = random.Skewed(kMilli / 4, kMinute);
    job.cancel_now = random.OneIn(3);
    auto& steps = job.phases[job.type == JobType::kDeploy ? 3 : 2];
    // Nobody can cancel a deploy any more whose verdict is unknown: it has to end by itself.
    const bool long_one = random.OneIn(2);
    if (long_one && job.type == JobType::kDeploy) steps.back().duration = 10 * kMinute;
    steps.back().endless = long_one && job.type != JobType::kDeploy;
  }
  job.watched = random.OneIn(4);
  if (random.OneIn(4)) job.repeated_after = random.Skewed(kMicro, kMinute);
  return job;
}

// The last job becomes the first of a run.
void MakeRun(Random& random, bool any_gpu, std::uint32_t number, Plan& plan) {
  JobPlan& first = plan.jobs.back();
  first.run = number;
  first.cancel_previous = random.OneIn(4);
  if (random.OneIn(6)) first.run_canceled_after = random.Skewed(kMilli, kMinute);
  const JobPlan like = first;
  const std::uint64_t count = 1 + random.Below(5);
  for (std::uint64_t n = 0; n < count; ++n) {
    if (n > 0) {
      plan.jobs.push_back(MakeJob(random, any_gpu));
      plan.jobs.back().run = number;
      plan.jobs.back().repository = like.repository;
      plan.jobs.back().submit_at = like.submit_at;
    }
    JobPlan& job = plan.jobs.back();
    if (n > 0 && random.OneIn(2)) job.after = static_cast<std::uint32_t>(random.Below(1u << n));
    job.runs_after = random.OneIn(2) ? RunsAfter::kPassed : static_cast<RunsAfter>(1 + random.Below(3));
    job.allow_failure = random.OneIn(5);
    job.not_wanted = random.OneIn(10);
    job.retry_failed = random.OneIn(4) ? 2 : 0;
    if (random.OneIn(4)) job.retried_after = random.Skewed(kSecond, 2 * kMinute);
  }
}

void MakeJobs(Random& random, Plan& plan) {
  const bool any_gpu = std::find(plan.gpu.begin(), plan.gpu.end(), true) != plan.gpu.end();
  std::uint64_t all_slots = 0;
  for (std::uint32_t slots : plan.slots) all_slots += slots;
  const std::uint64_t most = std::min<std::uint64_t>(60, 4 + 4 * all_slots);
  const std::uint64_t count = 1 + random.Below(random.OneIn(3) ? most : std::min<std::uint64_t>(most, 16));
  std::uint32_t runs = 0;
  while (plan.jobs.size() < count) {
    JobPlan job = MakeJob(random, any_gpu);
    job.submit_at = random.Between(0, plan.chaos_end * 7 / 10);
    plan.jobs.push_back(job);
    if (random.OneIn(7)) MakeRun(random, any_gpu, ++runs, plan);
  }
}

// A seed has only some kinds of fault, so that one of them cannot hide the others.
void MakeFaults(Random& random, Plan& plan) {
  std::vector<FaultKind> kinds;
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
    if (random.OneIn(3)) kinds.push_back(static_cast<FaultKind>(kind));
  }
  if (kinds.empty()) kinds.push_back(static_cast<FaultKind>(random.Below(kFaultKinds)));
  const std::uint64_t count = random.Below(random.OneIn(3) ? 40 : 14);
  for (std::uint64_t n = 0; n < count; ++n) {
    Fault fault;
    fault.kind = kinds[random.Below(kinds.size())];
    fault.at = random.Between(0, plan.chaos_end);
    fault.length = random.Skewed(20 * kMilli, random.OneIn(4) ? 3 * kMinute : kMinute);
    fault.drone = random.Below(plan.slots.size());
    fault.chance = random.Next();
    plan.faults.push_back(fault);
  }
  std::stable_sort(plan.faults.begin(), plan.faults.end(),
                   [](const Fault& a, const Fault& b) { return a.at < b.at; });
}

}  // namespace

const char* Name(FaultKind kind) {
  static constexpr const char* kNames[] = {
#define X(name) #name,
      WAGGLE_SIM_FAULTS(X)
#undef X
  };
  return kNames[static_cast<std::size_t>(kind)];
}

Plan MakePlan(std::uint64_t seed) {
  Random random(seed, "plan");
  Plan plan;
  plan.seed = seed;
  const std::uint64_t drones = 1 + random.Below(random.OneIn(4) ? 8 : 3);
  plan.clock_ppm.push_back(static_cast<int>(random.Between(-10'000, 10'000)));
  for (std::uint64_t n = 0; n < drones; ++n) {
    plan.slots.push_back(static_cast<std::uint32_t>(random.Between(1, random.OneIn(2) ? 4 : 2)));
    plan.gpu.push_back(random.OneIn(3));
    plan.remote.push_back(random.OneIn(2));
    plan.clock_ppm.push_back(static_cast<int>(random.Between(-10'000, 10'000)));
  }
  plan.latency = random.Skewed(20 * kMicro, 50 * kMilli);
  plan.chaos_end = random.Between(20 * kSecond, random.OneIn(3) ? 5 * kMinute : 2 * kMinute);
  MakeJobs(random, plan);
  JobPlan probe;
  probe.phases[2].push_back(StepPlan{.duration = kMilli, .endless = true});
  plan.jobs.push_back(probe);
  MakeFaults(random, plan);
  plan.job_kept.assign(plan.jobs.size(), true);
  plan.fault_kept.assign(plan.faults.size(), true);
  return plan;
}

}  // namespace waggle::sim
