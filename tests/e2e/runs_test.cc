// Runs over real binaries: what a run comes to, its cancel, and jobs that run once more.
#include <gmock/gmock.h>

#include "tests/support/hive_fixture.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;

class Runs : public HiveFixture {
 protected:
  void SetUp() override { StartQueen(); }

  std::uint64_t SubmitFile(const std::string& yaml) {
    repo_.Write(".waggle.yml", yaml);
    repo_.Commit("Parse hex");
    const Outcome outcome = Waggle({"submit", "-o", "json"}, repo_.path());
    EXPECT_EQ(outcome.code, 0) << outcome;
    return Json::parse(outcome.out)["run"];
  }
  Json Run(std::uint64_t run) {
    return Json::parse(Waggle({"show", "r" + std::to_string(run), "-o", "json"}).out);
  }
  bool Ended(std::uint64_t run, const std::string& state) {
    return Eventually([&] { return Run(run)["state"] == state; });
  }

  GitRepo repo_ = MakeRepo("shop");
};

TEST_F(Runs, ARunComesToWhatItsJobsComeToAndAFailedJobRunsOnceMore) {
  StartDrone("bee", 2);
  const std::string gate = temp_ / "mended";
  const std::uint64_t run =
      SubmitFile("jobs:\n  good:\n    test: 'true'\n  bad:\n    test: test -e " + gate + "\n");
  ASSERT_TRUE(Ended(run, "failed"));
  EXPECT_THAT(Waggle({"runs"}).out, HasSubstr("1 passed · 1 failed"));
  EXPECT_THAT(Waggle({"runs"}).out, HasSubstr("Parse hex"));
  const std::uint64_t bad = Run(run)["jobs"][1]["id"];

  KillQueen();
  StartQueen();
  EXPECT_EQ(Run(run)["state"], "failed");
  WriteText(gate, "");
  const Outcome retried = Waggle({"retry", "r" + std::to_string(run), "--failed", "--watch"});
  EXPECT_EQ(retried.code, 0) << retried;
  ASSERT_TRUE(Ended(run, "passed"));
  const Json job = Show(bad);
  ASSERT_EQ(job["attempts"].size(), 2u);
  EXPECT_EQ(job["attempts"][0]["state"], "failed");
  EXPECT_EQ(job["attempts"][1]["state"], "passed");
  EXPECT_EQ(Run(run)["jobs"][0]["attempt"], 1) << "what passed was left alone";
  EXPECT_EQ(Waggle({"logs", std::to_string(bad) + "@1"}).code, 0);
  EXPECT_EQ(Waggle({"retry", "r" + std::to_string(run), "--failed"}).code, 1) << "nothing failed any more";
}

TEST_F(Runs, CancelingARunLeavesNothingBehind) {
  StartDrone("bee", 1);
  const std::uint64_t run =
      SubmitFile("jobs:\n  runs:\n    test: sleep 1000\n  waits:\n    test: sleep 1000\n");
  ASSERT_TRUE(Eventually([&] { return Run(run)["jobs"][0]["state"] == "started"; }));
  const Outcome canceled = Waggle({"cancel", "r" + std::to_string(run), "--reason", "enough"});
  EXPECT_EQ(canceled.code, 0) << canceled;
  EXPECT_TRUE(Ended(run, "canceled"));
  EXPECT_TRUE(Eventually([&] { return JobProcesses("bee").empty(); }));
  EXPECT_EQ(Waggle({"cancel", "r" + std::to_string(run)}).code, 1);
}

}  // namespace
}  // namespace waggle::test
