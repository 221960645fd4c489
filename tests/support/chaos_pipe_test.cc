// Bytes on their way, and scripts of faults, without a socket or a clock.
#include "tests/support/chaos_pipe.h"

#include <gmock/gmock.h>

#include <set>

#include "tests/sim/random.h"
#include "tests/support/chaos_script.h"
#include "tests/support/temp_dir.h"

namespace waggle::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

Time At(Duration since_start) {
  return Time(1h + since_start);
}

std::string Drain(ChaosPipe& pipe, Time now, std::uint64_t rate = 0) {
  std::string bytes(pipe.Ready(now, rate));
  pipe.Pop(bytes.size());
  return bytes;
}

TEST(ChaosPipe, WithoutDelayBytesAreDueAtOnceAndInOrder) {
  ChaosPipe pipe;
  EXPECT_TRUE(pipe.empty());
  EXPECT_EQ(pipe.Due(), Time::max());
  pipe.Push("ab", At(0s), 0s);
  pipe.Push("", At(0s), 0s);
  pipe.Push("cd", At(1s), 0s);
  EXPECT_EQ(pipe.size(), 4u);
  EXPECT_EQ(pipe.Ready(At(1s), 0), "abcd");
  pipe.Pop(3);
  EXPECT_EQ(Drain(pipe, At(1s)), "d");
  EXPECT_EQ(Drain(pipe, At(1s)), "");
}

