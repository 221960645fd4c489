#include "queen/logs/log_store.h"

#include <thread>

#include "tests/queen/logs/logs_fixture.h"

namespace waggle::queen {
namespace {

using journal::RecordMaker;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

using LogStoreTest = LogsFixture;

// What is complete gets a verdict, which acknowledges it whole.
TEST_F(LogStoreTest, AppendedThenAckedThenComplete) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  const std::string one = maker_.Out("one\n"), two = maker_.Err("two\n"), end = maker_.End();
  Append(one);
  ASSERT_TRUE(listener_.Waits("acked s1 7:1"));
  Append(two + end);
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_EQ(listener_.Said(),
            (std::vector<std::string>{"appended 7", "acked s1 7:1", "appended 7", "complete 7"}));
  EXPECT_EQ(Stored(), one + two + end);
  EXPECT_TRUE(Verified().complete);
  event::LogComplete complete = listener_.Complete();
  EXPECT_EQ(complete.epoch, Epoch(7));
  EXPECT_EQ(complete.last_seq, 3u);
  EXPECT_EQ(complete.problem, "");
  EXPECT_EQ(complete.final.out, maker_.out());
  EXPECT_EQ(complete.duration, Duration(2'000'000)) << "from the first record to the last";
}

TEST_F(LogStoreTest, LastAndDurableAreOfOpenLogsOnly) {
  EXPECT_EQ(logs_->Last(Epoch(7)), std::nullopt);
  logs_->OpenLog(Epoch(7), SessionId(1));
  Append(maker_.Out("x"));
  ASSERT_TRUE(listener_.Waits("acked s1 7:1"));
  EXPECT_EQ(logs_->Last(Epoch(7)), Seq(1));
  EXPECT_EQ(logs_->Durable(Epoch(7)), Seq(1));
  logs_->CloseLog(Epoch(7));
  Drain();
  EXPECT_EQ(logs_->Last(Epoch(7)), std::nullopt);
  EXPECT_EQ(logs_->Durable(Epoch(7)), std::nullopt);
}

TEST_F(LogStoreTest, FilesLieInDirectoriesOf4096) {
  EXPECT_EQ(logs_->At(Epoch(7)).Segment(0), directory_ / "logs/0/7.000");
  EXPECT_EQ(logs_->At(Epoch(4096)).Segment(2), directory_ / "logs/1/4096.002");
}

TEST_F(LogStoreTest, AGapIsAnsweredWithWhereToResume) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  const std::string one = maker_.Out("1\n"), two = maker_.Out("2\n"), three = maker_.Out("3\n");
  Append(one);
  Append(three);
  ASSERT_TRUE(listener_.Waits("resume_from s1 7:2"));
  EXPECT_EQ(Stored(), one);
  Append(two + three);
  ASSERT_TRUE(listener_.Waits("acked s1 7:3"));
  EXPECT_EQ(Stored(), one + two + three);
}

TEST_F(LogStoreTest, AGapWithinABatchKeepsWhatIsBeforeIt) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  const std::string one = maker_.Out("1\n"), two = maker_.Out("2\n"), three = maker_.Out("3\n");
  Append(one + three);
  ASSERT_TRUE(listener_.Waits("resume_from s1 7:2"));
  ASSERT_TRUE(listener_.Waits("acked s1 7:1"));
  EXPECT_EQ(Stored(), one);
}

TEST_F(LogStoreTest, ADamagedRecordIsNotStored) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  const std::string one = maker_.Out("1\n"), two = maker_.Out("2\n");
  for (std::size_t byte = 0; byte < two.size(); ++byte) {
    std::string bad = two;
    bad[byte] = static_cast<char>(bad[byte] ^ 4);
    Append(byte == 0 ? one + bad : bad);
    ASSERT_TRUE(listener_.Waits("resume_from s1 7:2", static_cast<int>(byte) + 1));
    ASSERT_EQ(Stored(), one);
  }
  Append(two.substr(0, two.size() - 1));
  ASSERT_TRUE(listener_.Waits("resume_from s1 7:2", static_cast<int>(two.size()) + 1)) << "half a record";
  Append(two);
  ASSERT_TRUE(listener_.Waits("acked s1 7:2"));
  EXPECT_EQ(Stored(), one + two);
}

TEST_F(LogStoreTest, ARecordOfAnotherEpochIsNotStored) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  Append(RecordMaker(Epoch(8)).Out("1\n"));
  ASSERT_TRUE(listener_.Waits("resume_from s1 7:1"));
  EXPECT_EQ(Stored(), "");
}

TEST_F(LogStoreTest, ARepeatIsAcknowledgedAgainAndNotStoredTwice) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  const std::string one = maker_.Out("1\n"), two = maker_.Out("2\n"), three = maker_.Out("3\n");
  Append(one + two);
  ASSERT_TRUE(listener_.Waits("acked s1 7:2"));
  Append(one);
  ASSERT_TRUE(listener_.Waits("acked s1 7:2", 2));
  Append(two + three);
  ASSERT_TRUE(listener_.Waits("acked s1 7:3"));
  EXPECT_EQ(Stored(), one + two + three);
  Append(maker_.End());
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_EQ(listener_.Complete().problem, "");
}

