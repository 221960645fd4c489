// The history's file: what is written is read again, what is not a history is refused with its place.
#include "tests/support/history.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "tests/support/child.h"
#include "tests/support/temp_dir.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;

HistoryEntry Full() {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  return {.t = 1'234'567'890'123,
          .began = 5,
          .actor = "watcher \"1\"",
          .op = Op::kOutput,
          .job = 18'446'744'073'709'551'615u,
          .attempt = 2,
          .key = "key",
          .state = "errored",
          .reason = "drone_lost",
          .phase = "test",
          .stream = "stdout",
          .offset = 77,
          .data = bytes};
}

TEST(History, LinesKeepEveryField) {
  const HistoryEntry full = Full();
  EXPECT_EQ(*FromLine(ToLine(full)), full);
  for (int op = 0; op <= static_cast<int>(Op::kNote); ++op) {
    const HistoryEntry entry{.t = 1, .op = static_cast<Op>(op)};
    EXPECT_EQ(*FromLine(ToLine(entry)), entry);
  }
  EXPECT_EQ(ToLine({.t = 7, .actor = "c", .op = Op::kSubmit, .job = 5}),
            R"({"actor":"c","job":5,"op":"submit","t":7})");
}

TEST(History, WrongLinesNameTheField) {
  auto said = [](const char* line) { return std::string(FromLine(line).status().message()); };
  EXPECT_EQ(said(""), "the line is no JSON object");
  EXPECT_EQ(said("[1]"), "the line is no JSON object");
  EXPECT_EQ(said("{"), "the line is no JSON object");
  EXPECT_EQ(said("{}"), "field op is missing");
  EXPECT_EQ(said(R"({"op":"dance"})"), "field op is unknown: dance");
  EXPECT_EQ(said(R"({"op":5})"), "field op is no string");
  EXPECT_EQ(said(R"({"op":"note","job":"5"})"), "field job is no whole number");
  EXPECT_EQ(said(R"({"op":"note","job":-5})"), "field job is no whole number");
  EXPECT_EQ(said(R"({"op":"note","data":"%"})"), "field data is no base64");
  EXPECT_EQ(said(R"({"op":"note","jub":5})"), "field jub is not known");
}

TEST(History, SeveralThreadsWriteWholeLines) {
  TempDir temp;
  const auto history = *History::Create(temp / "history");
  std::vector<std::thread> threads;
  for (std::uint64_t i = 1; i <= 4; ++i) {
    threads.emplace_back([&, i] {
      for (std::uint64_t n = 1; n <= 500; ++n) {
        history->Append({.actor = absl::StrCat("a", i), .job = i, .offset = n, .data = std::string(n, 'x')});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::vector<HistoryEntry> entries = *LoadHistory(history->path());
  ASSERT_EQ(entries.size(), 2000u);
  std::map<std::uint64_t, std::uint64_t> last;
  std::int64_t before = 1;
  for (const HistoryEntry& entry : entries) {
    EXPECT_EQ(entry.offset, ++last[entry.job]);
    EXPECT_EQ(entry.data.size(), entry.offset);
    EXPECT_GE(entry.t, before);
    before = entry.t;
  }
}

TEST(History, IsContinuedAndLosesOnlyATornEnd) {
  TempDir temp;
  const std::string path = temp / "history";
  (*History::Create(path))->Append({.job = 1});
  (*History::Create(path))->Append({.job = 2});
  EXPECT_EQ(LoadHistory(path)->size(), 2u);
  const std::string whole = ReadText(path);
  WriteText(path, whole + R"({"t":5,"op":"su)");
  EXPECT_EQ(LoadHistory(path)->size(), 2u);
  WriteText(path, whole + "{\"op\":\"note\",\"job\":true}\n" + whole);
  EXPECT_EQ(std::string(LoadHistory(path).status().message()), path + ":3: field job is no whole number");
  WriteText(path, "");
  EXPECT_TRUE(LoadHistory(path)->empty());
  EXPECT_FALSE(LoadHistory(temp / "none").ok());
  EXPECT_FALSE(History::Create(temp / "no/directory").ok());
}

TEST(Witness, JobsWriteItThemselves) {
  TempDir temp;
  const std::string path = temp / "witness";
  EXPECT_TRUE(LoadWitness(path)->empty());
  const std::int64_t before = BootClock::now().time_since_epoch().count();
  Child job({.argv = {"bash", "-euo", "pipefail", "-c", WitnessStart(path) + "true\n" + WitnessEnd(path)},
             .env = {{"PATH", "/usr/bin:/bin"},
                     {"WAGGLE_JOB", "12"},
                     {"WAGGLE_ATTEMPT", "3"},
                     {"WAGGLE_PHASE", "deploy"}},
             .log = temp / "log"});
  const Outcome outcome = job.Finish();
  ASSERT_EQ(outcome.code, 0) << outcome;
  const std::vector<HistoryEntry> seen = *LoadWitness(path);
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].op, Op::kStart);
  EXPECT_EQ(seen[1].op, Op::kEnd);
  for (const HistoryEntry& entry : seen) {
    EXPECT_EQ(entry.actor, "witness");
    EXPECT_EQ(entry.job, 12u);
    EXPECT_EQ(entry.attempt, 3u);
    EXPECT_EQ(entry.phase, "deploy");
    EXPECT_NEAR(static_cast<double>(entry.t - before), 0, 10e9);
  }
}

TEST(Witness, WrongLinesAreNamed) {
  TempDir temp;
  const std::string path = temp / "witness", good = "start 12.34 5 1 test\n";
  for (const char* bad : {"", "start 12.34 5 1", "stop 12.34 5 1 test", "start soon 5 1 test",
                          "start 12.34 -5 1 test", "start 12.34 5 1 test more"}) {
    WriteText(path, absl::StrCat(good, bad, "\n", good));
    EXPECT_THAT(std::string(LoadWitness(path).status().message()), HasSubstr("witness:2: the line is not"));
  }
  WriteText(path, good + "end 12.3");
  EXPECT_EQ(LoadWitness(path)->size(), 1u);  // a job was killed while it wrote
}

}  // namespace
}  // namespace waggle::test
