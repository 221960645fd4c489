// Submissions with a key: a repeat starts nothing.
#include <gmock/gmock.h>

#include "tests/queen/core/hive_fixture.h"

namespace waggle::queen {
namespace {

using ::testing::HasSubstr;

class HiveSubmit : public HiveTest {
 protected:
  RequestId SubmitWith(const std::string& key, const std::string& digest) {
    event::SubmitJob submit;
    submit.request = NewRequest();
    submit.draft.document = digest;
    submit.key = {key, digest};
    Step(submit);
    return submit.request;
  }
  RequestId SubmitRunWith(const std::string& key, std::size_t jobs) {
    event::SubmitRun submit;
    submit.request = NewRequest();
    submit.jobs.resize(jobs);
    submit.key = {key, "a run"};
    Step(submit);
    return submit.request;
  }
};

TEST_F(HiveSubmit, ARepeatIsAnsweredWithTheFirst) {
  const JobId job = AnswerTo<JobRow>(SubmitWith("local k", "d")).id;
  const auto again = AnswerTo<KnownSubmission>(SubmitWith("local k", "d"));
  EXPECT_EQ(again.row.job, job);
  EXPECT_EQ(store_.jobs.size(), 1u);
  EXPECT_EQ(store_.submissions.at("local k").job, job);
}

TEST_F(HiveSubmit, ARepeatAfterTheEndIsStillTheFirst) {
  DroneUp("d1");
  const JobId job = AnswerTo<JobRow>(SubmitWith("local k", "d")).id;
  event::CancelJob cancel{NewRequest(), job, "alice", "", true};
  Step(cancel);
  EXPECT_EQ(AnswerTo<KnownSubmission>(SubmitWith("local k", "d")).row.job, job);
}

TEST_F(HiveSubmit, TheSameKeyForSomethingElseIsAConflictThatNamesTheFirst) {
  SubmitWith("local k", "d");
  const auto conflict = AnswerTo<absl::Status>(SubmitWith("local k", "another"));
  EXPECT_TRUE(absl::IsAlreadyExists(conflict));
  EXPECT_THAT(std::string(conflict.message()), HasSubstr("the key was used for job 1"));
  EXPECT_EQ(store_.jobs.size(), 1u);
}

TEST_F(HiveSubmit, WithoutAKeyEachIsOneOfItsOwn) {
  SubmitWith("", "d");
  SubmitWith("", "d");
  EXPECT_EQ(store_.jobs.size(), 2u);
  EXPECT_TRUE(store_.submissions.empty());
}

TEST_F(HiveSubmit, ARunIsRepeatedWhole) {
  const RunId run = AnswerTo<SubmittedRun>(SubmitRunWith("local r", 3)).run.id;
  EXPECT_EQ(AnswerTo<KnownSubmission>(SubmitRunWith("local r", 3)).row.run, run);
  EXPECT_EQ(store_.jobs.size(), 3u);
  EXPECT_THAT(std::string(AnswerTo<absl::Status>(SubmitWith("local r", "d")).message()),
              HasSubstr("the key was used for run r1"));
}

TEST(SubmissionsTest, TheOldestIsForgottenOnlyWhenThereAreMoreThanCanBeOnTheirWay) {
  Submissions submissions;
  for (std::size_t i = 0; i < Submissions::kRemembered; ++i) {
    submissions.Add({std::to_string(i), "", JobId(i + 1), RunId(), 0});
  }
  EXPECT_NE(submissions.Find("0"), nullptr);
  submissions.Add({"one more", "", JobId(1), RunId(), 0});
  EXPECT_EQ(submissions.Find("0"), nullptr);
  EXPECT_NE(submissions.Find("1"), nullptr);
  EXPECT_NE(submissions.Find("one more"), nullptr);
}

}  // namespace
}  // namespace waggle::queen
