#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "common/base/limits.h"
#include "common/journal/reader.h"
#include "drone/shim/last_line.h"
#include "drone/shim/spool.h"
#include "drone/shim/step_setup.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"

namespace waggle::shim {
namespace {

using ::testing::HasSubstr;

TEST(SpoolTest, ARetryAfterAFullDiskRepeatsTheSameBytes) {
  std::vector<std::string> tries;
  absl::Status answer = absl::ResourceExhaustedError("no space");
  Spool spool(Epoch(4), [&](std::string_view records, Seq) {
    tries.emplace_back(records);
    return answer;
  });
  spool.Add(journal::Kind::kStdout, 0, "abc", Time());
  EXPECT_EQ(spool.Flush().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(spool.pending());
  EXPECT_EQ(spool.last(), Seq(0));
  EXPECT_EQ(spool.Flush().code(), absl::StatusCode::kResourceExhausted);
  answer = absl::OkStatus();
  EXPECT_TRUE(spool.Flush().ok());
  EXPECT_FALSE(spool.pending());
  EXPECT_EQ(spool.last(), Seq(1));
  ASSERT_EQ(tries.size(), 3u);
  EXPECT_EQ(tries[0], tries[2]);
  EXPECT_EQ(spool.output_bytes(), 3u);
  EXPECT_TRUE(spool.Flush().ok());
  EXPECT_EQ(tries.size(), 3u) << "nothing to write, nothing written";
}

TEST(SpoolTest, NumbersOffsetsAndSplits) {
  std::string raw;
  Spool spool(Epoch(4), [&](std::string_view records, Seq last) {
    EXPECT_EQ(last, Seq(5));
    raw = records;
    return absl::OkStatus();
  });
  spool.SetPhase(Phase::kTest);
  std::string big(2 * limits::kRecordPayload + 1, 'x');
  spool.Add(journal::Kind::kStdout, 2, big, Time());
  spool.Add(journal::Kind::kStderr, 2, "e", Time());
  spool.Add(journal::Kind::kComment, 2, big, Time());
  ASSERT_TRUE(spool.Flush().ok());
  std::vector<std::pair<std::uint64_t, std::uint32_t>> got;
  journal::ForEachRecord(raw, [&](const journal::RecordView& r) {
    EXPECT_EQ(r.header.phase, 2);
    EXPECT_EQ(r.header.epoch, Epoch(4));
    EXPECT_EQ(r.header.seq, Seq(got.size() + 1));
    got.emplace_back(r.header.offset, r.header.size);
  });
  EXPECT_THAT(got, ::testing::ElementsAre(std::pair(0, 65536), std::pair(65536, 65536), std::pair(131072, 1),
                                          std::pair(0, 1), std::pair(0, 65536)));
  EXPECT_EQ(spool.out_total().bytes, big.size());
}

TEST(LastLineTest, SurvivesAnySplit) {
  const std::string text = "first\n\nfatal: no route\r\n  \n";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    LastLine line;
    line.Feed(std::string_view(text).substr(0, cut), [](std::string_view) {});
    line.Feed(std::string_view(text).substr(cut), [](std::string_view) {});
    EXPECT_EQ(line.Take(), "fatal: no route") << cut;
  }
  LastLine open;
  open.Feed("a\nno newline", [](std::string_view) {});
  EXPECT_EQ(open.Take(), "no newline");
  LastLine huge;
  huge.Feed(std::string(1 << 20, 'x'), [](std::string_view) {});
  EXPECT_EQ(huge.Take().size(), LastLine::kMaxBytes);
  EXPECT_EQ(LastLine().Take(), "");
}

TEST(OpenInsideTest, StaysInside) {
  test::TempDir temp;
  const std::string& dir = temp.path();
  ASSERT_EQ(::mkdir((dir + "/base").c_str(), 0700), 0);
  ASSERT_EQ(::mkdir((dir + "/base/sub").c_str(), 0700), 0);
  ASSERT_EQ(::mkdir((dir + "/base2").c_str(), 0700), 0);
  ASSERT_EQ(::symlink("../base2", (dir + "/base/out").c_str()), 0);
  ASSERT_EQ(::symlink("sub", (dir + "/base/in").c_str()), 0);
  ASSERT_TRUE(WriteFileDurably(dir + "/base/file", "x").ok());
  const std::string base = dir + "/base";
  for (const char* good : {"", "sub", "./sub/..", "in", "sub/../in"})
    EXPECT_TRUE(OpenInside(base, good).ok()) << good;
  for (const char* bad : {"..", "../base2", "out", "/", "/tmp", "sub/../../base2", "file"}) {
    EXPECT_EQ(OpenInside(base, bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_EQ(OpenInside(base, "gone").status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(OpenInside(base, "gone").status().message()), HasSubstr("does not exist"));
}

TEST(PrepareStepTest, ChoosesTheShellAndTheEnvironment) {
  test::TempDir temp;
  const std::string& dir = temp.path();
  Start start;
  start.base_directory = start.job_directory = dir;
  start.env = {{"PATH", "/usr/bin:/bin"}, {"A", "job"}, {"WAGGLE_ATTEMPT_KEY", "k"}};
  Step step{.command = "echo hi", .env = {{"A", "step"}, {"WAGGLE_ATTEMPT_KEY", "forged"}}};
  auto setup = PrepareStep(start, step, Phase::kTest, dir + "/s.sh");
  ASSERT_TRUE(setup.ok());
  EXPECT_THAT(setup->spec.argv, ::testing::ElementsAre("bash", "-euo", "pipefail", dir + "/s.sh"));
  EXPECT_THAT(setup->spec.env, ::testing::UnorderedElementsAre("A=step", "PATH=/usr/bin:/bin",
                                                               "WAGGLE_PHASE=test", "WAGGLE_ATTEMPT_KEY=k"));
  EXPECT_EQ(ReadFile(dir + "/s.sh", 100).value(), "echo hi\n");

  ASSERT_EQ(::symlink("/bin/sh", (dir + "/sh").c_str()), 0);
  start.env["PATH"] = dir;
  setup = PrepareStep(start, step, Phase::kTest, dir + "/s.sh");
  ASSERT_TRUE(setup.ok());
  EXPECT_THAT(setup->spec.argv, ::testing::ElementsAre("sh", "-eu", dir + "/s.sh"));

  EXPECT_EQ(PrepareStep(start, step, Phase::kTest, dir + "/no/such/place.sh").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(DisplayOf(Step{.command = "a", .args = {"b", "c"}}), "a b c");
  EXPECT_EQ(DisplayOf(Step{.command = "a", .screen = "shown", .args = {"b"}}), "shown");
}

}  // namespace
}  // namespace waggle::shim
