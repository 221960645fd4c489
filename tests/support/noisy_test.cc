// The byte oracle itself: every kind of damage, planted, is named with its place.
#include "tests/support/noisy_stream.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "tests/support/temp_dir.h"

namespace waggle::test {
namespace {

using Kind = NoisyFault::Kind;

constexpr std::size_t kBytes = 300'000;

NoisyPlan Plan(NoisyContent content = NoisyContent::kShortLines, std::uint64_t bytes = kBytes) {
  return {7, NoisyStream::kStdout, content, bytes};
}

std::string All(const NoisyPlan& plan) {
  return NoisySource(plan).Copy(0, plan.bytes);
}

// In pieces, as pipes give them.
std::optional<NoisyFault> Check(const NoisyPlan& plan, std::string_view bytes, std::size_t piece = 777) {
  NoisyChecker checker(plan);
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size())))
    checker.Feed(bytes.substr(0, piece));
  return checker.Finish();
}

class EachContent : public ::testing::TestWithParam<NoisyContent> {
 protected:
  const NoisyPlan plan_ = Plan(GetParam());
  const std::string all_ = All(plan_);

  // The first byte that is wrong may lie a little behind the damage where both happen to be equal.
  void ExpectFault(const std::string& bytes, Kind kind, std::uint64_t offset, std::uint64_t count) {
    const std::optional<NoisyFault> fault = Check(plan_, bytes);
    ASSERT_TRUE(fault);
    EXPECT_EQ(Name(fault->kind), Name(kind)) << Text(*fault);
    EXPECT_GE(fault->offset, offset);
    EXPECT_LE(fault->offset, offset + 16);
    EXPECT_EQ(fault->count, count);
  }
};

INSTANTIATE_TEST_SUITE_P(Noisy, EachContent,
                         ::testing::Values(NoisyContent::kNoNewline, NoisyContent::kLongLines,
                                           NoisyContent::kShortLines, NoisyContent::kNul,
                                           NoisyContent::kBadUtf8, NoisyContent::kMultibyte,
                                           NoisyContent::kAnsi, NoisyContent::kMixed));

TEST_P(EachContent, TheStreamItselfIsRight) {
  EXPECT_EQ(all_.size(), kBytes);
  for (std::size_t piece : {1u, 3u, 65'536u, 300'000u}) EXPECT_FALSE(Check(plan_, all_, piece));
}

TEST_P(EachContent, LostBytes) {
  ExpectFault(all_.substr(0, 1000) + all_.substr(1100), Kind::kLost, 1000, 100);
  ExpectFault(all_.substr(0, 70'000) + all_.substr(135'536), Kind::kLost, 70'000, 65'536);
  ExpectFault(all_.substr(5), Kind::kLost, 0, 5);
}

TEST_P(EachContent, DoubledBytes) {
  ExpectFault(all_.substr(0, 5000) + all_.substr(4000), Kind::kDoubled, 5000, 1000);
  ExpectFault(all_.substr(0, 200'000) + all_.substr(134'464), Kind::kDoubled, 200'000, 65'536);
  ExpectFault(all_ + all_.substr(kBytes - 100), Kind::kDoubled, kBytes, 100);
}

