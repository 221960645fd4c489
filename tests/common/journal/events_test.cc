#include "common/journal/events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace waggle::journal {
namespace {

CommandStart SampleStart() {
  return {.name = "unit", .display = "make check", .plugin = "npm", .silent = true, .wall = -7};
}
CommandEnd SampleEnd() {
  CommandEnd end;
  end.exit_code = 137;
  end.signal = 9;
  end.duration_nanos = 1'000'000'000'001;
  end.user_micros = 2;
  end.system_micros = 3;
  end.max_rss_kib = 4;
  end.error = std::string("no \0 shell", 10);
  end.wall = 1'700'000'000'000;
  return end;
}
PhaseEvent SamplePhase() {
  return {.end = true, .code = -1, .next = "deploy", .ran_nothing = true, .wall = 9};
}
Warning SampleWarning() {
  return {.plugin = "p", .title = "t", .description = "d", .major = true};
}
Gap SampleGap() {
  return {.missing_bytes = ~std::uint64_t{0}, .reason = "spool full", .stream = Kind::kStderr};
}
Final SampleFinal() {
  Final final;
  final.last = Seq(99);
  final.out = {123, {}};
  final.out.digest.fill(0xAB);
  final.err = {456, {}};
  final.err.digest.fill(0xCD);
  final.test_code = 0;
  final.deploy_code = 504;
  final.failed_code = 2;
  final.reason = Reason::kTimeout;
  final.detail = "took longer than 60 min";
  final.failed_step = "test/unit";
  final.processes_left = 5;
  final.processes_killed = 4;
  final.user_micros = 1;
  final.system_micros = 2;
  final.max_rss_kib = 3;
  final.kill_nanos = 4;
  final.started = 5;
  final.finished = 6;
  return final;
}

void Expect(const CommandStart& got, const CommandStart& want) {
  EXPECT_EQ(got.name, want.name);
  EXPECT_EQ(got.display, want.display);
  EXPECT_EQ(got.plugin, want.plugin);
  EXPECT_EQ(got.silent, want.silent);
  EXPECT_EQ(got.wall, want.wall);
}
void Expect(const CommandEnd& got, const CommandEnd& want) {
  EXPECT_EQ(got.exit_code, want.exit_code);
  EXPECT_EQ(got.signal, want.signal);
  EXPECT_EQ(got.duration_nanos, want.duration_nanos);
  EXPECT_EQ(got.user_micros, want.user_micros);
  EXPECT_EQ(got.system_micros, want.system_micros);
  EXPECT_EQ(got.max_rss_kib, want.max_rss_kib);
  EXPECT_EQ(got.error, want.error);
  EXPECT_EQ(got.wall, want.wall);
}
void Expect(const PhaseEvent& got, const PhaseEvent& want) {
  EXPECT_EQ(got.end, want.end);
  EXPECT_EQ(got.code, want.code);
  EXPECT_EQ(got.next, want.next);
  EXPECT_EQ(got.ran_nothing, want.ran_nothing);
  EXPECT_EQ(got.wall, want.wall);
}
void Expect(const Warning& got, const Warning& want) {
  EXPECT_EQ(got.plugin, want.plugin);
  EXPECT_EQ(got.title, want.title);
  EXPECT_EQ(got.description, want.description);
  EXPECT_EQ(got.major, want.major);
}
void Expect(const Gap& got, const Gap& want) {
  EXPECT_EQ(got.missing_bytes, want.missing_bytes);
  EXPECT_EQ(got.stream, want.stream);
  EXPECT_EQ(got.reason, want.reason);
}
void Expect(const Final& got, const Final& want) {
  EXPECT_EQ(got.last, want.last);
  EXPECT_EQ(got.out, want.out);
  EXPECT_EQ(got.err, want.err);
  EXPECT_EQ(got.test_code, want.test_code);
  EXPECT_EQ(got.deploy_code, want.deploy_code);
  EXPECT_EQ(got.failed_code, want.failed_code);
  EXPECT_EQ(got.reason, want.reason);
  EXPECT_EQ(got.detail, want.detail);
  EXPECT_EQ(got.failed_step, want.failed_step);
  EXPECT_EQ(got.processes_left, want.processes_left);
  EXPECT_EQ(got.processes_killed, want.processes_killed);
  EXPECT_EQ(got.user_micros, want.user_micros);
  EXPECT_EQ(got.system_micros, want.system_micros);
  EXPECT_EQ(got.max_rss_kib, want.max_rss_kib);
  EXPECT_EQ(got.kill_nanos, want.kill_nanos);
  EXPECT_EQ(got.started, want.started);
  EXPECT_EQ(got.finished, want.finished);
}

void Expect(const PluginEvent& got, const PluginEvent& want) {
  EXPECT_EQ(got.plugin, want.plugin);
  EXPECT_EQ(got.json, want.json);
}

// Whole, cut anywhere, longer than known, of another version, and noise.
template <typename T, typename DecodeFn>
void Check(const T& sample, DecodeFn decode) {
  const std::string bytes = Encode(sample);
  auto whole = decode(bytes);
  ASSERT_TRUE(whole.has_value());
  Expect(*whole, sample);

  auto longer = decode(bytes + "fields of a later version");
  ASSERT_TRUE(longer.has_value());
  Expect(*longer, sample);

  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode(std::string_view(bytes).substr(0, size)).has_value()) << size;
  }
  std::string other = bytes;
  other[0] = 2;
  EXPECT_FALSE(decode(other).has_value());

  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    std::string noise(random() % 200, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    if (!noise.empty()) noise[0] = 1;
    (void)decode(noise);  // whatever it says, it stays inside the input
  }
}

TEST(Events, CommandStart) {
  Check(SampleStart(), DecodeCommandStart);
}
TEST(Events, CommandEnd) {
  Check(SampleEnd(), DecodeCommandEnd);
}
TEST(Events, Plugin) {
  Check(PluginEvent{"ccache", "{\"plugin\":\"ccache\"}"}, DecodePluginEvent);
}
TEST(Events, Phase) {
  Check(SamplePhase(), DecodePhaseEvent);
}
TEST(Events, Warning) {
  Check(SampleWarning(), DecodeWarning);
}
TEST(Events, Gap) {
  Check(SampleGap(), DecodeGap);
}
TEST(Events, Final) {
  Check(SampleFinal(), DecodeFinal);
}

TEST(Events, DefaultsRoundTrip) {
  Expect(*DecodeFinal(Encode(Final{})), Final{});
  Expect(*DecodeCommandEnd(Encode(CommandEnd{})), CommandEnd{});
}

// What a drone says ends up in the store, which keeps only reasons it can name.
TEST(Events, FinalWithAReasonOutsideTheVocabularyIsDamaged) {
  Final final = SampleFinal();
  for (int value : {static_cast<int>(kLastReason) + 1, 200, 255}) {
    final.reason = static_cast<Reason>(value);
    EXPECT_FALSE(DecodeFinal(Encode(final)).has_value()) << value;
  }
  for (int value = 0; value <= static_cast<int>(kLastReason); ++value) {
    final.reason = static_cast<Reason>(value);
    EXPECT_TRUE(DecodeFinal(Encode(final)).has_value()) << value;
  }
}

}  // namespace
}  // namespace waggle::journal
