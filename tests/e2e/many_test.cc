// Many jobs at once: each runs once, none is lost.
#include <gmock/gmock.h>

#include <set>

#include "tests/support/hive_fixture.h"

namespace waggle::test {
namespace {

constexpr int kJobs = 200;
constexpr int kPerRun = 50;
constexpr int kKills = 5;    // in the test of those
constexpr int kSample = 40;  // every so many is verified

class Many : public HiveFixture {
 protected:
  // Queues a run of kPerRun jobs so many times.
  void SubmitRuns(int runs, const std::string& script = "") {
    GitRepo repo = MakeRepo("p");
    std::string yaml = "jobs:\n";
    for (int i = 0; i < kPerRun; ++i) {
      yaml += "  no" + std::to_string(i) + ":\n    test: echo job $WAGGLE_JOB >> " + temp_ / "ran" + "; " +
              script + "echo ok\n";
    }
    repo.Write(".waggle.yml", yaml);
    repo.Commit("Many jobs");
    for (int i = 0; i < runs; ++i) EXPECT_EQ(Waggle({"submit", "-q"}, repo.path()).code, 0);
  }

  // Nothing waits or runs any more.
  bool AllEnded() {
    const Outcome left =
        Waggle({"jobs", "-o", "json", "-L", "1000", "--state", "queued", "--state", "running"});
    return Json::parse(left.out).empty();
  }

  void ExpectEachRanOnce(std::size_t jobs) {
    const std::vector<std::string> ran = Lines(ReadText(temp_ / "ran"));
    EXPECT_EQ(ran.size(), jobs);
    EXPECT_EQ(std::set<std::string>(ran.begin(), ran.end()).size(), jobs);
  }

  // No process, no attempt directory that was not taken away.
  void ExpectNothingLeft() {
    for (const char* drone : {"one", "two"}) {
      EXPECT_TRUE(Eventually([&] { return JobProcesses(drone).empty(); }));
      EXPECT_TRUE(Eventually([&] { return FilesContaining(DroneData(drone) + "/attempts", "").empty(); }));
    }
  }
};

TEST_F(Many, EachRunsExactlyOnce) {
  StartQueen();
  StartDrone("one", 2);
  StartDrone("two", 2);
  SubmitRuns(kJobs / kPerRun);
  ASSERT_TRUE(Eventually([&] { return AllEnded(); }, 150s));
  const std::vector<Json> jobs = Jobs();
  ASSERT_EQ(jobs.size(), static_cast<std::size_t>(kJobs));
  std::set<std::string> drones;
  for (const Json& job : jobs) {
    EXPECT_EQ(job["state"], "passed") << job["id"];
    EXPECT_EQ(job["attempt"], 1) << job["id"];
    drones.insert(job["drone"]);
  }
  EXPECT_EQ(drones, (std::set<std::string>{"one", "two"}));
  ExpectEachRanOnce(kJobs);
  for (int id = 1; id <= kJobs; id += kSample) {
    EXPECT_EQ(Raw(id), "ok\n");
    ExpectVerified(id);
    EXPECT_EQ(Show(id)["attempts"].size(), 1u);
  }
  ExpectNothingLeft();
}

TEST_F(Many, EachRunsExactlyOnceWhileQueenAndDronesAreKilled) {
  StartQueen();
  StartDrone("one", 2);
  StartDrone("two", 2);
  SubmitRuns(1, "sleep 0.2; ");
  for (int kill = 0; kill < kKills; ++kill) {
    const std::size_t before = Lines(ReadText(temp_ / "ran")).size();
    ASSERT_TRUE(Eventually([&] { return Lines(ReadText(temp_ / "ran")).size() > before + 3; }));
    const std::string drone = kill % 2 == 0 ? "one" : "two";
    if (kill != 1) KillQueen();
    if (kill != 0) KillDrone(drone);
    if (kill != 1) StartQueen();
    if (kill != 0) StartDrone(drone, 2);
  }
  ASSERT_TRUE(Eventually([&] { return AllEnded(); }));
  for (const Json& job : Jobs()) {
    EXPECT_EQ(job["state"], "passed") << job.dump();
    EXPECT_EQ(Raw(job["id"]), "ok\n");
    ExpectVerified(job["id"]);
  }
  ExpectEachRanOnce(kPerRun);  // an attempt that was lost before its drone had it ran nothing
  ExpectNothingLeft();
}

}  // namespace
}  // namespace waggle::test
