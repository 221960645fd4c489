// A drone whose disk is full: its attempts still end, only it suffers, and it goes on when there is space
// again.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "tests/support/hive_fixture.h"
#include "tests/support/small_disk.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;

std::string Yes(std::size_t size) {
  std::string text;
  while (text.size() < size) text += "y\n";
  return text;
}

// One drone whose data directory is a small file system of its own.
class DroneDisk : public HiveFixture {
 protected:
  void SetUp() override {
    StartQueen();
    disk_ = std::make_unique<SmallDisk>(DroneData("bee"), "size=24m");
    ASSERT_TRUE(disk_->mounted());
    pid_ = StartDrone("bee").pid();
  }
  void TearDown() override {
    HiveFixture::TearDown();
    disk_.reset();
  }

  // Says "begun", waits for the gate "go", then prints more than the pipe takes.
  std::string Flood() const {
    return "echo begun\n" + AwaitFile(Gate("go")) + "(yes || true) | head -c 4000000\ntouch " +
           temp_ / "flooded";
  }
  // The job has filled its pipe, and its shim holds a batch that it cannot write.
  bool PipeIsFull() const {
    for (pid_t pid : JobProcesses("bee")) {
      const std::string io = ReadText("/proc/" + std::to_string(pid) + "/io");
      const std::size_t at = io.find("wchar: ");
      if (at != std::string::npos && std::atoll(io.c_str() + at + 7) >= 1'000'000) return true;
    }
    return false;
  }
  // Submits it and fills the disk under it. The first line reached the queen before.
  std::uint64_t SubmitAndBlock(const Json& document) {
    const std::uint64_t job = Submit(document);
    EXPECT_TRUE(Eventually([&] { return Raw(job) == "begun\n"; }));
    disk_->Fill();
    Open("go");
    EXPECT_TRUE(Eventually([&] { return PipeIsFull(); }));
    return job;
  }

  // The log is whole and says how many bytes were read from the pipe and are not in it.
  void ExpectDeclared(std::uint64_t job) {
    ExpectVerified(job);
    const std::string shown = Waggle({"logs", std::to_string(job)}).out;
    EXPECT_NE(shown.find("the drone's disk was full"), std::string::npos)
        << shown.substr(shown.size() - std::min<std::size_t>(shown.size(), 500));
  }

  void ExpectDroneWell() {
    EXPECT_TRUE(Drone("bee").Running());
    EXPECT_EQ(Drone("bee").pid(), pid_);
    EXPECT_TRUE(Eventually([&] { return JobProcesses("bee").empty(); }));
    EXPECT_TRUE(Eventually([&] { return Drones()[0]["used"] == 0; })) << Drones().dump(2);
    const std::uint64_t next = Submit(TestJob({"echo next"}));
    WaitForState(next, "passed");
    EXPECT_EQ(Raw(next), "next\n");
  }

  std::unique_ptr<SmallDisk> disk_;
  pid_t pid_ = 0;
};

TEST_F(DroneDisk, OutputLargerThanTheDiskPassesByteExact) {
  const std::string noise = NoiseBytes(80'000'000, 5);
  WriteText(temp_ / "noise", noise);
  const std::uint64_t job = Submit(TestJob({"cat " + temp_ / "noise"}));
  WaitForState(job, "passed", 120s);
  EXPECT_TRUE(Raw(job) == noise) << "other bytes than the job printed";
  ExpectVerified(job);
  ExpectDroneWell();
}

TEST_F(DroneDisk, CancelEndsAJobThatIsBlockedByAFullDisk) {
  const std::uint64_t job = SubmitAndBlock(TestJob({Flood()}));
  EXPECT_EQ(Waggle({"cancel", std::to_string(job), "--now", "--reason", "no space"}).code, 0);
  const Json facts = WaitForState(job, "canceled", 30s);
  EXPECT_EQ(facts["detail"], "canceled by a local user: no space");
  EXPECT_EQ(facts["attempts"].size(), 1u);
  EXPECT_FALSE(Exists(temp_ / "flooded"));
  ExpectDeclared(job);
  disk_->Free();
  ExpectDroneWell();
}

TEST_F(DroneDisk, TheWallLimitEndsAJobThatIsBlockedByAFullDisk) {
  Json document = TestJob({Flood(), "echo never"});
  document["cleanup"] = {Step("echo cleaned")};
  document["limits"] = {{"wall_ms", 4000}};
  const std::uint64_t job = SubmitAndBlock(document);
  const Json facts = WaitForState(job, "errored", 30s);
  EXPECT_EQ(facts["reason"], "timeout");
  EXPECT_EQ(facts["attempts"].size(), 1u);
  EXPECT_FALSE(Exists(temp_ / "flooded"));
  ExpectDeclared(job);
  disk_->Free();
  ExpectDroneWell();
}

TEST_F(DroneDisk, AJobThatIsBlockedGoesOnWhenThereIsSpaceAgain) {
  const std::uint64_t job = SubmitAndBlock(TestJob({Flood()}));
  EXPECT_EQ(StateOf(job), "started");
  disk_->Free();
  WaitForState(job, "passed");
  EXPECT_TRUE(Raw(job) == "begun\n" + Yes(4'000'000));
  ExpectVerified(job);
  ExpectDroneWell();
}

TEST_F(DroneDisk, AFullDiskRefusesJobsWithItsReason) {
  disk_->Fill();
  const std::uint64_t job = Submit(TestJob({"echo never"}));
  EXPECT_TRUE(Eventually([&] {
    return std::string(Show(job)["attempts"].dump()).find("disk is full") != std::string::npos;
  })) << Show(job).dump(2);
  disk_->Free();
  ExpectDroneWell();
}

}  // namespace
}  // namespace waggle::test
