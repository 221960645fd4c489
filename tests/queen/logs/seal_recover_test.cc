// Logs that the queen ends herself, and logs that are taken up again after a restart.
#include <fcntl.h>
#include <unistd.h>

#include "common/journal/line_index.h"
#include "tests/queen/logs/logs_fixture.h"

namespace waggle::queen {
namespace {

using testing::HasSubstr;

class SealTest : public LogsFixture {
 protected:
  // The last two records: a line for people and the final.
  void ExpectSealed(const std::string& before, Reason reason = Reason::kDroneLost) {
    std::string stored = Stored();
    ASSERT_EQ(stored.substr(0, before.size()), before);
    std::vector<journal::RecordView> rest;
    journal::ForEachRecord(std::string_view(stored).substr(before.size()),
                           [&](const journal::RecordView& r) { rest.push_back(r); });
    ASSERT_EQ(rest.size(), 2u);
    EXPECT_EQ(rest[0].header.kind, journal::Kind::kStatus);
    EXPECT_EQ(rest[0].payload, "waggle: d1 was lost");
    std::optional<journal::Final> final = journal::DecodeFinal(rest[1].payload);
    ASSERT_TRUE(final.has_value());
    EXPECT_EQ(final->reason, reason);
    EXPECT_EQ(final->detail, "d1 was lost");
    EXPECT_EQ(final->deploy_code, 504);
    EXPECT_TRUE(Verified().complete) << Verified().problem;
    EXPECT_EQ(listener_.Complete().problem, "");
    EXPECT_EQ(listener_.Complete().final.reason, reason);
  }
};

TEST_F(SealTest, AtOnce) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  const std::string one = maker_.Out("half a line");
  Append(one);
  logs_->Seal(Seal());
  ASSERT_TRUE(listener_.Waits("complete 7"));
  ExpectSealed(one);
  Append(maker_.Out("too late"));
  ASSERT_TRUE(listener_.Waits("fenced s1 7"));
}

TEST_F(SealTest, ALogThatWasNeverOpened) {
  logs_->Seal(Seal());
  ASSERT_TRUE(listener_.Waits("complete 7"));
  ExpectSealed("");
}

TEST_F(SealTest, LaterWhenTheRecordsAreThere) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  const std::string one = maker_.Out("1\n"), two = maker_.Out("2\n"), three = maker_.Out("3\n");
  Append(one);
  logs_->Seal(Seal(3));
  Append(two);
  ASSERT_TRUE(listener_.Waits("acked s1 7:2"));
  EXPECT_EQ(Stored(), one + two);
  Append(three);
  ASSERT_TRUE(listener_.Waits("complete 7"));
  ExpectSealed(one + two + three);
}

// A session that was let in again before the seal was known: what it sends stands where the queen's records
// are.
TEST_F(SealTest, WhatComesBehindItIsNoConflict) {
  const std::string one = maker_.Out("1\n"), two = maker_.Out("2\n");
  logs_->OpenLog(Epoch(7), SessionId(1));
  Append(one);
  logs_->Seal(Seal(1));
  logs_->OpenLog(Epoch(7), SessionId(2));
  Append(two, SessionId(2));
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_EQ(listener_.Complete().problem, "");
  EXPECT_EQ(listener_.Complete().final.reason, Reason::kDroneLost);
}

TEST_F(SealTest, ASecondSealMayWaitForLess) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  const std::string one = maker_.Out("1\n");
  Append(one);
  logs_->Seal(Seal(5));
  Drain();
  EXPECT_EQ(listener_.Count("complete 7"), 0);
  logs_->Seal(Seal(0));
  ASSERT_TRUE(listener_.Waits("complete 7"));
  ExpectSealed(one);
}

TEST_F(SealTest, ItsOwnFinalInTimeWins) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  logs_->Seal(Seal(2));
  const std::string whole = journal::Join({maker_.Out("1\n"), maker_.End()});
  Append(whole);
  ASSERT_TRUE(listener_.Waits("complete 7"));
  Drain();
  EXPECT_EQ(Stored(), whole);
  EXPECT_EQ(listener_.Complete().final.reason, Reason::kNone);
}

