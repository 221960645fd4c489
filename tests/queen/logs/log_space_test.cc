// Logs on a file system without space: nothing that was acknowledged is lost, what is missing is asked for.
#include "tests/queen/logs/logs_fixture.h"
#include "tests/support/small_disk.h"

namespace waggle::queen {
namespace {

class LogSpaceTest : public LogsFixture {
 protected:
  void SetUp() override {
    disk_ = std::make_unique<test::SmallDisk>(directory_ / "logs", "size=1m,nr_inodes=40");
    ASSERT_TRUE(disk_->mounted());
    Start();
  }
  void TearDown() override {
    logs_.reset();
    disk_.reset();
  }
  // Nothing is left but the rest of the pages that are in use.
  std::string Fill() {
    logs_->OpenLog(Epoch(7), SessionId(1));
    const std::string one = maker_.Out("1\n");
    Append(one);
    EXPECT_TRUE(listener_.Waits("acked s1 7:1"));
    disk_->Fill();
    return one;
  }

  std::unique_ptr<test::SmallDisk> disk_;
};

TEST_F(LogSpaceTest, WhatDoesNotFitIsAskedForWhenThereIsSpace) {
  const std::string one = Fill(), two = maker_.Out(std::string(20'000, '2')), three = maker_.Out("3\n"),
                    end = maker_.End();
  Append(two);
  ASSERT_TRUE(listener_.Waits("starved 0"));
  Append(three + end);  // turned away although it might fit
  Drain();
  EXPECT_EQ(Stored(), one);
  EXPECT_EQ(listener_.Count("complete 7"), 0);
  disk_->Free();
  logs_->GoOn();
  ASSERT_TRUE(listener_.Waits("resume_from s1 7:2"));
  Append(two + three + end);
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_EQ(Stored(), one + two + three + end);
  EXPECT_EQ(listener_.Complete().problem, "") << "digests and offsets are of what is stored";
  EXPECT_TRUE(Verified().complete);
  EXPECT_EQ(listener_.Count("starved 0"), 1);
}

TEST_F(LogSpaceTest, TheFirstPartOfABatchThatFitsIsKept) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  std::string batch;
  std::vector<std::string> records;
  for (int i = 0; i < 40; ++i) batch += records.emplace_back(maker_.Out(std::string(60'000, 'a' + i % 26)));
  Append(batch);  // more than the disk has
  ASSERT_TRUE(listener_.Waits("starved 0"));
  Drain();
  const std::string stored = Stored();
  EXPECT_GT(stored.size(), 500'000u);
  EXPECT_TRUE(batch.starts_with(stored));
  EXPECT_EQ(logs_->Last(Epoch(7)), Seq(stored.size() / records[0].size()));
  disk_->Remount("size=8m");
  logs_->GoOn();
  const std::uint64_t next = stored.size() / records[0].size() + 1;
  ASSERT_TRUE(listener_.Waits("resume_from s1 7:" + std::to_string(next)));
  std::string rest;
  for (std::size_t i = next - 1; i < records.size(); ++i) rest += records[i];
  const std::string end = maker_.End();
  Append(rest + end);
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_EQ(listener_.Complete().problem, "");
  EXPECT_TRUE(Stored() == batch + end);
}

TEST_F(LogSpaceTest, HeldLogsTurnRecordsAwayAndAskForThemLater) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  const std::string one = maker_.Out("1\n"), two = maker_.Out("2\n");
  Append(one);
  ASSERT_TRUE(listener_.Waits("acked s1 7:1"));
  logs_->Hold();
  Append(two);
  Drain();
  EXPECT_EQ(Stored(), one);
  logs_->GoOn();
  ASSERT_TRUE(listener_.Waits("resume_from s1 7:2"));
  Append(two);
  ASSERT_TRUE(listener_.Waits("acked s1 7:2"));
  EXPECT_EQ(listener_.Count("starved 0"), 0);
}

TEST_F(LogSpaceTest, OnlyTheLogsThatMissSomethingAreAsked) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  logs_->Hold();
  logs_->GoOn();
  Drain();
  EXPECT_EQ(listener_.Count("resume_from s1 7:1"), 0);
}

TEST_F(LogSpaceTest, ASealWaitsForSpace) {
  const std::string one = Fill();
  Append(maker_.Out(std::string(20'000, '2')));
  ASSERT_TRUE(listener_.Waits("starved 0"));
  logs_->Seal(Seal());
  Drain();
  EXPECT_EQ(listener_.Count("complete 7"), 0);
  disk_->Free();
  logs_->GoOn();
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_TRUE(Stored().starts_with(one));
  EXPECT_TRUE(Verified().complete);
  EXPECT_EQ(listener_.Complete().final.reason, Reason::kDroneLost);
}

TEST_F(LogSpaceTest, ALogWhoseFileCannotBeMadeIsMadeLater) {
  disk_->Fill();
  logs_->OpenLog(Epoch(7), SessionId(1));
  ASSERT_TRUE(listener_.Waits("starved 0"));
  const std::string one = maker_.Out("1\n");
  Append(one);
  Append(one, SessionId(2));
  ASSERT_TRUE(listener_.Waits("fenced s2 7"));
  EXPECT_EQ(listener_.Count("fenced s1 7"), 0) << "its own session is not turned away for good";
  disk_->Free();
  logs_->GoOn();
  ASSERT_TRUE(listener_.Waits("resume_from s1 7:1"));
  Append(one);
  ASSERT_TRUE(listener_.Waits("acked s1 7:1"));
}

// Its drone was back between the first free byte and GoOn(): the newer session keeps it and is asked.
TEST_F(LogSpaceTest, ALogThatWasMadeForANewerSessionMeanwhileStaysIts) {
  disk_->Fill();
  logs_->OpenLog(Epoch(7), SessionId(1));
  ASSERT_TRUE(listener_.Waits("starved 0"));
  logs_->Hold();
  disk_->Free();
  logs_->OpenLog(Epoch(7), SessionId(2));
  const std::string one = maker_.Out("1\n");
  Append(one, SessionId(2));
  logs_->GoOn();
  ASSERT_TRUE(listener_.Waits("resume_from s2 7:1"));
  Append(one, SessionId(2));
  ASSERT_TRUE(listener_.Waits("acked s2 7:1"));
  EXPECT_EQ(listener_.Count("resume_from s1 7:1"), 0);
}

TEST_F(LogSpaceTest, ASealOfALogThatCannotBeMadeIsMadeLater) {
  disk_->Fill();
  logs_->Seal(Seal());
  ASSERT_TRUE(listener_.Waits("starved 0"));
  disk_->Free();
  logs_->GoOn();
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_TRUE(Verified().complete);
}

TEST_F(LogSpaceTest, AClosedLogIsNotMadeLater) {
  disk_->Fill();
  logs_->OpenLog(Epoch(7), SessionId(1));
  ASSERT_TRUE(listener_.Waits("starved 0"));
  logs_->CloseLog(Epoch(7));
  disk_->Free();
  logs_->GoOn();
  Drain();
  EXPECT_EQ(listener_.Count("resume_from s1 7:1"), 0);
  EXPECT_EQ(logs_->Last(Epoch(7)), std::nullopt);
}

}  // namespace
}  // namespace waggle::queen
