#include "drone/shim/spool_budget.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shim_process.h"

// A drone may keep only so much for its queen: attempts that wait for room, and attempts that go on without.
namespace waggle::shim {
namespace {

using namespace std::chrono_literals;
using journal::Kind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint64_t kBudget = 4 * limits::kMiB;
constexpr std::uint64_t kSegmentBytes = 64 * limits::kKiB;
constexpr std::uint64_t kTaken = kBudget - limits::kMiB;  // by another attempt
constexpr std::size_t kPrinted = 3'000'000;

class Budget : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::mkdir(root_.c_str(), 0700), 0);
    ASSERT_EQ(::mkdir((root_ + "/1").c_str(), 0700), 0);
    ASSERT_EQ(::symlink(shim_.dir().c_str(), (root_ + "/2").c_str()), 0);
    ASSERT_TRUE(WriteFileDurably(Other(), "").ok());
    ASSERT_EQ(::truncate(Other().c_str(), kTaken), 0);
  }

  // Prints, and then does not end before `go`.
  Start Flood(bool truncates) {
    Start start = shim_.NewStart();
    start.attempts = root_;
    start.spool_budget = kBudget;
    start.spool_segment = kSegmentBytes;
    start.truncates = truncates;
    start.phases[kTest] = {Script(absl::StrCat(
        "echo begun; (yes || true) | head -c ", kPrinted,
        "; touch printed; n=0; until [ -e go ]; do echo tick; n=$((n+1)); sleep 0.01; done; echo done $n"))};
    job_ = start.job_directory;
    return start;
  }
  void Begin(const Start& start) {
    shim_.Connect();
    shim_.Send(start);
  }
  bool Blocked() {
    return Eventually(
        [&] { return shim_.ShimLog().find("the spool budget of this drone") != std::string::npos; });
  }
  bool Printed() {
    return Eventually([&] { return ::access((job_ + "/printed").c_str(), F_OK) == 0; });
  }
  // By its last line.
  std::size_t PrintedInAll() {
    const std::string out = shim_.Out();
    const std::size_t last = out.rfind("done ");
    if (last == std::string::npos) return 0;
    return 6 + kPrinted + 5 * std::strtoull(out.c_str() + last + 5, nullptr, 10) + out.size() - last;
  }
  void Free() { ASSERT_EQ(::unlink(Other().c_str()), 0); }
  void Go() { ASSERT_EQ(::mkdir((job_ + "/go").c_str(), 0700), 0); }
  std::string Other() const { return root_ + "/1/spool.000"; }

  ShimProcess shim_;
  const std::string root_ = shim_.dir() + "/drone";
  std::string job_;
};

TEST_F(Budget, CountsTheSpoolsOfAllAttemptsAndNothingElse) {
  ASSERT_TRUE(WriteFileDurably(root_ + "/1/reserve", "12345").ok());
  const SpoolBudget budget(root_, kBudget);
  EXPECT_EQ(budget.Used(), kTaken);
  EXPECT_FALSE(budget.Exceeded(limits::kMiB));
  EXPECT_TRUE(budget.Exceeded(limits::kMiB + 1));
  EXPECT_FALSE(SpoolBudget(root_, 0).Exceeded(1)) << "there is none";
  EXPECT_EQ(SpoolBudget("/nowhere", 7).Used(), 0u);
  // Each of the slots may hold one, and there is room for as many more.
  EXPECT_EQ(SpoolSegment(0, 4), limits::kSpoolSegment);
  EXPECT_EQ(SpoolSegment(4 * limits::kGiB, 1024), limits::kSpoolSegment);
  EXPECT_EQ(SpoolSegment(limits::kMiB, 1), limits::kMiB / 4);
  EXPECT_EQ(SpoolSegment(1, 1), 64 * limits::kKiB);
}

