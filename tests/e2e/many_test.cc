// Many jobs at once: each runs once, none is lost.
#include <gmock/gmock.h>

#include <set>

#include "tests/support/hive_fixture.h"

namespace waggle::test {
namespace {

constexpr int kJobs = 200;
constexpr int kPerRun = 50;
constexpr int kSample = 40;  // every so many is verified

class Many : public HiveFixture {
 protected:
  // Queues all of them, a run of several jobs at a time.
  void SubmitAll() {
    GitRepo repo = MakeRepo("p");
    std::string yaml = "jobs:\n";
    for (int i = 0; i < kPerRun; ++i) {
      yaml += "  no" + std::to_string(i) + ":\n    test: echo job $WAGGLE_JOB >> " + temp_ / "ran" + "; echo ok\n";
    }
    repo.Write(".waggle.yml", yaml);
    repo.Commit("Many jobs");
    for (int i = 0; i < kJobs / kPerRun; ++i) EXPECT_EQ(Waggle({"submit", "-q"}, repo.path()).code, 0);
  }

  bool AllPassed() {
    const Outcome left = Waggle({"jobs", "-o", "json", "-L", "1000", "--state", "queued", "--state", "running"});
    return Json::parse(left.out).empty();
  }
};

TEST_F(Many, EachRunsExactlyOnce) {
  StartQueen();
  StartDrone("one", 2);
  StartDrone("two", 2);
  SubmitAll();
  ASSERT_TRUE(Eventually([&] { return AllPassed(); }, 150s));
  const std::vector<Json> jobs = Jobs();
  ASSERT_EQ(jobs.size(), static_cast<std::size_t>(kJobs));
  std::set<std::string> drones;
  for (const Json& job : jobs) {
    EXPECT_EQ(job["state"], "passed") << job["id"];
    EXPECT_EQ(job["attempt"], 1) << job["id"];
    drones.insert(job["drone"]);
  }
  EXPECT_EQ(drones, (std::set<std::string>{"one", "two"}));
  const std::vector<std::string> ran = Lines(ReadText(temp_ / "ran"));
  EXPECT_EQ(ran.size(), static_cast<std::size_t>(kJobs));
  EXPECT_EQ(std::set<std::string>(ran.begin(), ran.end()).size(), static_cast<std::size_t>(kJobs));
  for (int id = 1; id <= kJobs; id += kSample) {
    EXPECT_EQ(WithoutCheckout(Raw(id)), "ok\n");
    ExpectVerified(id);
    EXPECT_EQ(Show(id)["attempts"].size(), 1u);
  }
  // Nothing is left over: no process, no attempt directory that was not taken away.
  for (const char* drone : {"one", "two"}) {
    EXPECT_TRUE(Eventually([&] { return JobProcesses(drone).empty(); }));
    EXPECT_TRUE(Eventually([&] { return FilesContaining(DroneData(drone) + "/attempts", "").empty(); }));
  }
}

}  // namespace
}  // namespace waggle::test
