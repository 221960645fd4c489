// A queen whose disk is full: she refuses new work clearly, keeps what she has, and goes on by herself.
#include <gmock/gmock.h>

#include <filesystem>
#include <memory>

#include "absl/strings/str_cat.h"
#include "tests/support/hive_fixture.h"
#include "tests/support/small_disk.h"

namespace waggle::test {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

class QueenDisk : public HiveFixture {
 protected:
  void SetUp() override { Boot("size=64m"); }
  void TearDown() override {
    HiveFixture::TearDown();
    disk_.reset();
  }
  void Boot(const std::string& options) {
    disk_ = std::make_unique<SmallDisk>(QueenData(), options);
    ASSERT_TRUE(disk_->mounted());
    StartQueen();
    EXPECT_TRUE(Eventually([&] { return Exists(QueenData() + "/ballast"); }));
  }
  Outcome TrySubmit() { return Waggle({"submit", "--job", WriteJob(TestJob({"true"}))}); }
  void ExpectRefusal() {
    Outcome refused;
    EXPECT_TRUE(Eventually([&] { return (refused = TrySubmit()).code != 0; }));
    EXPECT_THAT(refused.err,
                AnyOf(HasSubstr("disk is nearly full"), HasSubstr("disk is full"), HasSubstr("files left")))
        << refused;
    EXPECT_THAT(refused.err, HasSubstr("next: free space on")) << refused;
  }
  void ExpectService() {
    EXPECT_TRUE(Eventually([&] { return TrySubmit().code == 0; }));
    WaitForState(Submit(TestJob({"true"})), "passed");
  }
  static std::string Count(int last) {
    std::string text;
    for (int i = 1; i <= last; ++i) absl::StrAppend(&text, i, "\n");
    return text;
  }

  std::unique_ptr<SmallDisk> disk_;
};

TEST_F(QueenDisk, ForeignFileFillsItUnderARunningJob) {
  const pid_t queen = Queen().pid();
  StartDrone("bee");
  const std::uint64_t running = Submit(
      TestJob({"seq 1 1000\n" + AwaitFile(Gate("go")) + "seq 1001 300000\ntouch " + temp_ / "written"}));
  EXPECT_TRUE(Eventually([&] { return Raw(running) == Count(1000); }));
  const std::uint64_t canceled = Submit(TestJob({"true"})), waiting = Submit(TestJob({"true"}));
  disk_->Fill();
  ExpectRefusal();
  EXPECT_THAT(std::string(Show(waiting)["detail"]), HasSubstr("the queen's disk"));
  // What she accepted before she can still end; there is a ballast for that.
  EXPECT_EQ(Waggle({"cancel", absl::StrCat(canceled)}).code, 0);
  WaitForState(canceled, "canceled");
  // The job does not feel any of it; its output waits on its drone.
  Open("go");
  EXPECT_TRUE(Eventually([&] { return Exists(temp_ / "written"); }));
  EXPECT_EQ(StateOf(running), "started");
  disk_->Free();
  WaitForState(running, "passed");
  EXPECT_TRUE(Raw(running) == Count(300000));
  ExpectVerified(running);
  WaitForState(waiting, "passed");
  ExpectService();
  EXPECT_EQ(Show(running)["attempts"].size(), 1u);
  EXPECT_TRUE(Eventually([&] { return Exists(QueenData() + "/ballast"); }));
  EXPECT_TRUE(Queen().Running());
  EXPECT_EQ(Queen().pid(), queen);
}

TEST_F(QueenDisk, LogsThatDoNotFitWaitOnTheirDrones) {
  StartDrone("bee", 2);
  const std::uint64_t large =
      Submit(TestJob({"seq 1 12000000\ntouch " + temp_ / "written"}));  // 95 MB; the disk has 64
  EXPECT_TRUE(Eventually([&] { return Exists(temp_ / "written"); }));
  ExpectRefusal();
  EXPECT_EQ(StateOf(large), "started");
  disk_->Remount("size=256m");
  WaitForState(large, "passed");
  ExpectVerified(large);
  ExpectService();
}

TEST_F(QueenDisk, SheStartsOnAFullDiskAndGoesOnWhenThereIsSpace) {
  const std::uint64_t waiting = Submit(TestJob({"true"}));
  disk_->Fill();
  KillQueen();
  StartQueen();
  ExpectRefusal();
  disk_->Free();
  StartDrone("bee");
  WaitForState(waiting, "passed");
  ExpectService();
}

TEST_F(QueenDisk, NoInodesLeft) {
  StopQueen();
  disk_.reset();
  Boot("size=64m,nr_inodes=400");
  StartDrone("bee");
  WaitForState(Submit(TestJob({"true"})), "passed");
  int files = 0;
  const std::string crowd = QueenData() + "/crowd";
  std::filesystem::create_directory(crowd);
  for (std::error_code error; !error; ++files) {
    std::filesystem::create_directory(crowd + absl::StrCat("/", files), error);
  }
  EXPECT_GT(files, 100);
  ExpectRefusal();
  std::filesystem::remove_all(crowd);
  ExpectService();
}

}  // namespace
}  // namespace waggle::test
