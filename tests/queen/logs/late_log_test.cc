// The second log of an attempt that ended as unknown: what its drone brings when it is back.
#include <fcntl.h>
#include <unistd.h>

#include "tests/queen/logs/watch_fixture.h"

namespace waggle::queen {
namespace {

using testing::HasSubstr;

class LateLog : public WatchFixture {
 protected:
  static constexpr SessionId kBack{2};

  // Three records of the drone, then the queen's two; the log is closed.
  void SealedLog() {
    logs_->OpenLog(Epoch(7), SessionId(1));
    before_ = journal::Join({maker_.Out("one\n"), maker_.Out("two\nhalf "), maker_.Err("err\n")});
    Append(before_);
    logs_->Seal(Seal(3, Reason::kUnknown));
    ASSERT_TRUE(listener_.Waits("complete 7"));
    logs_->CloseLog(Epoch(7));
    sealed_ = Stored();
    listener_.Clear();
  }
  void DroneIsBack() { logs_->OpenLog(Epoch(7), kBack, Seq(3)); }
  std::string Late() {
    journal::Reader reader(logs_->LateAt(Epoch(7)));
    reader.SeekToPosition(0, journal::kSegmentHeaderBytes, Seq(4));
    std::string raw;
    EXPECT_TRUE(reader.ReadRaw(1 << 20, Seq(1000), &raw).ok());
    return raw;
  }
  journal::VerifyResult VerifiedLate() {
    return journal::VerifyBehind(logs_->At(Epoch(7)), Seq(3), logs_->LateAt(Epoch(7)), Epoch(7)).value();
  }

