#include "common/journal/line_index.h"
#include "tests/common/journal/journal_fixture.h"

namespace waggle::journal {
namespace {

constexpr Seq kNoLimit{~std::uint64_t{0}};

// A log of about 1 MiB with an index, as the queen's log store makes it.
class IndexTest : public JournalFixture {
 protected:
  struct Known {
    std::uint64_t first_line = 0;   // of the record's first byte
    std::uint64_t lines_after = 0;  // numbered behind it
  };

  void SetUp() override {
    Create(200'000);
    auto index = IndexWriter::Open(at(), 0);
    ASSERT_TRUE(index.ok());
    std::mt19937 random(9);
    RunningState state;
    for (int i = 0; i < 1500; ++i) {
      std::string payload = test::NoiseBytes(random() % 1400, random());
      std::string raw = random() % 40 == 0 ? maker_.Start(i)
                        : random() % 3     ? maker_.Out(payload)
                                           : maker_.Err(payload);
      Append(raw);
      RecordView record;
      ASSERT_EQ(DecodeRecord(raw, &record), DecodeResult::kOk);
      Known known;
      known.first_line = state.Feed(record);
      known.lines_after = state.lines.lines();
      records_.push_back(known);
      Checkpoint checkpoint;
      checkpoint.position = {writer_->segment(), writer_->position()};
      checkpoint.next = Seq(maker_.last().value() + 1);
      checkpoint.state = state;
      ASSERT_TRUE((*index)->MaybeAppend(checkpoint, stored_.size()).ok());
    }
    lines_ = state.lines.lines();
    entries_ = test::ReadText(at().Index()).size() / Checkpoint::kBytes;
    ASSERT_GT(entries_, 8u);
    ASSERT_EQ(test::ReadText(at().Index()).size() % Checkpoint::kBytes, 0u);
  }

  // Reads on from the checkpoint: the same records with the same line numbers as from the start.
  void ExpectSameFrom(const Checkpoint& checkpoint) {
    Reader reader(at());
    reader.SeekToPosition(checkpoint.position.segment, checkpoint.position.byte, checkpoint.next);
    RunningState state = checkpoint.state;
    std::string raw;
    absl::StatusOr<std::size_t> n;
    while ((n = reader.ReadRaw(1 << 20, kNoLimit, &raw)).ok() && *n > 0) {
    }
    ASSERT_TRUE(n.ok()) << n.status();
    std::size_t at = checkpoint.next.value() - 1;
    ForEachRecord(raw, [&](const RecordView& record) {
      ASSERT_LT(at, records_.size());
      ASSERT_EQ(state.Feed(record), records_[at].first_line) << at;
      ASSERT_EQ(state.lines.lines(), records_[at].lines_after);
      ++at;
    });
    EXPECT_EQ(at, records_.size());
    EXPECT_EQ(state.out.Total(), maker_.out());
    EXPECT_EQ(state.err.Total(), maker_.err());
  }

  std::vector<Known> records_;
  std::uint64_t lines_ = 0, entries_ = 0;
};

TEST_F(IndexTest, EveryCheckpointContinuesLikeFromTheStart) {
  ExpectSameFrom(FindRecord(at(), Seq(1)));
  std::uint64_t before = 0, distinct = 0;
  for (std::uint64_t seq = 1; seq <= records_.size() + 1; ++seq) {
    std::uint64_t entries = 99;
    Checkpoint checkpoint = FindRecord(at(), Seq(seq), &entries);
    EXPECT_LE(checkpoint.next.value(), seq);
    EXPECT_GE(checkpoint.next.value(), before);
    EXPECT_LE(entries, entries_);
    if (checkpoint.next.value() == before) continue;
    before = checkpoint.next.value();
    ++distinct;
    ExpectSameFrom(checkpoint);
  }
  EXPECT_EQ(distinct, entries_ + 1);
}

TEST_F(IndexTest, FindLineIsBeforeTheLine) {
  for (std::uint64_t line = 1; line <= lines_ + 1; line += 97) {
    Checkpoint checkpoint = FindLine(at(), line);
    EXPECT_LT(checkpoint.state.lines.lines(), line);
    ExpectSameFrom(checkpoint);
  }
  EXPECT_EQ(FindLine(at(), 1).next, Seq(1));
  EXPECT_GT(FindLine(at(), lines_).next, Seq(1000)) << "not the start: the index is used";
}

TEST_F(IndexTest, CheckpointsRoundTripAndNoBitFlipIsAccepted) {
  Checkpoint checkpoint = FindRecord(at(), Seq(700));
  std::string bytes = checkpoint.Encode();
  ASSERT_EQ(bytes.size(), Checkpoint::kBytes);
  Checkpoint back;
  ASSERT_TRUE(Checkpoint::Decode(bytes, &back));
  EXPECT_EQ(back.Encode(), bytes);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(Checkpoint::Decode(damaged, &back)) << bit;
  }
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(Checkpoint::Decode(bytes.substr(0, size), &back)) << size;
  }
  EXPECT_FALSE(Checkpoint::Decode(bytes + "x", &back));
}

TEST_F(IndexTest, ADamagedEntryIsHarmless) {
  const std::string good = test::ReadText(at().Index());
  for (std::uint64_t entry = 0; entry < entries_; ++entry) {
    std::string bad = good;
    bad[entry * Checkpoint::kBytes + 25] ^= 0x10;
    test::WriteText(at().Index(), bad);
    ExpectSameFrom(FindRecord(at(), Seq(records_.size())));
    ExpectSameFrom(FindLine(at(), lines_));
  }
}

TEST_F(IndexTest, AMissingTornOrForeignIndexIsHarmless) {
  const std::string good = test::ReadText(at().Index());
  for (const std::string& bytes :
       {std::string(), good.substr(0, good.size() - 7), std::string(5000, '\xAA')}) {
    test::WriteText(at().Index(), bytes);
    ExpectSameFrom(FindRecord(at(), Seq(records_.size())));
  }
  ::unlink(at().Index().c_str());
  EXPECT_EQ(FindRecord(at(), Seq(500)).next, Seq(1));
  ExpectSameFrom(FindLine(at(), 500));
}

TEST_F(IndexTest, TheWriterCutsWhatIsNotVouchedFor) {
  auto index = IndexWriter::Open(at(), 3);
  ASSERT_TRUE(index.ok());
  EXPECT_EQ(test::ReadText(at().Index()).size(), 3 * Checkpoint::kBytes);
  Checkpoint checkpoint;
  ASSERT_TRUE((*index)->MaybeAppend(checkpoint, limits::kIndexEvery - 1).ok());
  EXPECT_EQ(test::ReadText(at().Index()).size(), 3 * Checkpoint::kBytes) << "not enough bytes have passed";
  ASSERT_TRUE((*index)->MaybeAppend(checkpoint, limits::kIndexEvery).ok());
  EXPECT_EQ(test::ReadText(at().Index()).size(), 4 * Checkpoint::kBytes);
}

}  // namespace
}  // namespace waggle::journal
