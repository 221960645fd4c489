#include "common/journal/trim.h"

#include <sys/mount.h>

#include <cerrno>
#include <cstring>

#include "common/journal/reserve.h"
#include "tests/common/journal/journal_fixture.h"

namespace waggle::journal {
namespace {

class Trim : public JournalFixture {
 protected:
  // First record of a segment that is there.
  Seq FirstOf(std::uint32_t number) const {
    absl::StatusOr<SegmentHeader> header = DecodeSegmentHeader(Bytes(number));
    EXPECT_TRUE(header.ok()) << header.status();
    return header.ok() ? header->first : Seq();
  }
  std::uint32_t Newest() const { return writer_->segment(); }
  Tail Left() const {
    absl::StatusOr<Tail> tail = ScanLeft(at(), maker_.epoch(), {});
    EXPECT_TRUE(tail.ok()) << tail.status();
    return tail.value_or(Tail{});
  }
};

TEST_F(Trim, OnlySegmentsWithNothingBehindTheAcknowledgedGo) {
  Create();
  AppendLines(40);
  ASSERT_GT(Newest(), 4u);
  Trimmer trimmer(at());
  const Seq second = FirstOf(1), third = FirstOf(2);
  ASSERT_TRUE(trimmer.Trim(Seq(second.value() - 2)).ok());
  EXPECT_TRUE(Exists(0));
  ASSERT_TRUE(trimmer.Trim(Seq(second.value() - 1)).ok());
  EXPECT_FALSE(Exists(0));
  EXPECT_TRUE(Exists(1));
  ASSERT_TRUE(trimmer.Trim(Seq(1)).ok()) << "an older word changes nothing";
  EXPECT_TRUE(Exists(1));
  ASSERT_TRUE(trimmer.Trim(third).ok());
  EXPECT_FALSE(Exists(1));
  EXPECT_TRUE(Exists(2));
}

TEST_F(Trim, TheNewestStaysAndTheWriterGoesOn) {
  Create();
  AppendLines(40);
  Trimmer trimmer(at());
  ASSERT_TRUE(trimmer.Trim(maker_.last()).ok());
  EXPECT_EQ(ListSegments(at()).value(), std::vector<std::uint32_t>{Newest()});
  AppendLines(40);
  ASSERT_TRUE(writer_->Sync().ok());
  EXPECT_GT(ListSegments(at())->size(), 1u);
  EXPECT_EQ(Left().last, maker_.last());
  EXPECT_EQ(Left().problem, "");
  // Another one, as after a restart, goes on where the first left.
  ASSERT_TRUE(Trimmer(at()).Trim(maker_.last()).ok());
  EXPECT_EQ(ListSegments(at()).value(), std::vector<std::uint32_t>{Newest()});
}

TEST_F(Trim, WhatIsLeftIsReadFromItsFirstRecord) {
  Create();
  AppendLines(40);
  ASSERT_TRUE(Trimmer(at()).Trim(FirstOf(3)).ok());
  const Seq first = FirstOf(3);
  std::uint64_t seen = 0;
  absl::StatusOr<Tail> tail = ScanLeft(at(), maker_.epoch(), [&](const RecordView& record, Position) {
    EXPECT_EQ(record.header.seq.value(), first.value() + seen++);
  });
  ASSERT_TRUE(tail.ok());
  EXPECT_EQ(tail->last, maker_.last());
  EXPECT_EQ(tail->segment, Newest());
  EXPECT_EQ(seen, maker_.last().value() - first.value() + 1);

  Reader reader(at());
  EXPECT_TRUE(absl::IsOutOfRange(reader.SeekTo(Seq(first.value() - 1))));
  EXPECT_TRUE(absl::IsOutOfRange(reader.SeekTo(Seq(1))));
  for (std::uint64_t from : {first.value(), first.value() + 1, maker_.last().value()}) {
    ASSERT_TRUE(reader.SeekTo(Seq(from)).ok());
    std::string raw;
    EXPECT_EQ(reader.ReadRaw(1 << 20, maker_.last(), &raw).value(), maker_.last().value() - from + 1);
    EXPECT_TRUE(stored_.ends_with(raw));
  }
  EXPECT_TRUE(absl::IsNotFound(reader.SeekTo(Seq(maker_.last().value() + 2))));
}

TEST_F(Trim, WhatIsLeftIsCheckedLikeAWholeJournal) {
  Create();
  AppendLines(40);
  ASSERT_TRUE(Trimmer(at()).Trim(FirstOf(2)).ok());
  const Seq first = FirstOf(2);
  Flip(3, kSegmentHeaderBytes + 60);
  EXPECT_NE(Left().problem, "");
  EXPECT_LT(Left().last, maker_.last());
  Flip(2, 9);  // the header of the first that is left: nothing says where it begins
  EXPECT_NE(Left().problem, "");
  EXPECT_EQ(Left().last, Seq(0));
  Reader reader(at());
  absl::Status sought = reader.SeekTo(first);
  EXPECT_FALSE(sought.ok());
}

TEST_F(Trim, AnEmptyNewestSegmentSaysHowFarTheJournalGoes) {
  Create();
  AppendLines(10);
  const std::string header = EncodeSegmentHeader(maker_.epoch(), Seq(11), Newest() + 1);
  SetBytes(Newest() + 1, header);
  ASSERT_TRUE(Trimmer(at()).Trim(Seq(10)).ok());
  EXPECT_FALSE(Exists(Newest()));
  EXPECT_EQ(Left().last, Seq(10));
  EXPECT_EQ(Left().problem, "");
}

TEST_F(Trim, NothingAtAllIsNoError) {
  EXPECT_TRUE(Trimmer(at()).Trim(Seq(100)).ok());
  EXPECT_EQ(Left().last, Seq(0));
  Create();
  AppendLines(40);
  SetBytes(1, "garbage");
  EXPECT_TRUE(Trimmer(at()).Trim(maker_.last()).ok());
  EXPECT_TRUE(Exists(0)) << "nothing says what it holds";
}

TEST_F(Trim, AWriterThatNeverSyncsKeepsNoDeletedSegmentOpen) {
  absl::StatusOr<std::unique_ptr<Writer>> made =
      Writer::Create(at(), maker_.epoch(), kSmallSegment, /*syncs=*/false);
  ASSERT_TRUE(made.ok());
  writer_ = std::move(*made);
  AppendLines(40);
  ASSERT_TRUE(Trimmer(at()).Trim(maker_.last()).ok());
  for (int fd = 3; fd < 256; ++fd) {
    struct stat info;
    if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
      EXPECT_GT(info.st_nlink, 0u) << "descriptor " << fd;
    }
  }
}

// A journal on a file system of 1 MiB.
class SmallDisk : public JournalFixture {
 protected:
  static constexpr std::size_t kReserve = 64 * 1024;