TEST_F(SealTest, AfterTheFinalTheTruthIsSaidAgainAndOnlyWhenItIsDurable) {
  listener_.on_complete = [this](Epoch epoch) {
    EXPECT_EQ(logs_->Durable(epoch), Seq(2)) << "complete before its sync";
  };
  logs_->OpenLog(Epoch(7), SessionId(1));
  const std::string whole = journal::Join({maker_.Out("1\n"), maker_.End()});
  Append(whole);
  logs_->Seal(Seal());
  ASSERT_TRUE(listener_.Waits("complete 7"));
  int before = listener_.Count("complete 7");
  logs_->Seal(Seal());
  ASSERT_TRUE(listener_.Waits("complete 7", before + 1));
  EXPECT_EQ(listener_.Complete().final.reason, Reason::kNone);
  EXPECT_EQ(Stored(), whole);
}

TEST_F(SealTest, ASealTextIsBounded) {
  effect::SealLog seal = Seal();
  seal.text = std::string(100'000, 'x');
  logs_->Seal(seal);
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_TRUE(Verified().complete) << Verified().problem;
}

TEST_F(SealTest, ADetailThatFillsARecordStillSeals) {
  effect::SealLog seal = Seal();
  seal.detail = std::string(100'000, 'x');
  logs_->Seal(seal);
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_TRUE(Verified().complete) << Verified().problem;
}

class RecoverLogTest : public SealTest {};

TEST_F(RecoverLogTest, WithFinalItIsPostedAgain) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  Append(journal::Join({maker_.Out("1\n"), maker_.End()}));
  ASSERT_TRUE(listener_.Waits("complete 7"));
  Restart();
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_EQ(listener_.Complete().last_seq, 2u);
  EXPECT_EQ(listener_.Complete().problem, "");
  EXPECT_EQ(listener_.Complete().duration, Duration(1'000'000));
}

// The final record crosses the index interval: its checkpoint lies behind it.
TEST_F(RecoverLogTest, WithAFinalInFrontOfTheLastCheckpoint) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  Append(maker_.Out(std::string(limits::kIndexEvery - journal::kHeaderBytes - 100, 'x')));
  Append(maker_.End());
  ASSERT_TRUE(listener_.Waits("complete 7"));
  ASSERT_EQ(journal::FindRecord(logs_->At(Epoch(7)), Seq(3)).next, Seq(3));
  Restart();
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_EQ(listener_.Complete().final.out, maker_.out());
  EXPECT_EQ(listener_.Complete().problem, "");
}

TEST_F(RecoverLogTest, WithoutFinalItGoesOn) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  const std::string one = maker_.Out("1\n"), two = maker_.Err("2\n"), end = maker_.End();
  Append(one);
  ASSERT_TRUE(listener_.Waits("acked s1 7:1"));
  Restart();
  EXPECT_EQ(logs_->Last(Epoch(7)), Seq(1));
  EXPECT_EQ(logs_->Durable(Epoch(7)), Seq(1));
  Append(two, SessionId(1));
  ASSERT_TRUE(listener_.Waits("fenced s1 7")) << "until a session is named";
  logs_->OpenLog(Epoch(7), SessionId(2));
  Append(two + end, SessionId(2));
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_EQ(listener_.Complete().problem, "");
  EXPECT_EQ(Stored(), one + two + end);
}

TEST_F(RecoverLogTest, AfterCheckpointsDigestsAndTotalsGoOn) {
  std::string all;
  for (std::uint64_t session = 1; session <= 3; ++session) {
    logs_->OpenLog(Epoch(7), SessionId(session));
    for (int i = 0; i < 20; ++i) {
      std::string batch =
          journal::Join({maker_.Out(test::NoiseBytes(9000, i)), maker_.Err(test::NoiseBytes(500, i))});
      Append(batch, SessionId(session));
      all += batch;
    }
    ASSERT_TRUE(
        listener_.Waits("acked s" + std::to_string(session) + " 7:" + std::to_string(maker_.last().value())));
    Restart();
  }
  logs_->OpenLog(Epoch(7), SessionId(4));
  const std::string end = maker_.End();
  Append(end, SessionId(4));
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_EQ(listener_.Complete().problem, "");
  EXPECT_TRUE(Stored() == all + end);
  EXPECT_TRUE(Verified().complete) << Verified().problem;
}

