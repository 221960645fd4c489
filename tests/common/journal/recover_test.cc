#include <filesystem>

#include "common/journal/line_index.h"
#include "tests/common/journal/journal_fixture.h"

namespace waggle::journal {
namespace {

using testing::HasSubstr;

class RecoverTest : public JournalFixture {
 protected:
  // Appends go on behind what was recovered, with the numbers it left off at.
  void ExpectGoesOn(const std::string& kept) {
    std::uint64_t last = writer_->last().value();
    EXPECT_EQ(ReadAll(), kept);
    RecordHeader header;
    header.epoch = maker_.epoch();
    std::string all = kept;
    for (int i = 0; i < 12; ++i) {
      header.seq = Seq(++last);
      std::string raw;
      EncodeRecord(header, "after the recovery of this journal", &raw);
      absl::Status appended = writer_->AppendRaw(raw, header.seq);
      ASSERT_TRUE(appended.ok()) << appended;
      all += raw;
    }
    EXPECT_TRUE(writer_->Sync().ok());
    EXPECT_EQ(ReadAll(), all);
    Tail tail = ScanAll();
    EXPECT_EQ(tail.problem, "");
    EXPECT_EQ(tail.last, Seq(last));
  }
  // The records of segments before `number`, and of `number` itself if asked.
  std::string KeptBefore(std::uint32_t number) {
    std::string kept;
    for (std::uint32_t n = 0; n < number; ++n) kept += Bytes(n).substr(kSegmentHeaderBytes);
    return kept;
  }
};

TEST_F(RecoverTest, ANewJournal) {
  Recover();
  EXPECT_EQ(writer_->last(), Seq());
  ExpectGoesOn("");
}

TEST_F(RecoverTest, AWholeJournal) {
  WholeLog();
  Recover();
  EXPECT_EQ(writer_->last(), maker_.last());
  EXPECT_TRUE(writer_->tail().final);
  EXPECT_EQ(writer_->tail().problem, "");
  EXPECT_EQ(ReadAll(), stored_);
}

TEST_F(RecoverTest, ATornTailAtEveryLength) {
  Create();
  AppendLines(7);
  const std::uint32_t segment = writer_->segment();
  const std::string kept = stored_, base = Bytes(segment);
  const std::string torn = maker_.Out("the record the crash cut\n");
  writer_.reset();
  for (std::size_t cut = 0; cut < torn.size(); ++cut) {
    SetBytes(segment, base + torn.substr(0, cut));
    Recover();
    EXPECT_EQ(writer_->last(), Seq(7)) << cut;
    EXPECT_EQ(Bytes(segment), base) << cut;
    EXPECT_EQ(ReadAll(), kept) << cut;
  }
  ExpectGoesOn(kept);
}

// A file that grew before its bytes were written ends in zeroes.
TEST_F(RecoverTest, ATailOfZeroes) {
  Create();
  AppendLines(7);
  SetBytes(writer_->segment(), Bytes(writer_->segment()) + std::string(4096, '\0'));
  Recover();
  EXPECT_THAT(writer_->tail().problem, HasSubstr("damaged"));
  ExpectGoesOn(stored_);
}

TEST_F(RecoverTest, ADamagedRecordCutsEverythingBehindIt) {
  Create();
  AppendLines(30);
  const std::uint32_t segments = writer_->segment();
  ASSERT_GT(segments, 3u);
  const std::string first = KeptBefore(1);
  Flip(1, kSegmentHeaderBytes + kHeaderBytes + 2);
  Recover();
  EXPECT_THAT(writer_->tail().problem, HasSubstr("7.001 at byte 32"));
  EXPECT_EQ(writer_->segment(), 1u);
  EXPECT_EQ(Bytes(1).size(), kSegmentHeaderBytes);
  for (std::uint32_t n = 2; n <= segments; ++n) EXPECT_FALSE(Exists(n)) << n;
  ExpectGoesOn(first);
}

TEST_F(RecoverTest, ADamagedSegmentHeaderCutsFromThatSegment) {
  Create();
  AppendLines(30);
  const std::string kept = KeptBefore(2);
  Flip(2, 9);
  Recover();
  EXPECT_THAT(writer_->tail().problem, HasSubstr("7.002"));
  EXPECT_EQ(writer_->segment(), 1u);
  ExpectGoesOn(kept);
}

TEST_F(RecoverTest, ADamagedFirstHeaderLeavesAnEmptyJournal) {
  Create();
  AppendLines(30);
  Flip(0, 0);
  Recover();
  EXPECT_EQ(writer_->last(), Seq());
  ExpectGoesOn("");
}

TEST_F(RecoverTest, AnEmptyOrShortSegmentFile) {
  for (std::size_t size : {std::size_t{0}, std::size_t{1}, kSegmentHeaderBytes - 1}) {
    SCOPED_TRACE(size);
    std::filesystem::remove_all(directory_.path());
    std::filesystem::create_directory(directory_.path());
    maker_ = RecordMaker();
    stored_.clear();
    Create();
    AppendLines(30);
    const std::string kept = KeptBefore(2);
    SetBytes(2, Bytes(2).substr(0, size));
    Recover();
    ExpectGoesOn(kept);
  }
}

TEST_F(RecoverTest, AnEmptyFirstFile) {
  SetBytes(0, "");
  Recover();
  ExpectGoesOn("");
}

TEST_F(RecoverTest, ASegmentThatHoldsNothingYet) {
  Create();
  AppendLines(5);
  const std::uint32_t next = writer_->segment() + 1;
  ASSERT_GE(writer_->position(), kSmallSegment);
  SetBytes(next, EncodeSegmentHeader(Epoch(7), Seq(6), next));
  Recover();
  EXPECT_EQ(writer_->last(), Seq(5));
  EXPECT_EQ(writer_->segment(), next);
  ExpectGoesOn(stored_);
}

// Behind a hole nothing counts; what stood there may not be in the way of what comes.
TEST_F(RecoverTest, AMissingMiddleSegment) {
  Create();
  AppendLines(30);
  ASSERT_GT(writer_->segment(), 4u);
  const std::string kept = KeptBefore(2);
  std::filesystem::remove(Segment(2));
  Recover();
  EXPECT_EQ(writer_->segment(), 1u);
  ExpectGoesOn(kept);
}

TEST_F(RecoverTest, AMissingFirstSegment) {
  Create();
  AppendLines(30);
  std::filesystem::remove(Segment(0));
  Recover();
  EXPECT_EQ(writer_->last(), Seq());
  ExpectGoesOn("");
}

TEST_F(RecoverTest, SeveralMissingFirstSegments) {
  WholeLog();
  std::filesystem::remove(Segment(0));
  std::filesystem::remove(Segment(1));
  test::WriteText(at().Index(), "");  // every journal of several segments has one
  Recover();
  EXPECT_EQ(writer_->last(), Seq());
  ExpectGoesOn("");
}

TEST_F(RecoverTest, AnotherAttemptsSegmentIsNotOurs) {
  Create();
  AppendLines(30);
  const std::string kept = KeptBefore(1);
  SetBytes(1, EncodeSegmentHeader(Epoch(8), Seq(6), 1));
  Recover();
  EXPECT_THAT(writer_->tail().problem, HasSubstr("epoch 8"));
  ExpectGoesOn(kept);
}

TEST_F(RecoverTest, FilesOfAnotherPrefixAreLeftAlone) {
  Create();
  AppendLines(30);
  test::WriteText(directory_ / "70.003", "another journal");
  test::WriteText(directory_ / "7.note", "not a segment");
  std::filesystem::remove(Segment(2));
  Recover();
  EXPECT_EQ(test::ReadText(directory_ / "70.003"), "another journal");
  EXPECT_EQ(test::ReadText(directory_ / "7.note"), "not a segment");
}

TEST_F(RecoverTest, AnUnreadableDirectoryIsAnError) {
  test::WriteText(directory_ / "file", "x");
  EXPECT_FALSE(Writer::Recover({directory_ / "file", "7"}, Epoch(7)).ok());
}

}  // namespace
}  // namespace waggle::journal