  std::string before_, sealed_;
};

TEST_F(LateLog, GoesOnWhereTheDroneWasAndLeavesTheSealedOneAlone) {
  SealedLog();
  DroneIsBack();
  const std::string rest = journal::Join({maker_.Out("of a line\n"), maker_.End()});
  Append(rest, kBack);
  ASSERT_TRUE(listener_.Waits("complete 7"));
  const event::LogComplete complete = listener_.Complete();
  EXPECT_TRUE(complete.late);
  EXPECT_EQ(complete.problem, "");
  EXPECT_EQ(complete.last_seq, 5u);
  EXPECT_EQ(complete.final.reason, Reason::kNone);
  EXPECT_EQ(Late(), rest);
  EXPECT_EQ(Stored(), sealed_);
  EXPECT_TRUE(Verified().complete) << Verified().problem;
  const journal::VerifyResult late = VerifiedLate();
  EXPECT_TRUE(late.complete) << late.problem;
  EXPECT_EQ(late.records, 5u);
  EXPECT_EQ(late.out.bytes, std::string("one\ntwo\nhalf of a line\n").size());
  EXPECT_EQ(logs_->Last(Epoch(7)), std::nullopt) << "that is the sealed one's";
  EXPECT_EQ(logs_->LateLast(Epoch(7)), Seq(5));
}

// A restored queen does not know what its drone brought before.
TEST_F(LateLog, ForNobodyItIsReadAndNotMade) {
  SealedLog();
  logs_->OpenLog(Epoch(7), SessionId(), Seq(3));
  Drain();
  EXPECT_FALSE(FileExists(logs_->LateAt(Epoch(7)).Segment(0)));
  DroneIsBack();
  Append(journal::Join({maker_.Out("of a line\n"), maker_.End()}), kBack);
  ASSERT_TRUE(listener_.Waits("complete 7"));
  logs_->CloseLog(Epoch(7));
  listener_.Clear();
  logs_->OpenLog(Epoch(7), SessionId(), Seq(3));
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_TRUE(listener_.Complete().late);
  EXPECT_EQ(logs_->LateDurable(Epoch(7)), Seq(5));
}

TEST_F(LateLog, NeedsEveryRecordInOrderAndTheRightSession) {
  SealedLog();
  DroneIsBack();
  Append(before_, kBack);  // those are there
  const std::string four = maker_.Out("4\n"), five = maker_.Out("5\n"), six = maker_.End();
  Append(five, kBack);
  ASSERT_TRUE(listener_.Waits("resume_from s2 7:4"));
  Append(four, SessionId(1));
  ASSERT_TRUE(listener_.Waits("fenced s1 7"));
  Append(four + five, kBack);
  ASSERT_TRUE(listener_.Waits("acked s2 7:5"));
  EXPECT_EQ(logs_->LateDurable(Epoch(7)), Seq(5));
  // Lost once more: nobody writes, and the next session goes on.
  logs_->OpenLog(Epoch(7), SessionId(), Seq(3));
  Append(six, kBack);
  ASSERT_TRUE(listener_.Waits("fenced s2 7"));
  logs_->OpenLog(Epoch(7), SessionId(3), Seq(3));
  Append(six, SessionId(3));
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_TRUE(VerifiedLate().complete) << VerifiedLate().problem;
}

TEST_F(LateLog, IsTakenUpAgainByTheNextQueen) {
  SealedLog();
  DroneIsBack();
  const std::string four = maker_.Out("4\n");
  Append(four, kBack);
  ASSERT_TRUE(listener_.Waits("acked s2 7:4"));
  // With half a record behind it.
  {
    const int file = ::open(logs_->LateAt(Epoch(7)).Segment(0).c_str(), O_WRONLY | O_APPEND);
    ASSERT_EQ(::write(file, four.data(), four.size() - 3), static_cast<ssize_t>(four.size() - 3));
    ::close(file);
  }
  hub_.reset();
  Restart({});
  ASSERT_TRUE(logs_->RecoverLate(Epoch(7), Seq(3)).ok());
  EXPECT_EQ(logs_->LateDurable(Epoch(7)), Seq(4));
  DroneIsBack();
  Append(maker_.End(), kBack);
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_EQ(listener_.Complete().problem, "");
  // Complete, and the queen goes before she has taken note of it.
  Restart({});
  ASSERT_TRUE(logs_->RecoverLate(Epoch(7), Seq(3)).ok());
  EXPECT_EQ(listener_.Count("complete 7"), 1);
  EXPECT_TRUE(listener_.Complete().late);
  EXPECT_TRUE(logs_->RecoverLate(Epoch(8), Seq(3)).ok()) << "nothing of it is there";
  EXPECT_EQ(logs_->LateLast(Epoch(8)), std::nullopt);
}

TEST_F(LateLog, IsTakenAlsoBehindALogThatIsHarmed) {
  SealedLog();
  ASSERT_EQ(::truncate(logs_->At(Epoch(7)).Segment(0).c_str(), journal::kSegmentHeaderBytes + 5), 0);
  DroneIsBack();
  const std::string rest = journal::Join({maker_.Out("4\n"), maker_.End()});
  Append(rest, kBack);
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_THAT(listener_.Complete().problem, HasSubstr("the log before it"));
  EXPECT_EQ(Late(), rest);
  EXPECT_THAT(VerifiedLate().problem, HasSubstr("before 3"));
}

TEST_F(LateLog, ADeadShimsIsSealedAsWell) {
  SealedLog();
  DroneIsBack();
  logs_->Seal(Seal(4, Reason::kShimLost));
  Append(maker_.Out("4\n"), kBack);
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_TRUE(listener_.Complete().late);
  EXPECT_EQ(listener_.Complete().final.reason, Reason::kShimLost);
  EXPECT_TRUE(VerifiedLate().complete) << VerifiedLate().problem;
  EXPECT_EQ(Stored(), sealed_);
}

TEST_F(LateLog, IsReadWithTheLinesThatGoOnCounting) {
  AttemptBegins(Epoch(7), 1);
  SealedLog();
  AttemptRow attempt = *store_.GetAttempt(Epoch(7));
  attempt.log_closed = attempt.late_awaited = true;
  attempt.last_seq = 5;
  store_.Put(attempt);
  JobIs(JobState::kErrored);
  auto early = Watch({.late = true});
  EXPECT_EQ(early->Ending(), "fail");
  EXPECT_TRUE(absl::IsNotFound(early->failure())) << early->failure();
  DroneIsBack();
  Append(journal::Join({maker_.Out("of a line\nlast\n"), maker_.End()}), kBack);
  ASSERT_TRUE(listener_.Waits("complete 7"));
  auto live = Watch({.late = true});
  EXPECT_EQ(live->Ending(), "end errored 7:5");
  EXPECT_EQ(live->Raw(), Late());
  logs_->CloseLog(Epoch(7));
  attempt.late.state = JobState::kPassed;
  attempt.late.last_seq = 5;
  store_.Put(attempt);
  auto stored = Watch({.late = true});
  EXPECT_EQ(stored->Ending(), "end errored 7:5");
  EXPECT_EQ(stored->Raw(), Late());
  EXPECT_EQ(stored->LinesOf()[Seq(4)], 3u);  // where "half " began
  auto proper = Watch({});
  EXPECT_EQ(proper->Ending(), "end errored 7:5");
  EXPECT_EQ(proper->Raw(), sealed_);
}

}  // namespace
}  // namespace waggle::queen