// Of a seal that was not acknowledged a loss of power may keep the first record and lose the final one.
TEST_F(RecoverLogTest, HalfASealCountsForNothing) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  const std::string one = maker_.Out("1\n"), two = maker_.Out("2\n"), end = maker_.End();
  Append(one);
  logs_->Seal(Seal());
  ASSERT_TRUE(listener_.Waits("complete 7"));
  const std::string stored = Stored();
  journal::RecordView said;
  journal::DecodeRecord(std::string_view(stored).substr(one.size()), &said);
  ASSERT_EQ(said.header.kind, journal::Kind::kStatus);
  const std::string path = logs_->At(Epoch(7)).Segment(0);
  logs_.reset();
  ASSERT_EQ(::truncate(path.c_str(),
                       static_cast<off_t>(journal::kSegmentHeaderBytes + one.size() + said.raw.size())),
            0);
  Restart();
  EXPECT_EQ(logs_->Last(Epoch(7)), Seq(1));
  logs_->OpenLog(Epoch(7), SessionId(2));
  Append(two + end, SessionId(2));
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_EQ(listener_.Complete().problem, "");
  EXPECT_EQ(Stored(), one + two + end);
  EXPECT_TRUE(Verified().complete) << Verified().problem;
}

TEST_F(RecoverLogTest, ATornTailIsCutAndAskedForAgain) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  const std::string one = maker_.Out("1\n"), two = maker_.Out("2\n"), end = maker_.End();
  Append(one + two);
  ASSERT_TRUE(listener_.Waits("acked s1 7:2"));
  const std::string path = logs_->At(Epoch(7)).Segment(0);
  logs_.reset();
  ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(journal::kSegmentHeaderBytes + one.size() + 20)), 0);
  Restart();
  EXPECT_EQ(logs_->Last(Epoch(7)), Seq(1));
  logs_->OpenLog(Epoch(7), SessionId(2));
  Append(end, SessionId(2));
  ASSERT_TRUE(listener_.Waits("resume_from s2 7:2"));
  Append(two + end, SessionId(2));
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_EQ(listener_.Complete().problem, "");
  EXPECT_EQ(Stored(), one + two + end);
}

// Checkpoints behind a cut speak of records that are not there any more.
TEST_F(RecoverLogTest, CheckpointsBehindACutAreForgotten) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  std::string first = maker_.Out("the only line that stays\n");
  std::string batch = first;
  for (int i = 0; i < 300; ++i) batch += maker_.Out(std::string(999, 'x') + "\n");
  Append(batch);
  ASSERT_TRUE(listener_.Waits("acked s1 7:301"));
  const std::string path = logs_->At(Epoch(7)).Segment(0);
  logs_.reset();
  ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(journal::kSegmentHeaderBytes + first.size())), 0);
  Restart();
  logs_->Seal(Seal());
  ASSERT_TRUE(listener_.Waits("complete 7"));
  ExpectSealed(first);
  EXPECT_EQ(journal::FindLine(logs_->At(Epoch(7)), 1000).next, Seq(1));
  EXPECT_EQ(journal::FindRecord(logs_->At(Epoch(7)), Seq(1000)).next, Seq(1));
}

TEST_F(RecoverLogTest, ALogWithoutFiles) {
  Restart({Epoch(7), Epoch(8)});
  EXPECT_EQ(logs_->Last(Epoch(8)), Seq());
  logs_->Seal(Seal());
  ASSERT_TRUE(listener_.Waits("complete 7"));
  ExpectSealed("");
}

}  // namespace
}  // namespace waggle::queen
