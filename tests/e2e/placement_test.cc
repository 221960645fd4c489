// Which drone runs what, and why a job waits.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "tests/support/hive_fixture.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;

class Placement : public HiveFixture {
 protected:
  void SetUp() override { StartQueen(); }

  // Says where it runs, then waits for its own gate.
  Json Waiting(const Json& more = Json::object()) {
    Json job =
        TestJob({"echo on $WAGGLE_DRONE; until [ -e " + Gate("$WAGGLE_JOB") + " ]; do sleep 0.02; done"});
    job.update(more);
    return job;
  }

  std::string Detail(std::uint64_t job) { return Show(job)["detail"]; }
};

TEST_F(Placement, WithoutADroneItSaysSoAndRunsWhenOneComes) {
  const std::uint64_t job = Submit(TestJob({"echo ran"}));
  EXPECT_EQ(StateOf(job), "queued");
  EXPECT_EQ(Detail(job), "no drone is connected; next: start one with `drone serve`");
  EXPECT_THAT(Waggle({"jobs"}).out, HasSubstr("no drone is connected"));
  EXPECT_THAT(Waggle({"drones"}).out, HasSubstr("0 drones"));
  StartDrone("bee");
  WaitForState(job, "passed");
  EXPECT_EQ(Raw(job), "ran\n");
}

TEST_F(Placement, FasterDroneFirstAndNeverMoreThanCapacity) {
  StartDrone("slow", 2, {"--speed", "1"});
  StartDrone("fast", 1, {"--speed", "4"});
  // Each job counts the jobs on its drone, itself included, while it runs.
  const std::string dir = temp_ / "running";
  std::filesystem::create_directories(dir);
  Json job = TestJob({"mkdir " + dir + "/$WAGGLE_DRONE.$WAGGLE_JOB; ls " + dir +
                      " | grep -c \"^$WAGGLE_DRONE\\.\" || true; sleep 0.4; rmdir " + dir +
                      "/$WAGGLE_DRONE.$WAGGLE_JOB"});
  std::vector<std::uint64_t> jobs;
  for (int i = 0; i < 6; ++i) jobs.push_back(Submit(job));
  std::set<std::string> used;
  for (std::uint64_t id : jobs) {
    const Json facts = WaitForState(id, "passed");
    const std::string drone = facts["drone"];
    used.insert(drone);
    EXPECT_LE(std::stoi(Raw(id)), drone == "fast" ? 1 : 2) << "job " << id << " on " << drone;
    EXPECT_EQ(facts["attempts"].size(), 1u);
  }
  EXPECT_EQ(Show(jobs[0])["drone"], "fast");
  EXPECT_EQ(used, (std::set<std::string>{"fast", "slow"}));
}

TEST_F(Placement, FullHiveSaysHowManyWaitAndAFreedSlotIsUsed) {
  StartDrone("slow", 2, {"--speed", "1"});
  StartDrone("fast", 1, {"--speed", "4"});
  std::vector<std::uint64_t> jobs;
  for (int i = 0; i < 6; ++i) jobs.push_back(Submit(Waiting()));
  for (int i = 0; i < 3; ++i) WaitForState(jobs[i], "started");
  for (int i = 3; i < 6; ++i) {
    EXPECT_EQ(StateOf(jobs[i]), "queued");
    EXPECT_EQ(Detail(jobs[i]), "all 3 slots of 2 matching drones are in use; 3 jobs wait");
  }
  EXPECT_EQ(Show(jobs[0])["drone"], "fast");
  EXPECT_EQ(Show(jobs[1])["drone"], "slow");
  EXPECT_EQ(Show(jobs[2])["drone"], "slow");
  const Json drones = Drones();
  ASSERT_EQ(drones.size(), 2u);
  EXPECT_EQ(drones[0]["name"], "fast");
  EXPECT_EQ(drones[0]["state"], "busy");
  EXPECT_EQ(drones[0]["used"], 1);
  EXPECT_EQ(drones[1]["used"], 2);
  EXPECT_EQ(drones[1]["jobs"].size(), 2u);

  Open(std::to_string(jobs[1]));
  WaitForState(jobs[1], "passed");
  EXPECT_EQ(WaitForState(jobs[3], "started")["drone"], "slow");  // the oldest that waits
  EXPECT_EQ(StateOf(jobs[4]), "queued");
  for (std::uint64_t id : jobs) Open(std::to_string(id));
  for (std::uint64_t id : jobs) WaitForState(id, "passed");
}

TEST_F(Placement, PriorityGoesBeforeAge) {
  StartDrone("bee");
  const std::uint64_t first = Submit(Waiting());
  WaitForState(first, "started");
  const std::uint64_t old = Submit(Waiting()), urgent = Submit(Waiting({{"priority", 5}}));
  Open(std::to_string(first));
  WaitForState(urgent, "started");
  EXPECT_EQ(StateOf(old), "queued");
  Open(std::to_string(urgent));
  WaitForState(old, "started");
  Open(std::to_string(old));
  WaitForState(old, "passed");
}

TEST_F(Placement, NeededLabelIsWaitedForAndNamed) {
  StartDrone("plain", 1, {"--label", "gpu=none"});
  const std::uint64_t job = Submit(Waiting({{"needs", {{"gpu", "large"}}}}));
  const std::uint64_t other = Submit(TestJob({"true"}));
  WaitForState(other, "passed");  // it holds up nobody
  EXPECT_EQ(StateOf(job), "queued");
  EXPECT_THAT(Detail(job), HasSubstr("no drone has label gpu=large (1 connected"));
  StartDrone("big", 1, {"--label", "gpu=large"});
  EXPECT_EQ(WaitForState(job, "started")["drone"], "big");
  Open(std::to_string(job));
  WaitForState(job, "passed");
  EXPECT_EQ(Raw(job), "on big\n");
}

TEST_F(Placement, DetectedLabelsMatch) {
  StartDrone("bee");
  const Json drones = Drones();
  const std::string arch = drones[0]["labels"]["arch"];
  WaitForState(Submit({{"needs", {{"os", "linux"}, {"arch", arch}}}, {"test", {Step("true")}}}), "passed");
  EXPECT_EQ(StateOf(Submit({{"needs", {{"os", "plan9"}}}, {"test", {Step("true")}}})), "queued");
}

TEST_F(Placement, DroneThatDrainsTakesNothingNewAndLeavesWhenItIsDone) {
  Child& drone = StartDrone("bee", 2);
  const std::uint64_t running = Submit(Waiting());
  WaitForState(running, "started");
  drone.Signal(SIGINT);
  ASSERT_TRUE(Eventually([&] {
    const Json drones = Drones();
    return drones[0]["state"] == "draining";
  }));
  const std::uint64_t late = Submit(TestJob({"true"}));
  EXPECT_EQ(StateOf(late), "queued");
  Open(std::to_string(running));
  WaitForState(running, "passed");
  EXPECT_EQ(drone.Wait(10s), 0);
  EXPECT_EQ(StateOf(late), "queued");
  StartDrone("bee", 2);
  WaitForState(late, "passed");
}

}  // namespace
}  // namespace waggle::test
