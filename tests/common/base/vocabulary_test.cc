#include "common/base/vocabulary.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace waggle {
namespace {

TEST(Vocabulary, JobTypesRoundTrip) {
  for (JobType type : {JobType::kTest, JobType::kDeploy, JobType::kTestAndDeploy}) {
    EXPECT_EQ(ParseJobType(Name(type)), type);
  }
  EXPECT_EQ(Name(JobType::kTestAndDeploy), "TEST_AND_DEPLOY");
  for (const char* bad : {"", "test", "TEST ", "DEPLOY_TEST", "?"})
    EXPECT_EQ(ParseJobType(bad), std::nullopt);
}

TEST(Vocabulary, JobStatesRoundTrip) {
  std::set<std::string_view> names;
  for (int i = 1; i <= 9; ++i) {
    auto state = static_cast<JobState>(i);
    names.insert(Name(state));
    EXPECT_EQ(ParseJobState(Name(state)), state);
    EXPECT_EQ(IsTerminal(state), i >= 5) << Name(state);
  }
  EXPECT_EQ(names.size(), 9u);
  EXPECT_FALSE(names.contains(""));
  for (const char* bad : {"", "PASSED", "running", "?"}) EXPECT_EQ(ParseJobState(bad), std::nullopt);
}

TEST(Vocabulary, BothSpellingsOfCanceledAreOneState) {
  EXPECT_EQ(ParseJobState("canceled"), JobState::kCanceled);
  EXPECT_EQ(ParseJobState("cancelled"), JobState::kCanceled);
  EXPECT_EQ(Name(JobState::kCanceled), "canceled");
}

TEST(Vocabulary, ReasonsHaveDistinctNames) {
  std::set<std::string_view> names;
  for (int i = 0; i <= 12; ++i) names.insert(Name(static_cast<Reason>(i)));
  EXPECT_EQ(names.size(), 13u);
  EXPECT_EQ(Name(Reason::kNone), "");
  EXPECT_EQ(Name(Reason::kDroneLost), "drone_lost");
  EXPECT_EQ(Name(Reason::kLogIncomplete), "log_incomplete");
  EXPECT_EQ(Name(Reason::kRejected), "rejected");
}

TEST(Vocabulary, PhasesRoundTripInOrder) {
  const char* expected[] = {"environment", "prepare", "test", "deploy", "cleanup"};
  for (int i = 0; i < kPhaseCount; ++i) {
    EXPECT_EQ(Name(kPhases[i]), expected[i]);
    EXPECT_EQ(ParsePhase(expected[i]), kPhases[i]);
  }
  EXPECT_EQ(ParsePhase("Test"), std::nullopt);
}

TEST(Vocabulary, ValuesOutsideTheVocabularyHaveAName) {
  EXPECT_EQ(Name(static_cast<JobState>(200)), "?");
  EXPECT_EQ(Name(static_cast<Reason>(200)), "?");
  EXPECT_EQ(Name(static_cast<JobType>(4)), "?");
  EXPECT_EQ(Name(static_cast<Phase>(5)), "?");
}

TEST(MirrorExitCode, PassedAndSkippedAreZero) {
  EXPECT_EQ(MirrorExitCode(JobState::kPassed, Reason::kNone, 0), 0);
  EXPECT_EQ(MirrorExitCode(JobState::kSkipped, Reason::kNone, 0), 0);
}

// A failed job leaves with its command's own code, except where that code would say something of ours.
TEST(MirrorExitCode, FailedGivesTheCommandsOwnCode) {
  for (int code = -300; code <= 600; ++code) {
    bool ours = (code >= 120 && code <= 125) || code == 130;
    int expected = code >= 1 && code <= 255 && !ours ? code : 1;
    EXPECT_EQ(MirrorExitCode(JobState::kFailed, Reason::kNone, code), expected) << code;
  }
}

TEST(MirrorExitCode, ErroredTellsLimitsFromInfrastructure) {
  for (int i = 0; i <= 12; ++i) {
    auto reason = static_cast<Reason>(i);
    bool limit = reason == Reason::kTimeout || reason == Reason::kSilence || reason == Reason::kLogLimit;
    EXPECT_EQ(MirrorExitCode(JobState::kErrored, reason, 2), limit ? 121 : 122) << Name(reason);
  }
}

TEST(MirrorExitCode, CanceledAndUnfinished) {
  EXPECT_EQ(MirrorExitCode(JobState::kCanceled, Reason::kCanceled, 143), 120);
  for (JobState state : {JobState::kCreated, JobState::kQueued, JobState::kReceived, JobState::kStarted}) {
    EXPECT_EQ(MirrorExitCode(state, Reason::kNone, 0), 123);
  }
}

}  // namespace
}  // namespace waggle
