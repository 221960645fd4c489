#include "common/journal/record.h"

#include <gtest/gtest.h>

#include <memory>

#include "common/base/limits.h"
#include "tests/common/journal/record_maker.h"

namespace waggle::journal {
namespace {

std::string Sample(std::string_view payload) {
  RecordHeader header;
  header.epoch = Epoch(0x1122334455667788);
  header.seq = Seq(42);
  header.offset = 1ull << 40;
  header.boot_nanos = -5;
  header.command = 3;
  header.kind = Kind::kStderr;
  header.phase = 4;
  std::string raw;
  EncodeRecord(header, payload, &raw);
  return raw;
}

// Decodes from a heap block of exactly this size, so that a sanitizer sees any read beyond it.
DecodeResult DecodeExactly(std::string_view bytes) {
  std::unique_ptr<char[]> block(new char[bytes.size()]);
  std::copy(bytes.begin(), bytes.end(), block.get());
  RecordView view;
  return DecodeRecord(std::string_view(block.get(), bytes.size()), &view);
}

TEST(Record, RoundTrip) {
  for (std::string payload : {std::string(), std::string("a"), std::string("\0\xFF\n", 3),
                              std::string(limits::kRecordPayload, 'x')}) {
    std::string raw = Sample(payload);
    EXPECT_EQ(raw.size(), kHeaderBytes + payload.size());
    RecordView view;
    ASSERT_EQ(DecodeRecord(raw, &view), DecodeResult::kOk);
    EXPECT_EQ(view.header.epoch, Epoch(0x1122334455667788));
    EXPECT_EQ(view.header.seq, Seq(42));
    EXPECT_EQ(view.header.offset, 1ull << 40);
    EXPECT_EQ(view.header.boot_nanos, -5);
    EXPECT_EQ(view.header.command, 3u);
    EXPECT_EQ(view.header.kind, Kind::kStderr);
    EXPECT_EQ(view.header.phase, 4);
    EXPECT_EQ(view.header.size, payload.size());
    EXPECT_EQ(view.payload, payload);
    EXPECT_EQ(view.raw, raw);
  }
}

TEST(Record, HasTheDocumentedLayout) {
  std::string raw = Sample("payload");
  auto at = [&](std::size_t i) { return static_cast<unsigned char>(raw[i]); };
  EXPECT_EQ(at(4), 7) << "size";
  EXPECT_EQ(at(8), 0x88) << "epoch, little-endian";
  EXPECT_EQ(at(16), 42) << "seq";
  EXPECT_EQ(at(29), 1) << "offset";
  EXPECT_EQ(at(32), 0xFB) << "boot time";
  EXPECT_EQ(at(40), 3) << "command";
  EXPECT_EQ(at(44), 2) << "kind";
  EXPECT_EQ(at(45), 4) << "phase";
  EXPECT_EQ(at(46), 0) << "reserved";
  EXPECT_EQ(raw.substr(48), "payload");
}

TEST(Record, EveryTruncationNeedsMore) {
  for (std::string payload : {std::string(), std::string("some output\n")}) {
    std::string raw = Sample(payload);
    for (std::size_t size = 0; size < raw.size(); ++size) {
      EXPECT_EQ(DecodeExactly(std::string_view(raw).substr(0, size)), DecodeResult::kNeedMore) << size;
    }
  }
}

TEST(Record, NoSingleBitFlipIsAccepted) {
  std::string raw = Sample("some output\n");
  for (std::size_t bit = 0; bit < raw.size() * 8; ++bit) {
    std::string damaged = raw;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_NE(DecodeExactly(damaged), DecodeResult::kOk) << "bit " << bit;
    // With more behind it a larger size must not be believed either.
    EXPECT_NE(DecodeExactly(damaged + std::string(2 * limits::kRecordPayload, '\0')), DecodeResult::kOk)
        << "bit " << bit;
  }
}

TEST(Record, ImpossibleSizeOrKindIsBadBeforeMoreIsRead) {
  std::string raw = Sample("x");
  raw[6] = 2;  // 128 KiB and one byte
  EXPECT_EQ(DecodeExactly(raw), DecodeResult::kBad);
  for (int kind : {0, 12, 255}) {
    raw = Sample("x");
    raw[44] = static_cast<char>(kind);
    EXPECT_EQ(DecodeExactly(raw), DecodeResult::kBad) << kind;
  }
}

TEST(Record, ZeroesAreNotARecord) {
  EXPECT_EQ(DecodeExactly(std::string(4096, '\0')), DecodeResult::kBad);
}

TEST(Record, DecodesTheFirstOfSeveral) {
  RecordMaker maker;
  std::string first = maker.Out("one\n"), second = maker.Err("two\n");
  RecordView view;
  const std::string both = first + second;
  ASSERT_EQ(DecodeRecord(both, &view), DecodeResult::kOk);
  EXPECT_EQ(view.raw, first);
  EXPECT_EQ(view.payload, "one\n");
}

TEST(Record, NanosBetweenHoldsForAnyTimes) {
  EXPECT_EQ(NanosBetween(3, 10), 7);
  EXPECT_EQ(NanosBetween(10, 3), 0);
  EXPECT_EQ(NanosBetween(-5, 5), 10);
  EXPECT_EQ(NanosBetween(INT64_MIN, INT64_MAX), INT64_MAX);
  EXPECT_EQ(NanosBetween(INT64_MAX, INT64_MIN), 0);
}

}  // namespace
}  // namespace waggle::journal
