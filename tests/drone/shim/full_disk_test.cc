#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "common/process/tree.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shim_process.h"

// Attempts whose disk is full: they wait for space, and they end without it.
namespace waggle::shim {
namespace {

using namespace std::chrono_literals;
using journal::Kind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kSmall = "size=4m";
constexpr std::size_t kPrinted = 8'000'000;  // more than disk and pipe take together

class FullDisk : public ::testing::Test {
 protected:
  // The job waits for `go`, so that the disk can be filled first, says where it is, and prints.
  Start Flood() {
    Start start = shim_.NewStart();
    start.phases[kTest] = {Script(absl::StrCat("echo begun; until [ -e go ]; do sleep 0.01; done\n",
                                               "(yes || true) | head -c ", kPrinted))};
    return start;
  }
  // Starts it; when this returns the disk is full and the job prints.
  void Block(const Start& start) {
    job_ = start.job_directory;
    shim_.Connect();
    shim_.Send(start);
    ASSERT_TRUE(shim_.AwaitOutput("begun"));
    ASSERT_EQ(::mkdir((job_ + "/go").c_str(), 0700), 0);  // takes no block
    ASSERT_NO_FATAL_FAILURE(Fill());
  }
  void Fill() {
    UniqueFd file(::open(Foreign().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    ASSERT_TRUE(file.valid());
    const std::string block(4096, 'x');
    while (::write(file.get(), block.data(), block.size()) > 0) {
    }
    ASSERT_EQ(errno, ENOSPC);
  }
  void Free() { ASSERT_EQ(::unlink(Foreign().c_str()), 0); }
  std::string Foreign() const { return shim_.dir() + "/foreign"; }
  // The job has filled its pipe, and the shim holds a batch that it cannot write.
  bool Blocked() {
    return Eventually([&] {
      for (const auto& process : process::FindMarked(shim_.dir())) {
        const std::string io = ReadFile(absl::StrCat("/proc/", process, "/io"), 4096).value_or("");
        const std::size_t at = io.find("wchar: ");
        if (at != std::string::npos && std::strtoull(io.c_str() + at + 7, nullptr, 10) >= 1'000'000)
          return true;
      }
      return false;
    });
  }

  ShimProcess shim_{kSmall};
  std::string job_;
};

TEST_F(FullDisk, CancelNowEndsABlockedJobAndSaysWhatIsMissing) {
  ASSERT_NO_FATAL_FAILURE(Block(Flood()));
  ASSERT_TRUE(Blocked());
  shim_.Send(Cancel{"anna", "why", true});
  EXPECT_EQ(shim_.AwaitExit(), 0);
  EXPECT_EQ(shim_.Final()->reason, Reason::kCanceled);
  EXPECT_EQ(shim_.Ends().at(0).exit_code, 137);
  ExpectWholeLog(shim_);
  // What stood in the pipe was read after the kill, counted and declared.
  EXPECT_GT(shim_.Missing(), 0u);
  EXPECT_LT(shim_.Out().size() + shim_.Missing(), kPrinted + 6);
  std::vector<std::string> transcript = shim_.Transcript();
  transcript.erase(transcript.begin(), transcript.end() - 6);
  EXPECT_THAT(transcript, ElementsAre("out 0", "marker 0", "end 0 137",
                                      "phase test end 137 next=", "status canceled by anna: why", "final"));
}

TEST_F(FullDisk, CancelWithGraceAndCleanupEndsToo) {
  Start start = Flood();
  start.phases[kTest] = {Script(absl::StrCat("trap '' INT TERM; ", start.phases[kTest][0].command))};
  start.phases[kCleanup] = {Script("true"), Script("true")};
  ASSERT_NO_FATAL_FAILURE(Block(start));
  ASSERT_TRUE(Blocked());
  shim_.Send(Cancel{"anna", ""});
  EXPECT_EQ(shim_.AwaitExit(), 0);
  EXPECT_EQ(shim_.Final()->reason, Reason::kCanceled);
  ASSERT_EQ(shim_.Ends().size(), 2u);
  EXPECT_THAT(shim_.Ends().at(1).error, HasSubstr("No space left"));  // its script cannot be written
  ExpectWholeLog(shim_);
}

TEST_F(FullDisk, TheWallLimitEndsABlockedJob) {
  Start start = Flood();
  start.wall = 1500ms;
  ASSERT_NO_FATAL_FAILURE(Block(start));
  EXPECT_EQ(shim_.AwaitExit(), 0);
  EXPECT_EQ(shim_.Final()->reason, Reason::kTimeout);
  EXPECT_THAT(shim_.Texts(Kind::kStatus), ElementsAre(HasSubstr("limit of 1500 ms")));
  ExpectWholeLog(shim_);
}

TEST_F(FullDisk, TheSilenceLimitEndsAJobThatPrintsNothing) {
  Start start = Flood();
  start.silence = 700ms;
  start.phases[kTest] = {Script("echo begun; sleep 1000")};
  ASSERT_NO_FATAL_FAILURE(Block(start));
  EXPECT_EQ(shim_.AwaitExit(), 0);
  EXPECT_EQ(shim_.Final()->reason, Reason::kSilence);
  EXPECT_EQ(shim_.Missing(), 0u);
  ExpectWholeLog(shim_);
}

TEST_F(FullDisk, TheJobsOwnEndIsWritten) {
  for (const char* exit : {"0", "3"}) {
    ShimProcess shim(kSmall);
    Start start = shim.NewStart();
    // The last bytes the job prints are the first that find no space.
    start.phases[kTest] = {
        Script(absl::StrCat("echo begun; until [ -e go ]; do sleep 0.01; done\n",
                            "cat /dev/zero > ../foreign || true; head -c 100000 /dev/zero; exit ", exit))};
    shim.Connect();
    shim.Send(start);
    ASSERT_TRUE(shim.AwaitOutput("begun"));
    ASSERT_EQ(::mkdir((start.job_directory + "/go").c_str(), 0700), 0);
    EXPECT_EQ(shim.AwaitExit(), 0) << shim.ShimLog();
    EXPECT_EQ(shim.Final()->reason, Reason::kNone);
    EXPECT_EQ(absl::StrCat(shim.Final()->test_code), exit);
    EXPECT_EQ(shim.Out().size(), 100'006u);
    EXPECT_EQ(shim.Missing(), 0u);
  }
}

TEST_F(FullDisk, AFailedJobsCleanupEndsWithinItsLimit) {
  Start start = Flood();
  start.cleanup = 1500ms;
  start.phases[kTest] = {Script("true")};
  start.phases[kCleanup] = {Script(Flood().phases[kTest][0].command)};
  ASSERT_NO_FATAL_FAILURE(Block(start));
  EXPECT_EQ(shim_.AwaitExit(), 0);
  EXPECT_EQ(shim_.Final()->reason, Reason::kNone);
  EXPECT_EQ(shim_.Final()->test_code, 0);
  EXPECT_GT(shim_.Missing(), 0u);
  ExpectWholeLog(shim_);
}

TEST_F(FullDisk, ABlockedJobGoesOnByteExactWhenThereIsSpace) {
  Start start = Flood();
  start.phases[kTest] = {
      Script("echo begun; until [ -e go ]; do sleep 0.01; done; (yes || true) | head -c 3000000; echo done")};
  ASSERT_NO_FATAL_FAILURE(Block(start));
  ASSERT_TRUE(Blocked());
  Free();
  EXPECT_EQ(shim_.AwaitExit(), 0);
  EXPECT_EQ(shim_.Final()->reason, Reason::kNone);
  EXPECT_TRUE(shim_.Out().starts_with("begun\ny\ny\n") && shim_.Out().ends_with("y\ndone\n"));
  EXPECT_EQ(shim_.Out().size(), 3'000'011u);
  EXPECT_EQ(shim_.Missing(), 0u);
  EXPECT_THAT(shim_.Texts(Kind::kMarker), ElementsAre());
  EXPECT_EQ(::access((shim_.dir() + "/reserve").c_str(), F_OK), 0) << "it was not needed";
  ExpectWholeLog(shim_);
}

TEST_F(FullDisk, AStepThatCannotBeWrittenYetIsWrittenLater) {
  Start start = Flood();
  start.phases[kTest] = {Script("echo begun; until [ -e go ]; do sleep 0.01; done"), Script("echo second")};
  job_ = start.job_directory;
  shim_.Connect();
  shim_.Send(start);
  ASSERT_TRUE(shim_.AwaitOutput("begun"));
  ASSERT_NO_FATAL_FAILURE(Fill());
  ASSERT_EQ(::mkdir((job_ + "/go").c_str(), 0700), 0);
  ASSERT_TRUE(shim_.AwaitRecords([](const std::vector<Record>& records) {
    return records.back().header.kind == Kind::kCommandStart && records.back().header.command == 1;
  }));
  EXPECT_EQ(shim_.Ends().size(), 1u);
  Free();
  EXPECT_EQ(shim_.AwaitExit(), 0);
  EXPECT_EQ(shim_.Out(), "begun\nsecond\n");
  EXPECT_EQ(shim_.Final()->reason, Reason::kNone);
}

TEST_F(FullDisk, WithoutAReserveTheShimLeavesInsteadOfHanging) {
  ASSERT_EQ(::unlink((shim_.dir() + "/reserve").c_str()), 0);
  ASSERT_NO_FATAL_FAILURE(Block(Flood()));
  ASSERT_TRUE(Blocked());
  shim_.Send(Cancel{"anna", "why", true});
  EXPECT_EQ(shim_.AwaitExit(), exit_code::kStorageFailure);
  EXPECT_TRUE(NoneMarked(shim_.dir()));
}

}  // namespace
}  // namespace waggle::shim