  void SetUp() override {
    ASSERT_EQ(::mount("tmpfs", directory_.path().c_str(), "tmpfs", 0, "size=1m"), 0)
        << "a tmpfs cannot be mounted: " << std::strerror(errno) << "; this test has to run as root";
  }
  void TearDown() override {
    writer_.reset();
    EXPECT_EQ(::umount2(directory_.path().c_str(), MNT_DETACH), 0) << std::strerror(errno);
  }
  std::string Reserve() const { return directory_ / "reserve"; }
  // Until an append is refused; that record is taken back.
  void Fill() {
    for (;;) {
      RecordMaker before = maker_;
      const std::string raw = maker_.Out(std::string(3000, 'x'));
      absl::Status written = writer_->AppendRaw(raw, maker_.last());
      if (written.ok()) {
        stored_ += raw;
        continue;
      }
      EXPECT_TRUE(absl::IsResourceExhausted(written)) << written;
      maker_ = before;
      return;
    }
  }
};

TEST_F(SmallDisk, ASmallDiskIsToldApartAndLeavesWholeRecords) {
  Create(100'000);
  Fill();
  EXPECT_EQ(ReadAll(), stored_);
  EXPECT_EQ(ScanAll().problem, "");
  // Space of segments that nobody needs serves the next records.
  ASSERT_TRUE(Trimmer(at()).Trim(maker_.last()).ok());
  ASSERT_TRUE(writer_->Sync().ok());
  Append(maker_.Out(std::string(3000, 'y')));
}

TEST_F(SmallDisk, TheReserveTakesTheLastRecords) {
  ASSERT_TRUE(MakeReserve(Reserve(), kReserve).ok());
  Create(100'000);
  Fill();
  ASSERT_TRUE(writer_->RollInto(Reserve()).ok());
  EXPECT_FALSE(test::Exists(Reserve()));
  for (std::size_t used = 0; used + 4000 < kReserve; used += 3048) Append(maker_.Out(std::string(3000, 'y')));
  Append(maker_.End());
  EXPECT_EQ(ReadAll(), stored_);
  EXPECT_TRUE(VerifyAll().complete) << VerifyAll().problem;
}

TEST_F(SmallDisk, WithoutSpaceThereIsNoReserve) {
  Create(100'000);
  Fill();
  absl::Status made = MakeReserve(Reserve(), kReserve);
  EXPECT_TRUE(absl::IsResourceExhausted(made)) << made;
  EXPECT_FALSE(test::Exists(Reserve()));
  EXPECT_TRUE(absl::IsNotFound(writer_->RollInto(Reserve())));
  EXPECT_EQ(ReadAll(), stored_);
}

TEST_F(SmallDisk, AReserveOfWrittenBytesLeavesNoneOfThemBehindTheRecords) {
  test::WriteText(Reserve(), std::string(kReserve, '\0'));
  Create(100'000);
  Fill();
  ASSERT_TRUE(writer_->RollInto(Reserve()).ok());
  Append(maker_.End());
  EXPECT_EQ(ScanAll().problem, "");
  EXPECT_TRUE(VerifyAll().complete) << VerifyAll().problem;
}

}  // namespace
}  // namespace waggle::journal
