#include "tests/drone/core/core_fixture.h"

namespace waggle::drone {
namespace {

using testing::HasSubstr;

class BulkTest : public CoreTest {
 protected:
  BulkTest() : CoreTest(16) {}

  effect::SendRecords Wanted() {
    EXPECT_EQ(Count<effect::SendRecords>(), 1u);
    return Count<effect::SendRecords>() == 1 ? All<effect::SendRecords>()[0] : effect::SendRecords{};
  }
  void SentUpTo(std::uint64_t epoch, std::uint64_t upto, std::size_t bytes) {
    Step(event::RecordsSent{Epoch(epoch), Seq(upto), bytes});
  }
};

TEST_F(BulkTest, RecordsGoAtOnceAndOneMessageAtATime) {
  Connect();
  Run(1);
  Watermark(1, 3);
  EXPECT_EQ(Wanted().from, Seq(1));
  EXPECT_EQ(Wanted().to, Seq(3));
  SentUpTo(1, 3, 300);
  Watermark(1, 8);
  EXPECT_EQ(Count<effect::SendRecords>(), 0u) << "a message is being written";
  Step(event::BulkReady{});
  EXPECT_EQ(Wanted().from, Seq(4));
  EXPECT_EQ(Wanted().to, Seq(8));
}

TEST_F(BulkTest, OneMessageIsAtMostABatch) {
  Connect();
  Run(1);
  Watermark(1, 1'000'000);
  EXPECT_EQ(Wanted().max_bytes, limits::kLogBatch);
}

TEST_F(BulkTest, TheWindowOfAnAttemptStopsItUntilAnAck) {
  Connect();
  Run(1);
  Watermark(1, 1'000'000);
  std::uint64_t seq = 0;
  while (Count<effect::SendRecords>() == 1) {
    seq += 100;
    SentUpTo(1, seq, Wanted().max_bytes);
    Step(event::BulkReady{});
  }
  EXPECT_LE(core_.in_flight(), limits::kWindowPerAttempt);
  EXPECT_GT(core_.in_flight(), limits::kWindowPerAttempt - 2 * limits::kLogBatch);
  HearBulk(Ack{Epoch(1), Seq(100)});
  EXPECT_EQ(Wanted().from, Seq(seq + 1));
}

TEST_F(BulkTest, TheWindowOfTheDroneStopsAll) {
  Connect();
  for (std::uint64_t epoch = 1; epoch <= 12; ++epoch) Run(epoch);
  std::uint64_t last = 1'000'000;
  for (std::uint64_t epoch = 1; epoch <= 12; ++epoch) {
    Watermark(epoch, last);
    while (Count<effect::SendRecords>() == 1) {
      const effect::SendRecords wanted = All<effect::SendRecords>()[0];
      Step(event::RecordsSent{wanted.epoch, Seq(wanted.from.value() + 99), wanted.max_bytes});
      Step(event::BulkReady{});
    }
  }
  EXPECT_LE(core_.in_flight(), limits::kWindowPerDrone);
  EXPECT_GT(core_.in_flight(), limits::kWindowPerDrone - limits::kLogBatch);
}

TEST_F(BulkTest, AttemptsTakeTurns) {
  Connect();
  Run(1);
  Run(2);
  Run(3);
  Watermark(1, 1000);
  SentUpTo(1, 10, 1000);
  Watermark(2, 1000);
  Watermark(3, 1000);
  std::vector<std::uint64_t> order;
  for (int i = 0; i < 6; ++i) {
    Step(event::BulkReady{});
    order.push_back(Wanted().epoch.value());
    SentUpTo(order.back(), Wanted().from.value() + 9, 1000);
  }
  EXPECT_THAT(order, testing::ElementsAre(2, 3, 1, 2, 3, 1));
}

TEST_F(BulkTest, ACutResendsFromTheAcknowledgedRecord) {
  Connect();
  Run(1);
  Watermark(1, 30);
  SentUpTo(1, 30, 3000);
  HearBulk(Ack{Epoch(1), Seq(12)});
  Step(event::BulkLost{"reset", 0.5});
  EXPECT_EQ(core_.in_flight(), 0u);
  EXPECT_TRUE(core_.connected()) << "control is another connection";
  while (Count<effect::OpenBulk>() == 0) Sleep();
  Step(event::BulkReady{});
  EXPECT_EQ(Wanted().from, Seq(13));
}

TEST_F(BulkTest, ResumeFromGoesBackExactlyThere) {
  Connect();
  Run(1);
  Watermark(1, 30);
  SentUpTo(1, 10, 1000);
  Step(event::BulkReady{});
  SentUpTo(1, 20, 1000);
  Step(event::BulkReady{});
  SentUpTo(1, 30, 1000);
  HearBulk(ResumeFrom{Epoch(1), Seq(11)});
  EXPECT_EQ(core_.in_flight(), 1000u);
  Step(event::BulkReady{});
  EXPECT_EQ(Wanted().from, Seq(11));
}

TEST_F(BulkTest, ResumeFromAnAcknowledgedRecordIsObeyed) {
  Connect();
  Run(1);
  Watermark(1, 30);
  SentUpTo(1, 30, 1000);
  HearBulk(Ack{Epoch(1), Seq(30)});
  HearBulk(ResumeFrom{Epoch(1), Seq(5)});
  Step(event::BulkReady{});
  EXPECT_EQ(Wanted().from, Seq(5));
  EXPECT_EQ(Wanted().to, Seq(30));
}

TEST_F(BulkTest, AcksAndResumesThatCannotBeTrueChangeNothing) {
  Connect();
  Run(1);
  Watermark(1, 30);
  SentUpTo(1, 10, 1000);
  HearBulk(Ack{Epoch(1), Seq(11)});
  HearBulk(Ack{Epoch(77), Seq(1)});
  HearBulk(ResumeFrom{Epoch(1), Seq(12)});
  HearBulk(ResumeFrom{Epoch(1), Seq(0)});
  HearBulk(ResumeFrom{Epoch(77), Seq(1)});
  EXPECT_EQ(core_.in_flight(), 1000u);
  Step(event::BulkReady{});
  EXPECT_EQ(Wanted().from, Seq(11));
}

TEST_F(BulkTest, ALateAnswerOfALostStreamDoesNotBlockTheNext) {
  Connect();
  Run(1);
  Watermark(1, 30);
  Step(event::BulkLost{"reset", 0.0});
  Step(event::BulkReady{});
  EXPECT_EQ(Count<effect::SendRecords>(), 0u) << "that stream is gone";
}

TEST_F(BulkTest, ASpoolThatShowsNothingYetWaitsForTheNextWatermark) {
  Connect();
  Run(1);
  Watermark(1, 3);
  SentUpTo(1, 0, 0);
  EXPECT_EQ(Count<effect::SendRecords>(), 0u) << "no busy loop";
  Watermark(1, 4);
  EXPECT_EQ(Wanted().from, Seq(1));
}

TEST_F(BulkTest, RecordsThatAFinishedSpoolDoesNotHaveEndItLost) {
  Connect();
  Run(1);
  Status(1, HeldState::kFinished, 5);
  Gone(1, HeldState::kFinished, 5);
  SentUpTo(1, 0, 0);
  ASSERT_EQ(Sent<ShimLost>().size(), 1u);
  EXPECT_EQ(Sent<ShimLost>()[0].last, Seq(0));
  EXPECT_THAT(Sent<ShimLost>()[0].detail, HasSubstr("damaged"));
}

TEST_F(BulkTest, ADamagedSpoolEndsTheAttemptAtItsLastGoodRecord) {
  Connect();
  Run(1);
  Watermark(1, 10);
  Step(event::SpoolDamaged{Epoch(1), Seq(6), "record 7 is damaged in spool.000 at byte 99"});
  EXPECT_EQ(Count<effect::KillTree>(), 1u);
  Watermark(1, 12);
  Gone(1, HeldState::kFinished, 12);
  ASSERT_EQ(Sent<ShimLost>().size(), 1u);
  EXPECT_EQ(Sent<ShimLost>()[0].last, Seq(6));
  EXPECT_THAT(Sent<ShimLost>()[0].detail, HasSubstr("byte 99"));
}

TEST_F(BulkTest, DamageBetweenTheLastWordOfAShimAndItsExitIsTold) {
  Connect();
  Run(1);
  Status(1, HeldState::kFinished, 10);
  Step(event::SpoolDamaged{Epoch(1), Seq(6), "record 7 is damaged in spool.000 at byte 99"});
  ASSERT_EQ(Sent<ShimLost>().size(), 1u);
  EXPECT_EQ(Sent<ShimLost>()[0].last, Seq(6));
  EXPECT_THAT(Sent<ShimLost>()[0].detail, HasSubstr("byte 99"));
  Gone(1, HeldState::kFinished, 10);
  EXPECT_THAT(Sent<ShimLost>(), testing::IsEmpty()) << "once is enough";
}

TEST_F(BulkTest, AQueenThatLostWhatSheAcknowledgedIsToldSo) {
  Connect();
  Run(1);
  Watermark(1, 10);
  Step(event::SpoolDamaged{Epoch(1), Seq(3), "record 4 is deleted", /*trimmed=*/true});
  EXPECT_EQ(Count<effect::KillTree>(), 1u);
  Status(1, HeldState::kFinished,
         12);  // it ended by itself before the kill: its log is incomplete all the same
  Gone(1, HeldState::kFinished, 12);
  ASSERT_EQ(Sent<ShimLost>().size(), 1u);
  EXPECT_EQ(Sent<ShimLost>()[0].last, Seq(3));
  EXPECT_TRUE(Sent<ShimLost>()[0].trimmed);
  EXPECT_THAT(Sent<ShimLost>()[0].detail, HasSubstr("lost records that it had acknowledged"));
}

TEST_F(BulkTest, DeletingAnAttemptGivesItsWindowBack) {
  Connect();
  Run(1);
  Watermark(1, 30);
  SentUpTo(1, 30, 5000);
  HearBulk(Fenced{Epoch(1)});
  EXPECT_EQ(core_.in_flight(), 0u);
  EXPECT_EQ(Count<effect::KillTree>(), 1u);
}

TEST_F(BulkTest, FinalRecordsStillGoAfterTheShimIsGone) {
  Connect();
  Run(1);
  Cut();
  Status(1, HeldState::kFinished, 40);
  Gone(1, HeldState::kFinished, 40);
  ComeBack();
  WelcomeWith({{Epoch(1), Disposition::Action::kSendFinal, Seq(38), false, false}});
  Step(event::BulkReady{});
  EXPECT_EQ(Wanted().from, Seq(39));
  EXPECT_EQ(Wanted().to, Seq(40));
}

}  // namespace
}  // namespace waggle::drone
