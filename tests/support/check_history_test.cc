// The checker itself: a good history breaks no rule, and each history with one planted violation breaks that
// rule alone, with the lines that show it.
#include "tests/support/check_history.h"

#include <gmock/gmock.h>

#include <functional>

namespace waggle::test {
namespace {

using ::testing::HasSubstr;
using Lines = std::vector<std::size_t>;

// Builds histories; each verb is a line, one second after the one before.
class Story {
 public:
  Story& Add(HistoryEntry entry) {
    entry.t = static_cast<std::int64_t>(entries_.size() + 1) * 1'000'000'000;
    entries_.push_back(std::move(entry));
    return *this;
  }
  Story& Submit(std::uint64_t job, const std::string& key = "") {
    return Add({.actor = "client", .op = Op::kSubmit, .job = job, .key = key});
  }
  Story& State(std::uint64_t job, const std::string& state, const std::string& reason = "") {
    return Add({.actor = "client", .op = Op::kState, .job = job, .state = state, .reason = reason});
  }
  Story& Missing(std::uint64_t job) { return Add({.actor = "client", .op = Op::kMissing, .job = job}); }
  Story& Attempt(std::uint64_t job, std::uint64_t attempt, const std::string& state) {
    return Add({.actor = "client", .op = Op::kAttempt, .job = job, .attempt = attempt, .state = state});
  }
  Story& Start(std::uint64_t job, std::uint64_t attempt, const std::string& phase = "test") {
    return Add({.actor = "witness", .op = Op::kStart, .job = job, .attempt = attempt, .phase = phase});
  }
  Story& End(std::uint64_t job, std::uint64_t attempt, const std::string& phase = "test") {
    return Add({.actor = "witness", .op = Op::kEnd, .job = job, .attempt = attempt, .phase = phase});
  }
  Story& Output(std::uint64_t job, std::uint64_t offset, const std::string& data,
                const std::string& actor = "w1", std::uint64_t attempt = 1) {
    return Add({.actor = actor,
                .op = Op::kOutput,
                .job = job,
                .attempt = attempt,
                .stream = "stdout",
                .offset = offset,
                .data = data});
  }
  Story& WatchEnd(std::uint64_t job, const std::string& actor = "w1") {
    return Add({.actor = actor, .op = Op::kWatchEnd, .job = job, .attempt = 1});
  }
  Story& Stored(std::uint64_t job, const std::string& data, std::uint64_t attempt = 1) {
    return Add({.op = Op::kStored, .job = job, .attempt = attempt, .stream = "stdout", .data = data});
  }
  // The last line was asked for so many lines before the answer was there.
  Story& AskedEarlier(int lines) {
    entries_.back().began = entries_.back().t - lines * 1'000'000'000ll - 1;
    return *this;
  }

  const std::vector<HistoryEntry>& entries() const { return entries_; }
  std::vector<Violation> Check() const { return CheckHistory(entries_); }

