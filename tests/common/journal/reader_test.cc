#include "common/journal/reader.h"

#include <poll.h>

#include <atomic>
#include <thread>

#include "tests/common/journal/journal_fixture.h"

namespace waggle::journal {
namespace {

using testing::HasSubstr;
constexpr Seq kNoLimit{~std::uint64_t{0}};

class ReaderTest : public JournalFixture {
 protected:
  std::vector<std::uint64_t> Seqs(std::string_view raw) {
    std::vector<std::uint64_t> seqs;
    ForEachRecord(raw, [&](const RecordView& r) { seqs.push_back(r.header.seq.value()); });
    return seqs;
  }
};

TEST_F(ReaderTest, AJournalThatIsNotThereYetReadsAsEmpty) {
  Reader reader(at());
  std::string raw;
  EXPECT_EQ(*reader.ReadRaw(1000, kNoLimit, &raw), 0u);
  Create();
  EXPECT_EQ(*reader.ReadRaw(1000, kNoLimit, &raw), 0u);
  AppendLines(1);
  EXPECT_EQ(*reader.ReadRaw(1000, kNoLimit, &raw), 1u);
  EXPECT_EQ(raw, stored_);
}

TEST_F(ReaderTest, AppendsToWhatTheCallerHas) {
  Create();
  AppendLines(2);
  Reader reader(at());
  std::string raw = "head";
  EXPECT_EQ(*reader.ReadRaw(1000, kNoLimit, &raw), 2u);
  EXPECT_EQ(raw, "head" + stored_);
}

TEST_F(ReaderTest, RespectsMaxBytesButGivesAtLeastOneRecord) {
  Create();
  AppendLines(40);
  for (std::size_t max : {0u, 1u, 54u, 60u, 120u, 121u, 333u, 1000u, 100'000u}) {
    Reader reader(at());
    std::string all;
    for (;;) {
      std::string raw;
      absl::StatusOr<std::size_t> n = reader.ReadRaw(max, kNoLimit, &raw);
      ASSERT_TRUE(n.ok()) << n.status();
      if (*n == 0) break;
      EXPECT_TRUE(*n == 1 || raw.size() <= max) << *n << " records, " << raw.size() << " of " << max;
      EXPECT_EQ(Seqs(raw).size(), *n);
      all += raw;
    }
    EXPECT_EQ(all, stored_) << max;
  }
}

TEST_F(ReaderTest, GivesTheLargestRecordWhateverTheLimit) {
  Create();
  Append(maker_.Out("small\n"));
  Append(maker_.Out(std::string(limits::kRecordPayload, 'x')));
  Append(maker_.Out("small\n"));
  Reader reader(at());
  std::string raw;
  EXPECT_EQ(*reader.ReadRaw(100, kNoLimit, &raw), 1u);
  EXPECT_EQ(*reader.ReadRaw(100, kNoLimit, &raw), 1u);
  EXPECT_EQ(*reader.ReadRaw(100, kNoLimit, &raw), 1u);
  EXPECT_EQ(raw, stored_);
}

TEST_F(ReaderTest, StopsAtTheWatermark) {
  Create();
  AppendLines(20);
  Reader reader(at());
  std::string raw;
  for (std::uint64_t last = 0; last <= 20; ++last) {
    EXPECT_EQ(*reader.ReadRaw(1000, Seq(last), &raw), last == 0 ? 0u : 1u);
    EXPECT_EQ(reader.next(), Seq(last + 1));
  }
  EXPECT_EQ(raw, stored_);
}

// A writer appends random amounts, cut into pieces anywhere, and rolls; the reader looks after every piece.
TEST_F(ReaderTest, FollowsAWriterAcrossRolls) {
  for (unsigned seed = 0; seed < 10; ++seed) {
    std::mt19937 random(seed);
    test::TempDir directory;
    Location location{directory.path(), "1"};
    RecordMaker maker(Epoch(1));
    auto writer = Writer::Create(location, Epoch(1), 500);
    ASSERT_TRUE(writer.ok());
    Reader reader(location);
    std::string stored, read;
    for (int round = 0; round < 200; ++round) {
      std::string raw;
      for (unsigned n = random() % 5; n > 0; --n) raw += maker.Out(std::string(random() % 200, 'o'));
      ASSERT_TRUE((*writer)->AppendRaw(raw, maker.last()).ok());
      stored += raw;
      if (random() % 3 == 0) continue;
      absl::StatusOr<std::size_t> n =
          reader.ReadRaw(random() % 700, random() % 2 ? maker.last() : kNoLimit, &read);
      ASSERT_TRUE(n.ok()) << n.status();
      ASSERT_EQ(read, stored.substr(0, read.size()));
    }
    while (reader.next() <= maker.last()) ASSERT_GT(*reader.ReadRaw(4000, kNoLimit, &read), 0u);
    EXPECT_EQ(read, stored);
  }
}

// Bytes of a record arrive one by one: half a record is nothing, never damage.
TEST_F(ReaderTest, HalfARecordIsNotThereYet) {
  Create(1 << 20);
  AppendLines(2);
  const std::string base = Bytes(0), next = maker_.Out("slow\n");
  Reader reader(at());
  std::string raw;
  ASSERT_EQ(*reader.ReadRaw(1000, kNoLimit, &raw), 2u);
  for (std::size_t cut = 0; cut < next.size(); ++cut) {
    SetBytes(0, base + next.substr(0, cut));
    absl::StatusOr<std::size_t> n = reader.ReadRaw(1000, kNoLimit, &raw);
    ASSERT_TRUE(n.ok()) << cut << ": " << n.status();
    EXPECT_EQ(*n, 0u);
  }
  SetBytes(0, base + next);
  EXPECT_EQ(*reader.ReadRaw(1000, kNoLimit, &raw), 1u);
  EXPECT_EQ(raw, stored_ + next);
}

TEST_F(ReaderTest, FollowsAWriterOnAnotherThread) {
  Create(4000);
  constexpr std::uint64_t kRecords = 20'000;
  std::atomic<std::uint64_t> watermark{0};
  std::string written;
  std::thread writing([&] {
    for (std::uint64_t i = 0; i < kRecords; ++i) {
      std::string raw = maker_.Out("line " + std::to_string(i) + "\n");
      if (!writer_->AppendRaw(raw, maker_.last()).ok()) break;
      written += raw;
      watermark.store(i + 1, std::memory_order_release);
    }
  });
  Reader reader(at());
  std::string read;
  Time end = BootClock::now() + std::chrono::seconds(60);
  bool good = true;
  while (good && reader.next().value() <= kRecords && BootClock::now() < end) {
    std::uint64_t last = watermark.load(std::memory_order_acquire);
    absl::StatusOr<std::size_t> n = reader.ReadRaw(3000, Seq(last), &read);
    good = n.ok() && (*n > 0 || reader.next().value() == last + 1);
    EXPECT_TRUE(good) << n.status() << " at " << reader.next().value() << " of " << last;
    if (n.ok() && *n == 0) std::this_thread::yield();
  }
  writing.join();
  EXPECT_EQ(reader.next().value(), kRecords + 1);
  EXPECT_TRUE(read == written);
}

TEST_F(ReaderTest, SeekToEveryRecord) {
  Create();
  std::vector<std::size_t> starts;
  for (int i = 0; i < 25; ++i) {
    starts.push_back(stored_.size());
    Append(maker_.Out("line " + std::to_string(i * i) + "\n"));
  }
  for (std::uint64_t seq = 1; seq <= 25; ++seq) {
    Reader reader(at());
    ASSERT_TRUE(reader.SeekTo(Seq(seq)).ok());
    EXPECT_EQ(reader.next(), Seq(seq));
    std::string raw;
    while (*reader.ReadRaw(1000, kNoLimit, &raw) > 0) {
    }
    EXPECT_EQ(raw, stored_.substr(starts[seq - 1])) << seq;
  }
}

TEST_F(ReaderTest, SeekToGoesBackAndToTheEnd) {
  Create();
  AppendLines(20);
  Reader reader(at());
  ASSERT_TRUE(reader.SeekTo(Seq(21)).ok()) << "the record that comes next";
  std::string raw;
  EXPECT_EQ(*reader.ReadRaw(1000, kNoLimit, &raw), 0u);
  EXPECT_EQ(reader.SeekTo(Seq(22)).code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(reader.SeekTo(Seq(1)).ok());
  while (*reader.ReadRaw(1000, kNoLimit, &raw) > 0) {
  }
  EXPECT_EQ(raw, stored_);
}

TEST_F(ReaderTest, DamageIsNamedByFileAndByte) {
  Create();
  AppendLines(20);
  Flip(1, kSegmentHeaderBytes + kHeaderBytes + 1);
  Reader reader(at());
  std::string raw;
  absl::StatusOr<std::size_t> n;
  while ((n = reader.ReadRaw(100, Seq(20), &raw)).ok() && *n > 0) {
  }
  EXPECT_EQ(n.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(n.status().message()), HasSubstr("7.001 at byte 32"));
  EXPECT_THAT(std::string(n.status().message()),
              HasSubstr("record " + std::to_string(reader.next().value())));
  EXPECT_EQ(raw, stored_.substr(0, raw.size())) << "what is good is given before";
  EXPECT_EQ(Seqs(raw).size() + 1, reader.next().value());
}

TEST_F(ReaderTest, ASkippedRecordIsDamage) {
  Create(1 << 20);
  Append(maker_.Out("1\n"));
  maker_.Out("never written\n");
  Append(maker_.Out("3\n"));
  Reader reader(at());
  std::string raw;
  EXPECT_EQ(*reader.ReadRaw(1000, kNoLimit, &raw), 1u);
  EXPECT_EQ(reader.ReadRaw(1000, kNoLimit, &raw).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace waggle::journal
