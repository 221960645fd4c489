#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "common/journal/reader.h"
#include "common/journal/scan.h"
#include "common/journal/writer.h"
#include "tests/common/journal/record_maker.h"
#include "tests/support/temp_dir.h"

namespace waggle::journal {

// A journal in a directory of its own, written through Writer with small segments, that can be cut and
// damaged.
class JournalFixture : public testing::Test {
 protected:
  static constexpr std::size_t kSmallSegment = 300;

  void Create(std::size_t segment_bytes = kSmallSegment) {
    absl::StatusOr<std::unique_ptr<Writer>> made = Writer::Create(at(), maker_.epoch(), segment_bytes);
    ASSERT_TRUE(made.ok()) << made.status();
    writer_ = std::move(*made);
  }
  void Recover(std::size_t segment_bytes = kSmallSegment) {
    writer_.reset();
    absl::StatusOr<std::unique_ptr<Writer>> made = Writer::Recover(at(), maker_.epoch(), segment_bytes);
    ASSERT_TRUE(made.ok()) << made.status();
    writer_ = std::move(*made);
  }
  // Appends one encoded record; the last one made must be the last one in `raw`.
  void Append(const std::string& raw) {
    ASSERT_TRUE(writer_->AppendRaw(raw, maker_.last()).ok());
    stored_ += raw;
  }
  void AppendLines(int count, const std::string& prefix = "line ") {
    for (int i = 0; i < count; ++i) Append(maker_.Out(prefix + std::to_string(i) + "\n"));
  }
  // A whole log of several segments with both streams and a final record.
  void WholeLog(int records = 30) {
    Create();
    Append(maker_.Start(0));
    for (int i = 0; i < records; ++i) {
      Append(i % 3 == 0 ? maker_.Err("oops " + std::to_string(i))
                        : maker_.Out("out " + std::to_string(i) + "\n"));
    }
    Append(maker_.End());
    ASSERT_TRUE(writer_->Sync().ok());
    ASSERT_GT(writer_->segment(), 2u);
  }

  // Every record there is, from the first.
  std::string ReadAll() const {
    Reader reader(at());
    std::string raw;
    for (;;) {
      absl::StatusOr<std::size_t> n = reader.ReadRaw(4096, Seq(~std::uint64_t{0}), &raw);
      EXPECT_TRUE(n.ok()) << n.status();
      if (!n.ok() || *n == 0) return raw;
    }
  }
  Tail ScanAll() const {
    absl::StatusOr<Tail> tail = Scan(at(), maker_.epoch(), {});
    EXPECT_TRUE(tail.ok()) << tail.status();
    return tail.value_or(Tail{});
  }
  VerifyResult VerifyAll() const {
    absl::StatusOr<VerifyResult> result = Verify(at(), maker_.epoch());
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or(VerifyResult{});
  }

  Location at() const { return {directory_.path(), "7"}; }
  std::string Segment(std::uint32_t number) const { return at().Segment(number); }
  std::string Bytes(std::uint32_t number) const { return test::ReadText(Segment(number)); }
  void SetBytes(std::uint32_t number, const std::string& bytes) { test::WriteText(Segment(number), bytes); }
  bool Exists(std::uint32_t number) const { return test::Exists(Segment(number)); }
  void Flip(std::uint32_t number, std::size_t byte, unsigned char mask = 0x01) {
    std::string bytes = Bytes(number);
    ASSERT_LT(byte, bytes.size());
    bytes[byte] = static_cast<char>(bytes[byte] ^ mask);
    SetBytes(number, bytes);
  }

  test::TempDir directory_;
  RecordMaker maker_;
  std::unique_ptr<Writer> writer_;
  std::string stored_;  // everything appended
};

}  // namespace waggle::journal
