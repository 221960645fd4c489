// Random walks: whatever people, drones, logs and restarts do in whatever order, what must always hold does.
#include <random>

#include "tests/queen/core/hive_fixture.h"

namespace waggle::queen {
namespace {

class HiveWalk : public HiveTest, public testing::WithParamInterface<unsigned> {
 protected:
  void CheckInvariants() {
    FleetView fleet = Fleet();
    for (const DroneView& view : fleet.drones) {
      if (!view.connected) continue;  // after a restart it may yet say that some of them are finished
      EXPECT_LE(view.used, view.row.capacity) << view.row.name;
      EXPECT_EQ(view.used, view.jobs.size());
    }
    std::uint64_t queued = 0;
    for (const auto& [name, id] : ids_) {
      const JobRow& job = Job(name);
      if (IsTerminal(job.state)) {
        EXPECT_NE(job.times.finished, 0);
        EXPECT_GE(job.times.finished, job.times.queued);
        continue;
      }
      if (!job.attempt) {
        ++queued;
        EXPECT_EQ(job.state, JobState::kQueued) << name;
        continue;
      }
      ASSERT_TRUE(store_.attempts.contains(job.attempt)) << name;
      EXPECT_FALSE(store_.attempts.at(job.attempt).log_closed) << name << " has no verdict";
      EXPECT_LE(job.attempts, 3u);
    }
    EXPECT_EQ(fleet.queued, queued);
    std::map<std::string, std::string> busy;
    for (const auto& [name, id] : ids_) {
      const JobRow& job = Job(name);
      if (job.branch.empty() || IsTerminal(job.state) || !job.attempt) continue;
      std::string run = job.run ? "r" + std::to_string(job.run.value()) : name;
      auto [at, first] = busy.try_emplace(job.branch, run);
      EXPECT_EQ(at->second, run) << "two runs of " << job.branch << " at once";
    }
    for (const auto& [epoch, row] : store_.attempts) {
      bool sealed = row.log_closed || !IsTerminal(row.state) || seals_.contains(epoch);
      EXPECT_TRUE(sealed) << "nobody seals the log of attempt " << epoch.value();
    }
  }

  // The live jobs a connected drone has, as it sees them.
  std::vector<std::string> Live() {
    std::vector<std::string> live;
    for (const auto& [name, id] : ids_) {
      const JobRow& job = Job(name);
      if (!IsTerminal(job.state) && job.attempt && drones_.contains(job.drone_name)) live.push_back(name);
    }
    return live;
  }

  // What its drone says of it: an end is for ever.
  HeldAttempt Says(const std::string& job, HeldState state) {
    auto over = over_.find(Current(job));
    HeldAttempt held = Holds(job, over != over_.end() ? over->second : state);
    if (held.state == HeldState::kFinished || held.state == HeldState::kLost) over_[held.epoch] = held.state;
    return held;
  }
  // Everything this drone has on its disk; sometimes it loses one.
  std::vector<HeldAttempt> HeldBy(const std::string& drone, std::mt19937& random, bool loses) {
    for (const auto& [connection, messages] : sent_) {
      for (const ToDrone& message : messages) {
        if (const auto* fenced = std::get_if<to_drone::Fenced>(&message)) gone_.insert(fenced->epoch);
      }
    }
    std::vector<HeldAttempt> held;
    for (const std::string& name : Live()) {
      if (Job(name).drone_name != drone || gone_.contains(Current(name))) continue;
      if (loses && random() % 5 == 0) {
        gone_.insert(Current(name));
        continue;
      }
      held.push_back(Says(name, static_cast<HeldState>(1 + random() % 6)));
      held.back().last_seq = random() % 4;
    }
    return held;
  }

  static std::string Branch(std::mt19937& random) { return "b" + std::to_string(random() % 3); }

  void RandomStep(std::mt19937& random) {
    std::string drone = "d" + std::to_string(random() % 4);
    std::vector<std::string> live = Live();
    std::string job = live.empty() ? "" : live[random() % live.size()];
    switch (random() % 15) {
      case 0:
      case 1:
        Submit("j" + std::to_string(ids_.size()), {.priority = static_cast<int>(random() % 3),
                                                   .type = random() % 3 ? JobType::kTest : JobType::kDeploy,
                                                   .repo = "r",
                                                   .branch = random() % 3 ? "" : Branch(random)});
        break;
      case 14: {
        std::string name = "j" + std::to_string(ids_.size());
        SubmitRun("r", Branch(random), {name, name + "'"});
        break;
      }
      case 2:
        DroneUp(drone, 3, HeldBy(drone, random, /*loses=*/true));
        break;
      case 3:
        if (drones_.contains(drone)) Disconnect(drone);
        break;
      case 4:
        Advance(std::chrono::seconds(random() % 15));
        break;
      case 5:
        for (const auto& [name, d] : drones_) Heartbeat(name);
        break;
      case 6:
        if (!job.empty()) Accept(job);
        break;
      case 7:
        if (!job.empty()) AsksForGrant(job);
        break;
      case 8:
        if (!job.empty()) Report(job, Says(job, static_cast<HeldState>(1 + random() % 5)));
        break;
      case 9:
        if (!job.empty() && random() % 2 && !over_.contains(Current(job))) {
          gone_.insert(Current(job));
          Reject(job);
        }
        break;
      case 10:
        if (!job.empty() && random() % 2 && !over_.contains(Current(job))) {
          over_[Current(job)] = HeldState::kLost;
          ShimDies(job, random() % 3);
        }
        break;
      case 11:
        if (!job.empty() && random() % 2) random() % 2 ? Passes(job) : Fails(job);
        break;
      case 12:
        if (!ids_.empty() && random() % 3 == 0)
          Cancel(std::next(ids_.begin(), random() % ids_.size())->first);
        break;
      case 13:
        if (random() % 12 == 0) {
          Restart();
        } else {
          SealsComplete();
        }
        break;
    }
  }

  std::map<Epoch, HeldState> over_;
  std::set<Epoch> gone_;  // not on the drone's disk any more
};

TEST_P(HiveWalk, KeepsItsInvariantsAndFinishesEveryJob) {
  std::mt19937 random(GetParam());
  for (int step = 0; step < 1500 && !HasFailure(); ++step) {
    RandomStep(random);
    CheckInvariants();
  }
  // In the end everything that was submitted gets a verdict.
  for (int round = 0; round < 300 && !HasFailure(); ++round) {
    for (int d = 0; d < 4; ++d) {
      std::string drone = "d" + std::to_string(d);
      DroneUp(drone, 3, HeldBy(drone, random, /*loses=*/false));
    }
    for (const std::string& job : Live()) Passes(job);
    SealsComplete();
  }
  for (const auto& [name, id] : ids_) EXPECT_TRUE(IsTerminal(Job(name).state)) << name;
  for (const auto& [epoch, row] : store_.attempts) EXPECT_TRUE(row.log_closed) << epoch.value();
  EXPECT_EQ(hive_->waiting(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, HiveWalk, testing::Range(1u, 13u));

}  // namespace
}  // namespace waggle::queen