TEST_F(LogStoreTest, ARepeatWithOtherBytesIsAConflictAndTheFirstStay) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  RecordMaker liar;
  const std::string one = maker_.Out("1\n"), two = maker_.Out("2\n");
  const std::string lie = liar.Out("X\n");
  Append(one + two);
  ASSERT_TRUE(listener_.Waits("acked s1 7:2"));
  Append(lie);
  ASSERT_TRUE(listener_.Waits("acked s1 7:2", 2));
  EXPECT_EQ(Stored(), one + two);
  Append(maker_.End());
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_THAT(listener_.Complete().problem, HasSubstr("record 1 was sent twice with different content"));
}

TEST_F(LogStoreTest, RepeatsAmongFreshRecordsAreNotStored) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  const std::string one = maker_.Out("1\n"), two = maker_.Out("2\n"), three = maker_.Out("3\n");
  Append(one + one + two + one + two + three + two);
  ASSERT_TRUE(listener_.Waits("acked s1 7:3"));
  EXPECT_EQ(Stored(), one + two + three);
  Append(maker_.End());
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_EQ(listener_.Complete().problem, "");
  EXPECT_TRUE(Verified().complete) << Verified().problem;
}

TEST_F(LogStoreTest, AConflictWithinOneMessageIsSeen) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  RecordMaker liar;
  const std::string one = maker_.Out("1\n");
  Append(one + liar.Out("X\n"));
  Append(maker_.End());
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_THAT(listener_.Complete().problem, HasSubstr("record 1 was sent twice with different content"));
  EXPECT_EQ(Stored().substr(0, one.size()), one);
}

TEST_F(LogStoreTest, ARecordWithoutANumberIsNone) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  journal::RecordHeader header;
  header.epoch = Epoch(7);
  header.kind = journal::Kind::kStdout;
  std::string raw;
  journal::EncodeRecord(header, "x", &raw);
  Append(raw);
  ASSERT_TRUE(listener_.Waits("resume_from s1 7:1"));
  EXPECT_EQ(Stored(), "");
}

TEST_F(LogStoreTest, AFinalWhoseExitCodesCannotBeIsAProblem) {
  const struct {
    const char* problem;
    std::function<void(journal::Final&)> lie;
  } kCases[] = {
      {"exit code 256 of its first failed command", [](journal::Final& f) { f.failed_code = 256; }},
      {"exit code -1 of its first failed command", [](journal::Final& f) { f.failed_code = -1; }},
      {"exit code -2 of its tests", [](journal::Final& f) { f.test_code = -2; }},
      {"exit code 504 of its deploy", [](journal::Final& f) { f.deploy_code = 504; }},
      {"exit code 3 of its tests, but no failed command", [](journal::Final& f) { f.test_code = 3; }},
      {"its last record is 9; it is 1", [](journal::Final& f) { f.last = Seq(9); }},
      {"", [](journal::Final& f) { f.test_code = f.failed_code = 255; }},
      {"", [](journal::Final& f) { f.reason = Reason::kTimeout, f.test_code = 1; }},
      {"", [](journal::Final& f) { f.reason = Reason::kUnknown, f.deploy_code = 504; }},
  };
  std::uint64_t epoch = 10;
  for (const auto& c : kCases) {
    RecordMaker maker{Epoch(++epoch)};
    logs_->OpenLog(Epoch(epoch), SessionId(1));
    Append(maker.End(c.lie), SessionId(1), Epoch(epoch));
    ASSERT_TRUE(listener_.Waits("complete " + std::to_string(epoch)));
    const std::string problem = listener_.Complete(epoch - 11).problem;
    EXPECT_TRUE(*c.problem == '\0' ? problem.empty() : problem.find(c.problem) != std::string::npos)
        << problem;
  }
}

// A drone that lost its acknowledgements sends a whole window again: it must cost about as much as the first
// time.
TEST_F(LogStoreTest, ManyRepeatsAreCheckedInOnePass) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  std::string window;
  while (window.size() < limits::kWindowPerAttempt) window += maker_.Out("a short line\n");
  Append(window);
  std::string last = "acked s1 7:" + std::to_string(maker_.last().value());
  ASSERT_TRUE(listener_.Waits(last));
  Append(window);
  ASSERT_TRUE(listener_.Waits(last, 2));
  EXPECT_TRUE(Stored() == window);
}

