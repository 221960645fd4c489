#include "drone/shim/pace.h"

#include "gtest/gtest.h"
#include "shim_process.h"

namespace waggle::shim {
namespace {

using namespace std::chrono_literals;

class PaceTest : public ::testing::Test {
 protected:
  // Little reads of `stream`, one right after the other.
  void Reads(int count, Stream stream) {
    for (int i = 0; i < count; ++i) {
      now_ += 20us;
      pace_.Took(stream == Stream::kOut ? 10 : 0, stream == Stream::kErr ? 10 : 0, now_);
    }
  }

  Pace pace_;
  Time now_{1s};
};

TEST_F(PaceTest, HoldsAStreamOfManyLittleReads) {
  Reads(Pace::kReads, Stream::kErr);
  EXPECT_EQ(pace_.held(), std::nullopt);
  Reads(1, Stream::kErr);
  EXPECT_EQ(pace_.held(), Stream::kErr);
  now_ += Pace::kGap;
  pace_.Took(0, 25'000, now_);  // what a gap has gathered
  EXPECT_EQ(pace_.held(), Stream::kErr);
}

TEST_F(PaceTest, LetsGoOfAStreamThatIsQuietOrFast) {
  Reads(20, Stream::kOut);
  pace_.Took(0, 0, now_ += Pace::kGap);
  EXPECT_EQ(pace_.held(), std::nullopt);
  Reads(20, Stream::kOut);
  ASSERT_EQ(pace_.held(), Stream::kOut);
  pace_.Took(Pace::kMuch + 1, 0, now_ += Pace::kGap);
  EXPECT_EQ(pace_.held(), std::nullopt);
}

TEST_F(PaceTest, NeverHoldsWhatIsPrintedInTurnsSlowlyOrMuchAtOnce) {
  for (int i = 0; i < 100; ++i) {
    Reads(1, Stream::kOut);
    Reads(1, Stream::kErr);
    EXPECT_EQ(pace_.held(), std::nullopt);
  }
  for (int i = 0; i < 100; ++i) {
    pace_.Took(10, 0, now_ += 2 * Pace::kAtOnce);
    EXPECT_EQ(pace_.held(), std::nullopt);
  }
  for (int i = 0; i < 100; ++i) {
    pace_.Took(Pace::kLittle + 1, 0, now_ += 20us);
    EXPECT_EQ(pace_.held(), std::nullopt);
  }
}

TEST_F(PaceTest, TheOtherStreamEndsTheGap) {
  Reads(20, Stream::kOut);
  pace_.Took(10, 10, now_ += 20us);
  EXPECT_EQ(pace_.held(), std::nullopt);
  Reads(20, Stream::kOut);
  ASSERT_EQ(pace_.held(), Stream::kOut);
  pace_.Took(0, 10, now_ += 20us);
  EXPECT_EQ(pace_.held(), std::nullopt);
}

// Each x and y is a write of its own, far faster than they are read.
TEST(PacedAttempt, WhatWasPrintedBeforeTheOtherStreamSpokeStandsBeforeIt) {
  ShimProcess shim;
  Start start = shim.NewStart();
  start.phases[2] = {
      Script("for i in {1..3000}; do printf x; done; printf E >&2; for i in {1..3000}; do printf y; done")};
  EXPECT_EQ(shim.RunToEnd(start), 0);
  std::string before;
  for (const Record& record : shim.Records()) {
    if (record.header.kind == journal::Kind::kStderr) break;
    if (record.header.kind == journal::Kind::kStdout) before += record.payload;
  }
  EXPECT_EQ(before.substr(0, 3000), std::string(3000, 'x'));
  EXPECT_EQ(shim.Out(), std::string(3000, 'x') + std::string(3000, 'y'));
  EXPECT_EQ(shim.Err(), "E");
}

}  // namespace
}  // namespace waggle::shim
