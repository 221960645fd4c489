#include "queen/core/placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace waggle::queen {
namespace {

using testing::HasSubstr;

class PlacementTest : public testing::Test {
 protected:
  void Job(std::uint64_t id, std::int32_t priority = 0, Requirement requirement = {}) {
    placement_.AddJob(JobId(id), priority, requirement);
  }
  void Drone(std::uint64_t id, double speed, std::uint32_t capacity, std::uint32_t used = 0,
             DroneFacts facts = {}) {
    facts.name = "d" + std::to_string(id);
    facts.speed = speed;
    facts.capacity = capacity;
    facts.used = used;
    placement_.SetDrone(DroneId(id), facts);
  }
  // "job→drone" of every assignment that can be made now.
  std::string All() {
    std::string text;
    while (auto next = placement_.Next()) {
      text += std::to_string(next->first.value()) + "→" + std::to_string(next->second.value()) + " ";
    }
    return text;
  }
  static Requirement Needs(std::string label, std::string value) { return {.needs = {{label, value}}}; }
  static DroneFacts Labels(std::map<std::string, std::string> labels) {
    DroneFacts facts;
    facts.labels = std::move(labels);
    return facts;
  }

  Placement placement_;
};

TEST_F(PlacementTest, PriorityThenAge) {
  Job(1, -5);
  Job(2, 0);
  Job(3, 5);
  Job(4, 5);
  Job(5, 0);
  Job(6, std::numeric_limits<std::int32_t>::min());
  Job(7, std::numeric_limits<std::int32_t>::max());
  Drone(1, 1, 10);
  EXPECT_EQ(All(), "7→1 3→1 4→1 2→1 5→1 1→1 6→1 ");
}

TEST_F(PlacementTest, PriorityHoldsAcrossDifferentRequirements) {
  Job(1, 0, Needs("os", "mac"));
  Job(2, 1);
  Job(3, 2, Needs("os", "mac"));
  Drone(1, 1, 10, 0, Labels({{"os", "mac"}}));
  EXPECT_EQ(All(), "3→1 2→1 1→1 ");
}

TEST_F(PlacementTest, FastestOpenDroneFirstUntilItIsFull) {
  Drone(1, 1, 2);
  Drone(2, 10, 2);
  for (int i = 1; i <= 5; ++i) Job(i);
  EXPECT_EQ(All(), "1→2 2→2 3→1 4→1 ");
  EXPECT_EQ(placement_.waiting(), 1u);
  placement_.FreeSlot(DroneId(1));
  EXPECT_EQ(All(), "5→1 ");
}

TEST_F(PlacementTest, OfEquallyFastTheLessLoadedRelativeToCapacity) {
  Drone(1, 1, 4, 2);  // half full
  Drone(2, 1, 2, 0);
  Job(1);
  Job(2);
  EXPECT_EQ(All(), "1→2 2→1 ") << "0/2 before 2/4; then 1/2 and 2/4 tie and 1 was used longer ago";
}

TEST_F(PlacementTest, TiesGoAroundFairly) {
  for (int d = 1; d <= 3; ++d) Drone(d, 1, 1);
  std::map<std::uint64_t, int> count;
  for (int i = 1; i <= 30; ++i) {
    Job(i);
    auto next = placement_.Next();
    ASSERT_TRUE(next);
    ++count[next->second.value()];
    placement_.FreeSlot(next->second);
  }
  EXPECT_EQ(count[1], 10);
  EXPECT_EQ(count[2], 10);
  EXPECT_EQ(count[3], 10);
}

TEST_F(PlacementTest, AllFullStartsSpreadByCapacity) {
  Drone(1, 1, 1);
  Drone(2, 1, 4);
  for (int i = 1; i <= 5; ++i) Job(i);
  All();
  for (int i = 6; i <= 25; ++i) Job(i);
  std::map<std::uint64_t, int> count;
  for (int round = 0; round < 4; ++round) {  // every slot becomes free once per round
    for (int slot = 0; slot < 5; ++slot) {
      placement_.FreeSlot(DroneId(slot == 0 ? 1 : 2));
      auto next = placement_.Next();
      ASSERT_TRUE(next);
      ++count[next->second.value()];
    }
  }
  EXPECT_EQ(count[1], 4);
  EXPECT_EQ(count[2], 16);
}

TEST_F(PlacementTest, LabelsPluginsAndTheSocketDecideWhoIsEligible) {
  DroneFacts linux = Labels({{"os", "linux"}, {"arch", "amd64"}});
  EXPECT_TRUE(Eligible(linux, {}));
  EXPECT_TRUE(Eligible(linux, Needs("os", "linux")));
  EXPECT_FALSE(Eligible(linux, Needs("os", "mac")));
  EXPECT_FALSE(Eligible(linux, Needs("gpu", "")));
  EXPECT_FALSE(Eligible(linux, {.plugins = {"npm"}}));
  linux.plugins["npm"] = "1.2";
  EXPECT_TRUE(Eligible(linux, {.plugins = {"npm"}}));
  EXPECT_FALSE(Eligible(linux, {.plugins = {"npm", "rake"}}));
  EXPECT_TRUE(Eligible(linux, {.plugins = {"npm@1"}}));
  EXPECT_TRUE(Eligible(linux, {.plugins = {"npm@1.2"}}));
  EXPECT_FALSE(Eligible(linux, {.plugins = {"npm@2"}}));
  EXPECT_FALSE(Eligible(linux, {.plugins = {"npm@12"}}));
  EXPECT_FALSE(Eligible(linux, {.local_only = true}));
  linux.local = true;
  EXPECT_TRUE(Eligible(linux, {.needs = {{"os", "linux"}}, .plugins = {"npm"}, .local_only = true}));
}

TEST_F(PlacementTest, ABlockedJobDoesNotHoldUpTheOnesBehindIt) {
  Job(1, 100, Needs("os", "mac"));
  Job(2);
  Drone(1, 1, 1, 0, Labels({{"os", "linux"}}));
  EXPECT_EQ(All(), "2→1 ");
  Drone(2, 1, 1, 0, Labels({{"os", "mac"}}));
  EXPECT_EQ(All(), "1→2 ");
}

TEST_F(PlacementTest, ReplacingFactsMovesADroneBetweenQueues) {
  Job(1, 0, Needs("os", "mac"));
  Drone(1, 1, 1, 0, Labels({{"os", "linux"}}));
  EXPECT_EQ(All(), "");
  Drone(1, 1, 1, 0, Labels({{"os", "mac"}}));
  EXPECT_EQ(All(), "1→1 ");
}

TEST_F(PlacementTest, CapacityZeroTakesNothing) {
  Drone(1, 1, 0);
  Job(1);
  EXPECT_EQ(All(), "");
  Drone(1, 1, 1);
  EXPECT_EQ(All(), "1→1 ");
}

TEST_F(PlacementTest, CapacityMayGrowAndShrinkUnderWork) {
  Drone(1, 1, 1);
  for (int i = 1; i <= 6; ++i) Job(i);
  EXPECT_EQ(All(), "1→1 ");
  Drone(1, 1, 3, 1);
  EXPECT_EQ(All(), "2→1 3→1 ");
  Drone(1, 1, 1, 3);  // smaller than what it runs
  placement_.FreeSlot(DroneId(1));
  placement_.FreeSlot(DroneId(1));
  EXPECT_EQ(All(), "") << "one of one is still in use";
  placement_.FreeSlot(DroneId(1));
  EXPECT_EQ(All(), "4→1 ");
}

TEST_F(PlacementTest, ARemovedDroneGetsNothing) {
  Drone(1, 1, 5);
  placement_.RemoveDrone(DroneId(1));
  placement_.RemoveDrone(DroneId(1));
  placement_.FreeSlot(DroneId(1));
  placement_.UseSlot(DroneId(1));
  Job(1);
  EXPECT_EQ(All(), "");
}

TEST_F(PlacementTest, FreeSlotOfAnIdleDroneIsHarmless) {
  Drone(1, 1, 1);
  placement_.FreeSlot(DroneId(1));
  Job(1);
  Job(2);
  EXPECT_EQ(All(), "1→1 ");
}

TEST_F(PlacementTest, ARemovedJobIsNotPlaced) {
  Job(1);
  Job(2);
  placement_.RemoveJob(JobId(1));
  placement_.RemoveJob(JobId(1));
  placement_.RemoveJob(JobId(77));
  EXPECT_EQ(placement_.waiting(), 1u);
  Drone(1, 1, 2);
  EXPECT_EQ(All(), "2→1 ");
}

TEST_F(PlacementTest, WhyWaitingNamesWhatIsMissing) {
  Job(1, 0, Needs("os", "mac"));
  Job(2, 0, {.plugins = {"npm"}});
  Job(3, 0, {.local_only = true});
  Job(4);
  EXPECT_THAT(placement_.WhyWaiting(JobId(1)), HasSubstr("no drone is connected"));
  Drone(1, 1, 2, 2);
  EXPECT_THAT(placement_.WhyWaiting(JobId(1)), HasSubstr("no drone has label os=mac"));
  EXPECT_THAT(placement_.WhyWaiting(JobId(2)), HasSubstr("plugin npm"));
  EXPECT_THAT(placement_.WhyWaiting(JobId(3)), HasSubstr("own socket"));
  EXPECT_THAT(placement_.WhyWaiting(JobId(4)),
              HasSubstr("all 2 slots of 1 matching drone are in use; 4 jobs wait"));
  Drone(1, 1, 0, 0);
  EXPECT_THAT(placement_.WhyWaiting(JobId(4)), HasSubstr("capacity 0"));
  EXPECT_EQ(placement_.WhyWaiting(JobId(99)), "");
}

// More distinct requirements than queues are kept when empty.
TEST_F(PlacementTest, ManyQueuesComeAndGo) {
  for (int round = 0; round < 3; ++round) {
    std::uint64_t base = 1000 * round;
    for (std::uint64_t i = 1; i <= 200; ++i) Job(base + i, 0, Needs("n", std::to_string(i)));
    for (std::uint64_t i = 1; i <= 200; ++i) Drone(i, 1, 1, 0, Labels({{"n", std::to_string(i)}}));
    int placed = 0;
    while (auto next = placement_.Next()) {
      EXPECT_EQ(next->first.value(), base + next->second.value());
      ++placed;
    }
    EXPECT_EQ(placed, 200);
    EXPECT_EQ(placement_.waiting(), 0u);
  }
}

// A plain model that looks at everything each time must always agree on which job goes next and how fast its
// drone is.
TEST_F(PlacementTest, AgreesWithAPlainModelOnRandomWalks) {
  struct ModelDrone {
    double speed;
    std::uint32_t capacity, used;
    int os;
  };
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    placement_ = Placement();
    std::map<std::uint64_t, std::pair<int, int>> jobs;  // id → priority, os (-1 any)
    std::map<std::uint64_t, ModelDrone> drones;
    std::uint64_t next_job = 0;
    auto set = [&](std::uint64_t id) {
      const ModelDrone& d = drones[id];
      Drone(id, d.speed, d.capacity, d.used, Labels({{"os", std::to_string(d.os)}}));
    };
    for (int step = 0; step < 600; ++step) {
      std::uint64_t id = 1 + random() % 6;
      switch (random() % 6) {
        case 0:
        case 1: {
          int os = static_cast<int>(random() % 4) - 1, priority = static_cast<int>(random() % 3) - 1;
          jobs[++next_job] = {priority, os};
          Job(next_job, priority, os < 0 ? Requirement{} : Needs("os", std::to_string(os)));
          break;
        }
        case 2:
          drones[id] = {static_cast<double>(random() % 3), static_cast<std::uint32_t>(random() % 4),
                        static_cast<std::uint32_t>(random() % 3), static_cast<int>(random() % 3)};
          set(id);
          break;
        case 3:
          drones.erase(id);
          placement_.RemoveDrone(DroneId(id));
          break;
        case 4:
          if (drones.contains(id) && drones[id].used > 0) --drones[id].used;
          placement_.FreeSlot(DroneId(id));
          break;
        case 5:
          if (!jobs.empty()) {
            std::uint64_t gone = std::next(jobs.begin(), random() % jobs.size())->first;
            jobs.erase(gone);
            placement_.RemoveJob(JobId(gone));
          }
          break;
      }
      auto fits = [](const ModelDrone& d, int os) { return d.used < d.capacity && (os < 0 || os == d.os); };
      std::optional<std::uint64_t> best;
      double speed = -1;
      for (const auto& [job, want] : jobs) {
        double fastest = -1;
        for (const auto& [d, drone] : drones) {
          if (fits(drone, want.second)) fastest = std::max(fastest, drone.speed);
        }
        if (fastest >= 0 && (!best || want.first > jobs[*best].first)) {
          best = job;
          speed = fastest;
        }
      }
      if (random() % 3 == 0) continue;
      auto next = placement_.Next();
      ASSERT_EQ(next.has_value(), best.has_value()) << "seed " << seed << " step " << step;
      if (!next) continue;
      ASSERT_EQ(next->first.value(), *best) << "seed " << seed << " step " << step;
      ModelDrone& taken = drones.at(next->second.value());
      ASSERT_TRUE(fits(taken, jobs[*best].second));
      ASSERT_EQ(taken.speed, speed);
      ++taken.used;
      jobs.erase(*best);
      ASSERT_EQ(placement_.waiting(), jobs.size());
    }
  }
}

}  // namespace
}  // namespace waggle::queen