TEST_F(Budget, AJobWaitsForRoomAndGoesOnByteExact) {
  Begin(Flood(false));
  ASSERT_TRUE(Blocked());
  EXPECT_NE(::access((job_ + "/printed").c_str(), F_OK), 0);
  // No segment was begun for which there was no room; a batch may stand over its end.
  EXPECT_LE(SpoolBudget(root_, 0).Used(), kBudget + kSegmentBytes + 300'000);
  ASSERT_NO_FATAL_FAILURE(Free());
  ASSERT_TRUE(Printed());
  ASSERT_NO_FATAL_FAILURE(Go());
  EXPECT_EQ(shim_.AwaitExit(), 0);
  EXPECT_EQ(shim_.Final()->reason, Reason::kNone);
  EXPECT_EQ(shim_.Out().size(), PrintedInAll());
  EXPECT_TRUE(shim_.Out().starts_with("begun\ny\ny\n"));
  EXPECT_EQ(shim_.Missing(), 0u);
  EXPECT_EQ(::access((shim_.dir() + "/reserve").c_str(), F_OK), 0) << "it was not needed";
  ExpectWholeLog(shim_);
}

TEST_F(Budget, AWaitingJobStillHasItsTimeLimit) {
  Start start = Flood(false);
  start.wall = 1500ms;
  Begin(start);
  EXPECT_EQ(shim_.AwaitExit(), 0);
  EXPECT_EQ(shim_.Final()->reason, Reason::kTimeout);
  EXPECT_GT(shim_.Missing(), 0u);  // what stood in its pipe
  ExpectWholeLog(shim_);
}

TEST_F(Budget, AWaitingJobCanBeCanceled) {
  Begin(Flood(false));
  ASSERT_TRUE(Blocked());
  shim_.Send(Cancel{"anna", "why", true});
  EXPECT_EQ(shim_.AwaitExit(), 0);
  EXPECT_EQ(shim_.Final()->reason, Reason::kCanceled);
  ExpectWholeLog(shim_);
}

TEST_F(Budget, AJobThatTruncatesGoesOnAndTheMarkerSaysExactlyWhatIsMissing) {
  Start start = Flood(true);
  start.phases[kTest][0].command =
      absl::StrCat("head -c 5000 /dev/zero >&2; ", start.phases[kTest][0].command);
  Begin(start);
  ASSERT_TRUE(Printed());  // it did not wait
  ASSERT_NO_FATAL_FAILURE(Free());
  ASSERT_TRUE(Eventually([&] { return shim_.Out().find("tick") != std::string::npos; }));
  ASSERT_NO_FATAL_FAILURE(Go());
  EXPECT_EQ(shim_.AwaitExit(), 0);
  EXPECT_EQ(shim_.Final()->reason, Reason::kNone);
  EXPECT_EQ(shim_.Final()->test_code, 0);
  EXPECT_GT(shim_.Missing(), 1'000'000u);
  EXPECT_EQ(shim_.Out().size() + shim_.Missing(), PrintedInAll());
  EXPECT_EQ(shim_.Err().size(), 5000u);
  std::vector<journal::Gap> gaps;
  for (const Record& record : shim_.Records()) {
    if (record.header.kind == Kind::kMarker) gaps.push_back(*journal::DecodeGap(record.payload));
  }
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_EQ(gaps[0].stream, Kind::kStdout);
  EXPECT_THAT(gaps[0].reason, HasSubstr("the spool budget of the drone"));
  EXPECT_LE(SpoolBudget(root_, 0).Used(), kBudget - kTaken + kSegmentBytes + 300'000);
  ExpectWholeLog(shim_);
}

TEST_F(Budget, AJobThatTruncatesEndsWithoutAnyRoom) {
  Start start = Flood(true);
  start.phases[kTest][0].command =
      absl::StrCat("head -c ", kPrinted, " /dev/zero; head -c 700000 /dev/zero >&2");
  start.phases[kTest].push_back(Script("echo second; exit 5"));
  Begin(start);
  EXPECT_EQ(shim_.AwaitExit(), 0);
  EXPECT_EQ(shim_.Final()->test_code, 5);
  EXPECT_EQ(shim_.Out().size() + shim_.Err().size() + shim_.Missing(), kPrinted + 700'000 + 7);
  EXPECT_EQ(shim_.Ends().size(), 2u);
  EXPECT_THAT(shim_.Transcript(), ::testing::Contains("marker 0").Times(2));  // one of each stream
  EXPECT_THAT(shim_.Transcript(), ::testing::Contains("marker 1"));
  ExpectWholeLog(shim_);
}

}  // namespace
}  // namespace waggle::shim