TEST_F(LogStoreTest, OnlyTheSessionThatWasNamedLastMayWrite) {
  const std::string one = maker_.Out("1\n"), two = maker_.Out("2\n");
  Append(one);
  ASSERT_TRUE(listener_.Waits("fenced s1 7")) << "not open";
  logs_->OpenLog(Epoch(7), SessionId(1));
  Append(one);
  ASSERT_TRUE(listener_.Waits("acked s1 7:1"));
  logs_->OpenLog(Epoch(7), SessionId(2));
  Append(two, SessionId(1));
  ASSERT_TRUE(listener_.Waits("fenced s1 7", 2));
  EXPECT_EQ(Stored(), one);
  Append(two, SessionId(2));
  ASSERT_TRUE(listener_.Waits("acked s2 7:2"));
  logs_->CloseLog(Epoch(7));
  Append(maker_.Out("3\n"), SessionId(2));
  ASSERT_TRUE(listener_.Waits("fenced s2 7"));
  EXPECT_EQ(Stored(), one + two);
}

TEST_F(LogStoreTest, NothingFollowsTheFinal) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  Append(journal::Join({maker_.Out("1\n"), maker_.End(), maker_.Out("late\n")}));
  ASSERT_TRUE(listener_.Waits("complete 7"));
  ASSERT_TRUE(listener_.Waits("resume_from s1 7:3"));
  EXPECT_TRUE(Verified().complete) << Verified().problem;
}

TEST_F(LogStoreTest, AFinalWithWrongTotalsIsAProblem) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  Append(journal::Join({maker_.Out("1\n"), maker_.End([](journal::Final& f) { f.out.bytes = 3; })}));
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_THAT(listener_.Complete().problem, HasSubstr("the final record says 3 + 0 bytes"));
}

TEST_F(LogStoreTest, AFinalWithAWrongDigestIsAProblem) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  Append(journal::Join({maker_.Err("1\n"), maker_.End([](journal::Final& f) { f.err.digest[5] ^= 1; })}));
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_THAT(listener_.Complete().problem, HasSubstr("digest"));
}

TEST_F(LogStoreTest, AFinalThatCannotBeReadIsAProblem) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  Append(maker_.Other(journal::Kind::kFinal, "garbage"));
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_THAT(listener_.Complete().problem, HasSubstr("cannot be read"));
}

TEST_F(LogStoreTest, AWrongStreamOffsetIsAProblem) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  journal::RecordHeader header;
  header.epoch = Epoch(7);
  header.seq = Seq(1);
  header.kind = journal::Kind::kStdout;
  header.offset = 5;
  std::string raw;
  journal::EncodeRecord(header, "x", &raw);
  maker_.Out("x");
  Append(raw + maker_.End());
  ASSERT_TRUE(listener_.Waits("complete 7"));
  EXPECT_THAT(listener_.Complete().problem, HasSubstr("stream offset 5 instead of 0"));
}

TEST_F(LogStoreTest, ManyLogsAtOnceFromManyThreads) {
  constexpr int kLogs = 24, kBatches = 40;
  std::vector<std::thread> drones;
  std::vector<std::string> sent(kLogs);
  for (int i = 0; i < kLogs; ++i) logs_->OpenLog(Epoch(100 + i), SessionId(1 + i));
  for (int t = 0; t < 4; ++t) {
    drones.emplace_back([&, t] {
      for (int i = t; i < kLogs; i += 4) {
        RecordMaker maker(Epoch(100 + i));
        for (int b = 0; b < kBatches; ++b) {
          std::string batch = journal::Join(
              {maker.Out("batch " + std::to_string(b) + "\n"), maker.Err(std::string(b * 10, 'e'))});
          if (b + 1 == kBatches) batch += maker.End();
          sent[i] += batch;
          logs_->Append(SessionId(1 + i), Epoch(100 + i), batch, [] {});
        }
      }
    });
  }
  for (std::thread& drone : drones) drone.join();
  for (int i = 0; i < kLogs; ++i) {
    ASSERT_TRUE(listener_.Waits("complete " + std::to_string(100 + i)));
    EXPECT_EQ(Stored(Epoch(100 + i)), sent[i]);
    EXPECT_TRUE(Verified(Epoch(100 + i)).complete);
  }
}

TEST_F(LogStoreTest, WhatIsQueuedIsDoneBeforeTheEnd) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  std::string all;
  for (int i = 0; i < 200; ++i) {
    std::string raw = maker_.Out("line " + std::to_string(i) + "\n");
    Append(raw);
    all += raw;
  }
  journal::Location location = logs_->At(Epoch(7));
  logs_.reset();
  Start();
  EXPECT_EQ(Stored(), all);
  EXPECT_THAT(listener_.Said(), Contains("acked s1 7:200"));
}

TEST(LogStoreCreate, NeedsItsDirectory) {
  test::TempDir directory;
  test::WriteText(directory / "logs", "a file");
  LogListener listener;
  EXPECT_FALSE(LogStore::Create(directory / "logs", 1, listener.Callbacks()).ok());
}

}  // namespace
}  // namespace waggle::queen