TEST(ChaosPipe, DelaysHoldBytesUntilTheyAreDue) {
  ChaosPipe pipe;
  pipe.Push("slow", At(0s), 20ms);
  EXPECT_EQ(Drain(pipe, At(19'999us)), "");
  EXPECT_EQ(pipe.Due(), At(20ms));
  pipe.Push("later", At(15ms), 20ms);
  EXPECT_EQ(Drain(pipe, At(20ms)), "slow");
  EXPECT_EQ(pipe.Due(), At(35ms));
  EXPECT_EQ(Drain(pipe, At(35ms)), "later");
}

TEST(ChaosPipe, ByteWithLessDelayDoesNotOvertake) {
  ChaosPipe pipe;
  pipe.Push("first", At(0s), 50ms);
  pipe.Push("second", At(1ms), 1ms);
  pipe.Push("third", At(2ms), 0s);
  EXPECT_EQ(Drain(pipe, At(49ms)), "");
  EXPECT_EQ(Drain(pipe, At(50ms)), "firstsecondthird");
}

TEST(ChaosPipe, RateIsKept) {
  ChaosPipe pipe;
  pipe.Push(std::string(10'000, 'x'), At(0s), 0s);
  std::size_t sent = 0;
  for (Time now = At(0s); now <= At(5s); now += 1ms) {
    sent += Drain(pipe, now, 1000).size();
    const auto allowed = static_cast<std::size_t>((now - At(0s)) / 1ms) + 11;  // and a burst of 10 ms
    ASSERT_LE(sent, allowed);
    ASSERT_GE(sent + 12, allowed);
  }
  EXPECT_EQ(sent, 5'001u);
  EXPECT_EQ(pipe.Due(), At(5001ms));
  EXPECT_EQ(Drain(pipe, At(5s), 0).size(), 10'000 - sent) << "without the limit the rest goes at once";
}

TEST(ChaosPipe, SlowRateStillMovesSingleBytes) {
  ChaosPipe pipe;
  pipe.Push("ab", At(0s), 0s);
  EXPECT_EQ(Drain(pipe, At(0s), 2), "a");
  EXPECT_EQ(Drain(pipe, At(0s), 2), "");
  EXPECT_EQ(pipe.Due(), At(500ms));
  EXPECT_EQ(Drain(pipe, At(499ms), 2), "");
  EXPECT_EQ(Drain(pipe, At(500ms), 2), "b");
}

TEST(ChaosPipe, BytesAndBookkeepingAreBounded) {
  ChaosPipe full;
  full.Push(std::string(ChaosPipe::kCapacity, 'x'), At(0s), 0s);
  EXPECT_EQ(full.Room(), 0u);
  full.Clear();
  EXPECT_EQ(full.Room(), ChaosPipe::kCapacity);
  ChaosPipe pieces;
  std::size_t pushed = 0;
  for (; pieces.Room() > 0; ++pushed) pieces.Push("x", At(pushed * 2ms), 1h);
  EXPECT_EQ(pushed, ChaosPipe::kMostPieces);
  EXPECT_EQ(Drain(pieces, At(2h)).size(), pushed);
  EXPECT_EQ(pieces.Room(), ChaosPipe::kCapacity);
}

TEST(ChaosPipe, AnyMixtureKeepsTheBytes) {
  const std::string all = NoiseBytes(2'000'000, 5);
  sim::Random random(1, "pipe test");
  ChaosPipe pipe;
  std::string seen;
  std::size_t pushed = 0;
  for (Time now = At(0s); seen.size() < all.size(); now += Duration(random.Between(0, 3'000'000))) {
    const std::size_t most = std::min(pipe.Room(), all.size() - pushed);
    const std::size_t size = std::min<std::size_t>(most, random.Below(40'000));
    pipe.Push(std::string_view(all).substr(pushed, size), now, Duration(random.Skewed(0, 30'000'000)));
    pushed += size;
    const std::string_view ready = pipe.Ready(now, random.OneIn(2) ? 0 : 50'000'000);
    const std::size_t taken = random.Below(ready.size() + 1);
    seen += ready.substr(0, taken);
    pipe.Pop(taken);
  }
  EXPECT_TRUE(seen == all);
}

TEST(ChaosScript, SameSeedSameSteps) {
  ChaosScript a(7), b(7), other(8);
  int differ = 0;
  for (int i = 0; i < 1000; ++i) {
    const ChaosStep step = a.Next();
    EXPECT_EQ(step, b.Next());
    differ += step == other.Next() ? 0 : 1;
  }
  EXPECT_GT(differ, 900);
}

TEST(ChaosScript, EveryFaultOccursAndIsHealed) {
  ChaosScript script(1, 2s);
  std::set<std::string> kinds;
  for (int i = 0; i < 1000; ++i) {
    const ChaosStep fault = script.Next(), calm = script.Next();
    EXPECT_EQ(calm, (ChaosStep{.lasts = calm.lasts}));
    for (const ChaosStep& step : {fault, calm}) {
      EXPECT_GE(step.lasts, 10ms);
      EXPECT_LE(step.lasts, 2s);
    }
    const std::string text = Text(fault);
    for (const char* kind : {"cut all, healthy", "door refuses", "door is silent", "delay", "jitter",
                             "bytes/s", "up: black hole", "down: black hole", "stalled", "cut after"}) {
      if (text.find(kind) != std::string::npos) kinds.insert(kind);
    }
  }
  EXPECT_EQ(kinds.size(), 10u) << ::testing::PrintToString(kinds);
}

TEST(ChaosScript, StepsReadAsSentences) {
  EXPECT_EQ(Text(ChaosStep{.lasts = 120ms}), "healthy, for 120 ms");
  EXPECT_EQ(Text(ChaosStep{.act = ChaosStep::Act::kCutAfter, .way = Way::kDown, .bytes = 17}),
            "cut after 17 bytes down, for 0 ms");
  ChaosStep step{.act = ChaosStep::Act::kCutAll, .lasts = 1s, .faults = {.door = Door::kSilent}};
  step.faults.up = {.delay = 5ms, .jitter = 2ms, .rate = 1000};
  step.faults.down = {.black_hole = true, .stalled = true};
  EXPECT_EQ(Text(step),
            "cut all, up: delay 5 ms jitter 2 ms 1000 bytes/s, down: black hole stalled, door is silent, for "
            "1000 ms");
}

}  // namespace
}  // namespace waggle::test
