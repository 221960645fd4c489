#include "common/journal/writer.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/common/journal/journal_fixture.h"

namespace waggle::journal {
namespace {

using testing::HasSubstr;

class WriterTest : public JournalFixture {};

TEST_F(WriterTest, CreateWritesTheHeaderOfTheFirstSegment) {
  Create();
  EXPECT_EQ(Bytes(0), EncodeSegmentHeader(Epoch(7), Seq(1), 0));
  EXPECT_EQ(Bytes(0).size(), kSegmentHeaderBytes);
  EXPECT_EQ(writer_->last(), Seq());
  EXPECT_EQ(writer_->epoch(), Epoch(7));
  Tail tail = ScanAll();
  EXPECT_EQ(tail.last, Seq());
  EXPECT_EQ(tail.problem, "");
}

TEST_F(WriterTest, CreateRefusesAnExistingJournal) {
  Create();
  AppendLines(1);
  EXPECT_EQ(Writer::Create(at(), Epoch(7)).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ReadAll(), stored_);
}

TEST_F(WriterTest, CreateInAMissingDirectoryFails) {
  EXPECT_EQ(Writer::Create({directory_ / "missing", "7"}, Epoch(7)).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(WriterTest, RollsOverSmallSegmentsAndKeepsEveryByte) {
  Create();
  AppendLines(50);
  EXPECT_GE(writer_->segment(), 8u);
  EXPECT_EQ(writer_->last(), Seq(50));
  EXPECT_EQ(ReadAll(), stored_);
  std::uint64_t first = 1;
  for (std::uint32_t n = 0; n <= writer_->segment(); ++n) {
    absl::StatusOr<SegmentHeader> header = DecodeSegmentHeader(Bytes(n));
    ASSERT_TRUE(header.ok()) << header.status();
    EXPECT_EQ(header->number, n);
    EXPECT_EQ(header->first, Seq(first));
    ForEachRecord(std::string_view(test::ReadText(Segment(n))).substr(kSegmentHeaderBytes),
                  [&](const RecordView&) { ++first; });
  }
  EXPECT_FALSE(Exists(writer_->segment() + 1));
}

TEST_F(WriterTest, SeveralRecordsInOneAppend) {
  Create();
  std::string raw = maker_.Out("a\n");
  raw += maker_.Err("b\n");
  raw += maker_.Out("c\n");
  Append(raw);
  EXPECT_EQ(writer_->last(), Seq(3));
  EXPECT_EQ(ReadAll(), raw);
  EXPECT_TRUE(writer_->Sync().ok());
}

TEST_F(WriterTest, SyncMayRunBehindAppends) {
  Create();
  AppendLines(10);
  absl::StatusOr<Writer::PendingSync> pending = writer_->TakeSync();
  ASSERT_TRUE(pending.ok());
  AppendLines(20);
  EXPECT_TRUE(pending->Run().ok());
  EXPECT_TRUE(writer_->Sync().ok());
  EXPECT_EQ(ReadAll(), stored_);
}

TEST_F(WriterTest, SegmentNumbersAboveThreeDigitsWork) {
  Create(1);  // every append rolls
  AppendLines(1005, "");
  EXPECT_GE(writer_->segment(), 1004u);
  EXPECT_TRUE(Exists(writer_->segment()));
  EXPECT_EQ(ReadAll(), stored_);
}

TEST(SegmentHeader, EveryTruncationAndBitFlipIsRefused) {
  std::string bytes = EncodeSegmentHeader(Epoch(7), Seq(3), 2);
  ASSERT_EQ(bytes.size(), kSegmentHeaderBytes);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(DecodeSegmentHeader(bytes.substr(0, size)).status().code(), absl::StatusCode::kDataLoss);
  }
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(DecodeSegmentHeader(damaged).status().code(), absl::StatusCode::kDataLoss) << bit;
  }
}

// A child process with a small file size limit stands for a full disk. Exit codes of the child name what went
// wrong.
class FullDiskTest : public JournalFixture {
 protected:
  static void LimitFiles(rlim_t bytes) {
    rlimit limit{bytes, RLIM_INFINITY};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  static void NoLimit() {
    rlimit limit;
    ::getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  template <typename Body>
  static int InChild(Body&& body) {
    pid_t child = ::fork();
    if (child == 0) {
      ::signal(SIGXFSZ, SIG_IGN);
      ::_exit(body());
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }
};

TEST_F(FullDiskTest, ARetryOverwritesThePartialBytes) {
  Create(1 << 20);
  AppendLines(3);
  const std::string big = maker_.Out(std::string(5000, 'b'));
  EXPECT_EQ(InChild([&] {
              LimitFiles(1000);
              if (writer_->AppendRaw(big, Seq(4)).ok()) return 1;
              if (writer_->last() != Seq(3)) return 2;
              NoLimit();
              if (!writer_->AppendRaw(big, Seq(4)).ok()) return 3;
              return writer_->Sync().ok() ? 0 : 4;
            }),
            0);
  EXPECT_EQ(ReadAll(), stored_ + big);
  EXPECT_EQ(ScanAll().problem, "");
}

// What replaces the failed append may be shorter: nothing of it may stay behind the new end.
TEST_F(FullDiskTest, AShorterAppendAfterAFailedOneLeavesNoRest) {
  Create(1 << 20);
  AppendLines(3);
  RecordMaker other = maker_;
  const std::string big = other.Out(std::string(5000, 'b'));
  const std::string end = maker_.End();
  EXPECT_EQ(InChild([&] {
              LimitFiles(2000);
              if (writer_->AppendRaw(big, Seq(4)).ok()) return 1;
              return writer_->AppendRaw(end, Seq(4)).ok() ? 0 : 3;
            }),
            0);
  EXPECT_EQ(ReadAll(), stored_ + end);
  VerifyResult result = VerifyAll();
  EXPECT_TRUE(result.complete) << result.problem;
}

TEST_F(FullDiskTest, ARollThatFailsIsTriedAgain) {
  Create();
  AppendLines(5);
  const std::string next = maker_.Out("behind the roll\n");
  const Seq last = maker_.last();
  ASSERT_GE(writer_->position(), kSmallSegment);
  EXPECT_EQ(InChild([&] {
              LimitFiles(10);  // not even the header fits
              if (writer_->AppendRaw(next, last).ok()) return 1;
              if (::access(Segment(writer_->segment() + 1).c_str(), F_OK) == 0) return 2;
              LimitFiles(kSegmentHeaderBytes + 5);  // the header fits, the record does not
              if (writer_->AppendRaw(next, last).ok()) return 3;
              NoLimit();
              return writer_->AppendRaw(next, last).ok() ? 0 : 4;
            }),
            0);
  EXPECT_EQ(ReadAll(), stored_ + next);
  EXPECT_EQ(ScanAll().problem, "");
}

}  // namespace
}  // namespace waggle::journal
