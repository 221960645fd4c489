// What a drone may keep while its queen is away: then a job waits, or says exactly what is missing.
#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <sstream>

#include "tests/support/hive_fixture.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;

constexpr int kLines = 900'000;  // 6 MB, several times the budget of 1 MiB

class SpoolBudget : public HiveFixture {
 protected:
  // Prints when the queen is gone.
  std::uint64_t SubmitFlood(const std::string& policy) {
    Json document = TestJob({"echo begun\n" + AwaitFile(Gate("flood")) + "seq " + std::to_string(kLines) +
                             "\ntouch " + temp_ / "printed" + "\n" + AwaitFile(Gate("go")) + "echo done"});
    if (!policy.empty()) document["limits"] = {{"spool_full", policy}};
    const std::uint64_t job = Submit(document);
    EXPECT_TRUE(Eventually([&] { return Raw(job) == "begun\n"; }));
    return job;
  }
  std::string All() const {
    std::string all = "begun\n";
    for (int i = 1; i <= kLines; ++i) all += std::to_string(i) + "\n";
    return all + "done\n";
  }
  std::uint64_t Spooled() {
    std::uint64_t bytes = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(DroneData("bee") + "/attempts")) {
      if (entry.path().filename().string().starts_with("spool.")) bytes += entry.file_size();
    }
    return bytes;
  }
  std::string ShimLog() { return ReadText(DroneData("bee") + "/attempts/1/shim.log"); }
};

TEST_F(SpoolBudget, AJobWaitsUntilTheQueenIsBackAndLosesNoByte) {
  StartQueen();
  StartDrone("bee", 1, {"--spool-budget", "1"});
  const std::uint64_t job = SubmitFlood("");
  KillQueen();
  Open("flood");
  ASSERT_TRUE(
      Eventually([&] { return ShimLog().find("the spool budget of this drone") != std::string::npos; }));
  EXPECT_LE(Spooled(), 1'500'000u);
  EXPECT_FALSE(Exists(temp_ / "printed"));
  KillDrone("bee");  // with nobody there to make room nothing changes
  StartQueen();
  StartDrone("bee", 1, {"--spool-budget", "1"});
  ASSERT_TRUE(Eventually([&] { return Exists(temp_ / "printed"); }));
  Open("go");
  WaitForState(job, "passed");
  EXPECT_EQ(Raw(job), All());
  ExpectVerified(job);
}

TEST_F(SpoolBudget, AJobThatTruncatesDoesNotWaitAndTheMarkerIsExact) {
  StartQueen();
  StartDrone("bee", 1, {"--spool-budget", "1"});
  const std::uint64_t job = SubmitFlood("TRUNCATE");
  KillQueen();
  Open("flood");
  ASSERT_TRUE(Eventually([&] { return Exists(temp_ / "printed"); }));
  EXPECT_LE(Spooled(), 1'500'000u);
  StartQueen();
  ASSERT_TRUE(Eventually([&] { return Raw(job).size() > 500'000; }));
  Open("go");
  WaitForState(job, "passed");
  const std::string all = All(), stored = Raw(job);
  const std::string shown = Waggle({"logs", std::to_string(job)}).out;
  EXPECT_THAT(shown,
              HasSubstr(" bytes of stdout are missing here: the spool budget of the drone was used up"));
  // Together with what the markers declare it is all there was.
  std::uint64_t missing = 0;
  const Outcome events = Waggle({"logs", std::to_string(job), "-o", "json"});
  std::istringstream lines(events.out);
  for (std::string line; std::getline(lines, line);) {
    const Json event = Json::parse(line);
    if (event.contains("gap")) missing += event["gap"]["missing_bytes"].get<std::uint64_t>();
  }
  EXPECT_GT(missing, 1'000'000u);
  EXPECT_EQ(stored.size() + missing, all.size());
  EXPECT_TRUE(all.starts_with(stored.substr(0, 500'000)));
  ExpectVerified(job);
}

// Queue and budget are the drone's: one job that prints does not starve the delivery of another.
TEST_F(SpoolBudget, SeveralJobsShareIt) {
  StartQueen();
  StartDrone("bee", 3, {"--spool-budget", "2"});
  std::vector<std::uint64_t> jobs;
  for (int i = 0; i < 3; ++i) jobs.push_back(Submit(TestJob({AwaitFile(Gate("flood")) + "seq 400000"})));
  for (std::uint64_t job : jobs) WaitForState(job, "started");
  KillQueen();
  Open("flood");
  ASSERT_TRUE(Eventually([&] { return Spooled() > 1'000'000; }));
  EXPECT_LE(Spooled(), 4'000'000u);
  StartQueen();
  for (std::uint64_t job : jobs) {
    WaitForState(job, "passed");
    EXPECT_EQ(Raw(job).size(), 2'688'895u);
    ExpectVerified(job);
  }
}

}  // namespace
}  // namespace waggle::test
