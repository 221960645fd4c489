#include <filesystem>

#include "tests/common/journal/journal_fixture.h"

namespace waggle::journal {
namespace {

using testing::HasSubstr;

class VerifyTest : public JournalFixture {
 protected:
  void ExpectProblem(const std::string& part) {
    VerifyResult result = VerifyAll();
    EXPECT_FALSE(result.complete);
    EXPECT_THAT(result.problem, HasSubstr(part));
    EXPECT_THAT(result.problem, testing::Not(HasSubstr(directory_.path())))
        << "no path of the data directory";
  }
  // Start, one line of output, and the given final record.
  template <typename Change>
  void LogEndingWith(Change&& change) {
    Create();
    Append(maker_.Start(0));
    Append(maker_.Out("one\n"));
    Append(maker_.Err("two\n"));
    Append(maker_.End(change));
  }
};

TEST_F(VerifyTest, AWholeLogIsComplete) {
  WholeLog();
  VerifyResult result = VerifyAll();
  EXPECT_TRUE(result.complete) << result.problem;
  EXPECT_EQ(result.problem, "");
  EXPECT_EQ(result.records, maker_.last().value());
  EXPECT_EQ(result.out, maker_.out());
  EXPECT_EQ(result.err, maker_.err());
}

TEST_F(VerifyTest, ALogWithoutOutputIsComplete) {
  Create();
  Append(maker_.End());
  EXPECT_TRUE(VerifyAll().complete);
}

TEST_F(VerifyTest, NoFilesAtAll) {
  ExpectProblem("no final record");
}

TEST_F(VerifyTest, ScanVisitsEveryRecordWithItsPlace) {
  WholeLog();
  std::string seen;
  std::uint32_t segment = 0;
  absl::StatusOr<Tail> tail = Scan(at(), Epoch(7), [&](const RecordView& record, Position position) {
    EXPECT_EQ(Bytes(position.segment).substr(position.byte, record.raw.size()), record.raw);
    EXPECT_GE(position.segment, segment);
    segment = position.segment;
    seen += record.raw;
  });
  ASSERT_TRUE(tail.ok());
  EXPECT_EQ(seen, stored_);
  EXPECT_TRUE(tail->final);
  EXPECT_EQ(tail->last, maker_.last());
  EXPECT_EQ(tail->segment, writer_->segment());
  EXPECT_EQ(tail->position, writer_->position());
}

TEST_F(VerifyTest, NoSingleFlippedByteIsOverlooked) {
  WholeLog();
  for (std::uint32_t segment = 0; segment <= writer_->segment(); ++segment) {
    const std::string good = Bytes(segment);
    for (std::size_t byte = 0; byte < good.size(); ++byte) {
      std::string bad = good;
      bad[byte] = static_cast<char>(bad[byte] ^ (1 << (byte % 8)));
      SetBytes(segment, bad);
      VerifyResult result = VerifyAll();
      ASSERT_FALSE(result.complete) << Segment(segment) << " byte " << byte;
      ASSERT_THAT(result.problem, HasSubstr(Segment(segment).substr(Segment(segment).rfind('/') + 1)));
    }
    SetBytes(segment, good);
  }
  EXPECT_TRUE(VerifyAll().complete);
}

TEST_F(VerifyTest, NoTruncationIsOverlooked) {
  WholeLog();
  const std::uint32_t last = writer_->segment();
  const std::string good = Bytes(last);
  for (std::size_t size = 0; size < good.size(); ++size) {
    SetBytes(last, good.substr(0, size));
    ASSERT_FALSE(VerifyAll().complete) << size;
  }
}

TEST_F(VerifyTest, CutAtARecordBorder) {
  Create(1 << 20);
  AppendLines(5);
  ExpectProblem("no final record behind record 5");
}

TEST_F(VerifyTest, AMissingSegment) {
  WholeLog();
  std::filesystem::remove(Segment(1));
  ExpectProblem("001 is missing, later ones are there");
}

TEST_F(VerifyTest, TornTailAndGarbageBehindTheFinal) {
  WholeLog();
  const std::uint32_t last = writer_->segment();
  const std::string good = Bytes(last);
  SetBytes(last, good + maker_.Out("late\n").substr(0, 20));
  ExpectProblem("cut off after 20 bytes");
  SetBytes(last, good + std::string(100, '\xEE'));
  ExpectProblem("damaged");
}

TEST_F(VerifyTest, ARecordBehindTheFinal) {
  WholeLog();
  Append(maker_.Status("too late"));
  ExpectProblem("follows the final record");
}

TEST_F(VerifyTest, ASegmentBehindTheFinal) {
  WholeLog();
  std::uint32_t next = writer_->segment() + 1;
  SetBytes(next, EncodeSegmentHeader(Epoch(7), Seq(maker_.last().value() + 1), next));
  ExpectProblem("a segment follows the final record");
}

TEST_F(VerifyTest, ARepeatedSegmentNumber) {
  WholeLog();
  SetBytes(2, Bytes(1));
  ExpectProblem("7.002");
}

TEST_F(VerifyTest, ARecordOfAnotherAttempt) {
  Create(1 << 20);
  Append(maker_.Out("ours\n"));
  RecordMaker other(Epoch(8));
  other.Out("1");
  std::string foreign = other.Out("theirs\n");
  SetBytes(0, Bytes(0) + foreign);
  ExpectProblem("record of epoch 8");
}

TEST_F(VerifyTest, AnotherEpochThanAskedFor) {
  WholeLog();
  absl::StatusOr<VerifyResult> result = Verify(at(), Epoch(9));
  ASSERT_TRUE(result.ok());
  EXPECT_FALSE(result->complete);
  EXPECT_THAT(result->problem, HasSubstr("epoch 7"));
}

TEST_F(VerifyTest, ASkippedNumber) {
  Create(1 << 20);
  Append(maker_.Out("1\n"));
  maker_.Status("lost");
  Append(maker_.Out("3\n"));
  ExpectProblem("record 3 stands where 2 belongs");
}

TEST_F(VerifyTest, AWrongStreamOffset) {
  Create(1 << 20);
  Append(maker_.Out("1\n"));
  RecordHeader header;
  header.epoch = maker_.epoch();
  header.seq = Seq(2);
  header.kind = Kind::kStdout;
  header.offset = 3;
  std::string raw;
  EncodeRecord(header, "x", &raw);
  ASSERT_TRUE(writer_->AppendRaw(raw, Seq(2)).ok());
  ExpectProblem("record 2 starts at stream offset 3 instead of 2");
}

TEST_F(VerifyTest, WrongTotals) {
  LogEndingWith([](Final& final) { final.out.bytes = 5; });
  ExpectProblem("stdout has 4 bytes; the final record says 5");
}

TEST_F(VerifyTest, WrongDigestOfStdout) {
  LogEndingWith([](Final& final) { final.out.digest[31] ^= 1; });
  ExpectProblem("another digest");
}

TEST_F(VerifyTest, WrongDigestOfStderr) {
  LogEndingWith([](Final& final) { final.err.digest[0] ^= 1; });
  ExpectProblem("stderr has 4 bytes");
}

TEST_F(VerifyTest, AFinalThatNamesAnotherLastRecord) {
  LogEndingWith([](Final& final) { final.last = Seq(17); });
  ExpectProblem("17");
}

TEST_F(VerifyTest, AFinalThatCannotBeRead) {
  Create();
  Append(maker_.Other(Kind::kFinal, "\x01garbage"));
  ExpectProblem("cannot be read");
}

}  // namespace
}  // namespace waggle::journal