 private:
  std::vector<HistoryEntry> entries_;
};

void ExpectGood(const Story& story) {
  EXPECT_TRUE(story.Check().empty()) << Summary(story.entries(), story.Check());
}

void ExpectOnly(const Story& story, Rule rule, std::uint64_t job, const Lines& lines,
                const std::string& text) {
  const std::vector<Violation> found = story.Check();
  ASSERT_EQ(found.size(), 1u) << Summary(story.entries(), found);
  EXPECT_STREQ(Name(found[0].rule), Name(rule));
  EXPECT_EQ(found[0].job, job);
  EXPECT_EQ(found[0].lines, lines);
  EXPECT_THAT(found[0].text, HasSubstr(text));
}

// Jobs with everything that may happen to them.
Story Good() {
  Story story;
  story.Submit(1, "k1").Submit(1, "k1");  // sent again, because the first answer was lost
  story.State(1, "queued").Start(1, 1).State(1, "started");
  story.Output(1, 0, "ab").Output(1, 2, "cd").Output(1, 0, "abc", "w2").Output(1, 3, "def", "w2");
  story.End(1, 1).WatchEnd(1, "w2");
  story.State(1, "passed").State(1, "passed").Stored(1, "abcdef");
  // Lost, and run again beside what was left of the first attempt.
  story.Submit(2).Start(2, 1).Output(2, 0, "old");
  story.State(2, "queued").Start(2, 2).End(2, 1).End(2, 2).Output(2, 0, "new", "w1", 2);
  story.Attempt(2, 1, "errored")
      .Attempt(2, 2, "failed")
      .State(2, "failed")
      .Stored(2, "old")
      .Stored(2, "new", 2);
  // Test and deploy, each once.
  story.Submit(3, "k3").Start(3, 1).End(3, 1).Start(3, 1, "deploy").End(3, 1, "deploy");
  story.State(3, "passed");
  // A deploy that nobody knows the end of, and a job that never ran.
  story.Submit(4).Start(4, 1, "deploy").State(4, "errored", "unknown").State(4, "errored");
  story.Submit(5).State(5, "canceled");
  // Its submit was not acknowledged, but it is there.
  story.State(6, "passed").Missing(7);
  return story;
}

TEST(CheckHistory, GoodHistoriesBreakNoRule) {
  ExpectGood(Story());
  ExpectGood(Good());
  const std::vector<HistoryEntry> entries = Good().entries();
  const std::string summary = Summary(entries, CheckHistory(entries));
  EXPECT_THAT(summary,
              HasSubstr(" entries, 5 jobs: 1 canceled, 1 errored, 1 failed, 3 passed; no violations\n"));
}

TEST(CheckHistory, JobWithoutAVerdict) {
  ExpectOnly(Good().Submit(8), Rule::kNoVerdict, 8, {42}, "last seen: never");
  ExpectOnly(Good().Submit(8).State(8, "queued").State(8, "started"), Rule::kNoVerdict, 8, {42, 44},
             "last seen: started");
}

TEST(CheckHistory, VerdictThatChanged) {
  ExpectOnly(Good().State(1, "failed"), Rule::kVerdictChanged, 1, {12, 42},
             "its verdict was passed, then it was told as failed");
  ExpectOnly(Good().State(4, "errored", "drone_lost"), Rule::kVerdictChanged, 4, {36, 42}, "drone_lost");
  ExpectOnly(Good().State(1, "started"), Rule::kVerdictChanged, 1, {12, 42}, "told as started");
  ExpectGood(Good().State(1, "started").AskedEarlier(34));  // asked before line 12 was there
}

TEST(CheckHistory, EffectsUnderTwoLiveAttempts) {
  Story two;
  two.Submit(1).Start(1, 1).Start(1, 2).End(1, 1).End(1, 2).State(1, "passed").Attempt(1, 2, "passed");
  ExpectOnly(two, Rule::kTwoEffects, 1, {2, 3, 4, 5},
             "under attempts 1 and 2, and the lower was never given up");
  ExpectGood(two.Attempt(1, 1, "errored"));
  Story after;  // one after the other is no better
  after.Submit(1).Start(1, 1).End(1, 1).Start(1, 2).State(1, "passed").Attempt(1, 1, "failed");
  ExpectOnly(after, Rule::kTwoEffects, 1, {2, 3, 4}, "never given up");
  ExpectOnly(Good().Start(1, 1), Rule::kTwoEffects, 1, {4, 10, 42}, "phase test ran twice under attempt 1");
  // Also when another attempt ran in between.
  ExpectOnly(Good().Start(2, 1), Rule::kTwoEffects, 2, {16, 20, 42}, "ran twice under attempt 1");
}

TEST(CheckHistory, DeployStartedTwice) {
  ExpectOnly(Good().Start(3, 1, "deploy"), Rule::kDeployTwice, 3, {31, 32, 42}, "under attempts 1 and 1");
  Story lost;  // that the first was given up is no excuse
  lost.Submit(1).Start(1, 1, "deploy").Start(1, 2, "deploy").State(1, "passed").Attempt(1, 1, "errored");
  ExpectOnly(lost, Rule::kDeployTwice, 1, {2, 3}, "under attempts 1 and 2");
}

TEST(CheckHistory, WatchersWithAGapARepeatOrOtherBytes) {
  Story gap = Good();
  ExpectOnly(gap.Output(1, 5, "f"), Rule::kOutput, 1, {7, 42},
             "w1, stdout of attempt 1: 1 bytes are missing at byte 4");
  ExpectOnly(Good().Output(1, 3, "def"), Rule::kOutput, 1, {7, 42}, "1 bytes came again at byte 3");
  ExpectOnly(Good().Output(1, 4, "eX"), Rule::kOutput, 1, {14, 42}, "are not those the queen has");
  ExpectOnly(Good().Output(1, 4, "efg"), Rule::kOutput, 1, {14, 42}, "go beyond what the queen has");
  ExpectOnly(Good().Output(1, 1, "b", "w3"), Rule::kOutput, 1, {42}, "1 bytes are missing at byte 0");
  ExpectOnly(Good().WatchEnd(1), Rule::kOutput, 1, {14, 42}, "told the end after 4 of 6 bytes");
  ExpectOnly(Good().WatchEnd(1, "w9"), Rule::kOutput, 1, {14, 42}, "told the end after 0 of 6 bytes");
  ExpectGood(Good().Output(1, 4, "ef").WatchEnd(1));
  // Streams and attempts are counted by themselves; nothing stored is nothing to compare with.
  ExpectGood(Good().Output(9, 0, "abc").Output(9, 3, "").Output(9, 3, "d").Output(9, 0, "x", "w1", 2));
  ExpectOnly(Good().Output(9, 0, "abc").Output(9, 2, "cd"), Rule::kOutput, 9, {42, 43}, "came again");
}

TEST(CheckHistory, AcknowledgedJobThatIsUnknownLater) {
  ExpectOnly(Good().Missing(5), Rule::kJobLost, 5, {38, 42}, "later it was unknown");
  ExpectGood(Good().Missing(5).AskedEarlier(5));  // asked before it was acknowledged
}

TEST(CheckHistory, KeysAndJobsBelongTogether) {
  ExpectOnly(Good().Submit(8, "k1").State(8, "passed"), Rule::kKey, 8, {1, 42}, "key k1 also gave job 1");
  ExpectOnly(Good().Submit(1, "k9"), Rule::kKey, 1, {1, 42}, "no key in common");
  ExpectOnly(Good().Submit(5), Rule::kKey, 5, {38, 42}, "no key in common");
  ExpectGood(Good().Submit(1, "k1"));
}

TEST(CheckHistory, SummariesShowTheLines) {
  Story story = Good();
  story.State(1, "failed").Submit(8);
  story.Stored(9, std::string(100'000, 'x')).Output(9, 0, "y");
  const std::string summary = Summary(story.entries(), story.Check());
  EXPECT_THAT(summary, HasSubstr("; 3 violations\n"));
  EXPECT_THAT(summary,
              HasSubstr("verdict_changed: job 1: its verdict was passed, then it was told as failed\n"
                        "  line 12: {\"actor\":\"client\",\"job\":1,\"op\":\"state\",\"state\":\"passed\""));
  EXPECT_THAT(summary, HasSubstr("\n  line 42: {"));
  EXPECT_THAT(summary, HasSubstr("no_verdict: job 8: "));
  EXPECT_THAT(summary, HasSubstr("…\n"));
  EXPECT_LT(summary.size(), 2500u);
}

// A history that is cut anywhere never makes up anything but what its missing end explains.
TEST(CheckHistory, BeginningsOfAGoodHistoryOnlyLackVerdicts) {
  const std::vector<HistoryEntry> all = Good().entries();
  for (std::size_t size = 0; size <= all.size(); ++size) {
    for (const Violation& violation : CheckHistory(std::span(all).first(size))) {
      const bool open = violation.rule == Rule::kNoVerdict || violation.rule == Rule::kTwoEffects;
      EXPECT_TRUE(open) << size << ": " << Name(violation.rule) << " " << violation.text;
    }
  }
}

}  // namespace
}  // namespace waggle::test