TEST_P(EachContent, SwappedBytes) {
  auto swapped = [&](std::size_t first, std::size_t middle, std::size_t last) {
    std::string bytes = all_;
    std::rotate(bytes.begin() + static_cast<long>(first), bytes.begin() + static_cast<long>(middle),
                bytes.begin() + static_cast<long>(last));
    return bytes;
  };
  ExpectFault(swapped(1000, 1100, 1200), Kind::kSwapped, 1000, 100);
  ExpectFault(swapped(1000, 1300, 1400), Kind::kSwapped, 1000, 300);
  ExpectFault(swapped(65'536, 131'072, 196'608), Kind::kSwapped, 65'536, 65'536);
  ExpectFault(swapped(kBytes - 200, kBytes - 100, kBytes), Kind::kSwapped, kBytes - 200, 100);
}

TEST_P(EachContent, ChangedBytes) {
  std::string bytes = all_;
  bytes[2000] ^= 1;
  ExpectFault(bytes, Kind::kChanged, 2000, 1);
  bytes[2009] ^= 1;
  ExpectFault(bytes, Kind::kChanged, 2000, 10);
  bytes = all_;
  bytes.back() ^= 1;
  ExpectFault(bytes, Kind::kChanged, kBytes - 1, 1);
}

TEST_P(EachContent, TooShortAndTooLong) {
  ExpectFault(all_.substr(0, 1234), Kind::kShort, 1234, kBytes - 1234);
  ExpectFault("", Kind::kShort, 0, kBytes);
  ExpectFault(all_ + "x", Kind::kLong, kBytes, 1);
  ExpectFault(all_ + std::string(3'000'000, 'x'), Kind::kLong, kBytes, 3'000'000);
}

TEST(Noisy, OtherKeysAndStreamsAreOtherBytes) {
  NoisyPlan other = Plan();
  other.key = 8;
  EXPECT_NE(All(Plan()).substr(0, 64), All(other).substr(0, 64));
  other = Plan();
  other.stream = NoisyStream::kStderr;
  EXPECT_NE(All(Plan()).substr(0, 64), All(other).substr(0, 64));
  EXPECT_EQ(Check(other, All(Plan()))->kind, Kind::kChanged);
}

TEST(Noisy, AnyOffsetGivesTheSameBytesAsReadingOn) {
  const NoisyPlan plan = Plan(NoisyContent::kMixed, 3 * kNoisySection);
  const std::string all = All(plan);
  NoisySource source(plan);
  for (std::uint64_t at : {std::uint64_t{0}, std::uint64_t{65'535}, std::uint64_t{kNoisySection - 1}}) {
    EXPECT_EQ(source.Copy(at, 1000), all.substr(at, 1000));
  }
  EXPECT_EQ(source.Copy(plan.bytes - 10, 1000).size(), 10u);
  EXPECT_EQ(source.At(plan.bytes), "");
}

TEST(Noisy, ContentsAreWhatTheyAreCalled) {
  const std::string plain = All(Plan(NoisyContent::kNoNewline)), nul = All(Plan(NoisyContent::kNul));
  EXPECT_EQ(plain.find('\n'), std::string::npos);
  EXPECT_GT(std::count(nul.begin(), nul.end(), '\0'), static_cast<long>(kBytes / 5));
  const std::string lines = All(Plan(NoisyContent::kShortLines));
  EXPECT_GT(std::count(lines.begin(), lines.end(), '\n'), static_cast<long>(kBytes / 40));
  const std::string ansi = All(Plan(NoisyContent::kAnsi));
  EXPECT_THAT(ansi, ::testing::HasSubstr("\x1b[31m"));
  EXPECT_EQ(static_cast<unsigned char>(All(Plan(NoisyContent::kMultibyte))[0]) >> 4, 0xE);
  const std::string longs = All(Plan(NoisyContent::kLongLines, kNoisySection));
  EXPECT_EQ(longs.find('\n'), kNoisyLongLine - 1);
}

TEST(Noisy, MixedTakesAllContentsInTurn) {
  NoisySource mixed(Plan(NoisyContent::kMixed, 8 * kNoisySection));
  std::vector<NoisyContent> seen;
  for (std::uint64_t section = 0; section < 7; ++section) {
    const std::uint64_t at = section * kNoisySection;
    for (int content = 0; content < static_cast<int>(NoisyContent::kMixed); ++content) {
      NoisySource pure(Plan(static_cast<NoisyContent>(content), 8 * kNoisySection));
      // No newline in either of the first two at their beginning: the later difference tells them apart.
      if (pure.Copy(at, kNoisySection) == mixed.Copy(at, kNoisySection)) {
        seen.push_back(static_cast<NoisyContent>(content));
        break;
      }
    }
  }
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::unique(seen.begin(), seen.end()), seen.end());
  EXPECT_GE(seen.size(), 6u);
}

TEST(Noisy, WritesHaveEverySizeAndFollowTheirKey) {
  NoisySizes sizes(1, 65'536), same(1, 65'536), other(2, 65'536);
  std::size_t smallest = 1'000'000, largest = 0, differ = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::size_t size = sizes.Next();
    EXPECT_EQ(size, same.Next());
    differ += size != other.Next();
    smallest = std::min(smallest, size);
    largest = std::max(largest, size);
  }
  EXPECT_EQ(smallest, 1u);
  EXPECT_GT(largest, 60'000u);
  EXPECT_LE(largest, 65'536u);
  EXPECT_GT(differ, 10'000u);
  NoisySizes bytewise(3, 1);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(bytewise.Next(), 1u);
}

// The program, by a shell as a person would use it.
class NoisyProgram : public ::testing::Test {
 protected:
  int Shell(const std::string& command) {
    const std::string full =
        "cd " + temp_.path() + " && n='" + NOISY_BINARY + "' && { " + command + "; } >said 2>&1";
    const int status = std::system(full.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string Said() { return ReadText(temp_ / "said"); }
  TempDir temp_;
};

TEST_F(NoisyProgram, PrintsWhatItChecks) {
  ASSERT_EQ(Shell("\"$n\" print --key 5 --stdout 700000 --stderr 300000 > out 2> err"), 0) << Said();
  EXPECT_EQ(ReadText(temp_ / "out").size(), 700'000u);
  EXPECT_EQ(Shell("\"$n\" check --key 5 --bytes 700000 < out"), 0);
  EXPECT_EQ(Said(), "ok: 700000 bytes\n");
  EXPECT_EQ(Shell("\"$n\" check --key 5 --bytes 300000 --stream stderr < err"), 0) << Said();
}

TEST_F(NoisyProgram, NamesTheFirstFault) {
  ASSERT_EQ(Shell("\"$n\" print --key 5 --stdout 100000 > out"), 0) << Said();
  const std::string out = ReadText(temp_ / "out");
  WriteText(temp_ / "out", out.substr(0, 50'000) + out.substr(50'100));
  EXPECT_EQ(Shell("\"$n\" check --key 5 --bytes 100000 < out"), 1);
  EXPECT_THAT(Said(), ::testing::StartsWith("lost: 100 bytes at byte 500"));
}

TEST_F(NoisyProgram, ARateIsKept) {
  const auto start = std::chrono::steady_clock::now();
  ASSERT_EQ(Shell("\"$n\" print --key 5 --stdout 20000 --max-write 100 --rate 200000 > out"), 0) << Said();
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(90));
  EXPECT_EQ(Shell("\"$n\" check --key 5 --bytes 20000 < out"), 0) << Said();
}

TEST_F(NoisyProgram, WrongUseIsRefused) {
  EXPECT_EQ(Shell("\"$n\""), 2);
  EXPECT_EQ(Shell("\"$n\" print --stdout 5"), 2);  // no key
  EXPECT_EQ(Shell("\"$n\" check --key 1 --bytes 5 --stream both < /dev/null"), 2);
  EXPECT_EQ(Shell("\"$n\" print --key 1 --content pink"), 2);
  EXPECT_EQ(Shell("\"$n\" print --key 1 --stdout 100000 > /dev/full"), 1);
}

}  // namespace
}  // namespace waggle::test
