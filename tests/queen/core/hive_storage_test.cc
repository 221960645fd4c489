// The queen's own disk is full: nothing new is taken, what there is goes on.
#include <gmock/gmock.h>

#include "tests/queen/core/hive_fixture.h"

namespace waggle::queen {
namespace {

using ::testing::HasSubstr;

class HiveStorage : public HiveTest {
 protected:
  void Full() { Step(event::Storage{"the queen's disk is nearly full: less than 512 KiB free"}); }
  void Free() { Step(event::Storage{""}); }
  RequestId TryRun(const std::string& key) {
    event::SubmitRun submit;
    submit.request = NewRequest();
    submit.jobs.resize(2);
    submit.key = {key, "a run"};
    Step(submit);
    return submit.request;
  }
};

TEST_F(HiveStorage, NothingNewIsTakenAndTheAnswerSaysWhy) {
  Full();
  event::SubmitJob submit;
  submit.request = NewRequest();
  Step(submit);
  for (RequestId request : {submit.request, TryRun("k")}) {
    const auto refused = AnswerTo<absl::Status>(request);
    EXPECT_TRUE(absl::IsResourceExhausted(refused));
    EXPECT_THAT(std::string(refused.message()),
                HasSubstr("less than 512 KiB free; nothing was started\nnext: "));
  }
  EXPECT_TRUE(store_.jobs.empty());
  EXPECT_TRUE(store_.runs.empty());
  EXPECT_TRUE(store_.submissions.empty());
  EXPECT_EQ(store_.counters.job, 0u);
  Free();
  EXPECT_EQ(AnswerTo<SubmittedRun>(TryRun("k")).jobs.size(), 2u);
}

TEST_F(HiveStorage, ARepeatIsStillAnswered) {
  const RunId run = AnswerTo<SubmittedRun>(TryRun("k")).run.id;
  Full();
  EXPECT_EQ(AnswerTo<KnownSubmission>(TryRun("k")).row.run, run);
}

TEST_F(HiveStorage, NothingIsPlacedUntilThereIsSpace) {
  Submit("a");
  Full();
  DroneUp("d1");
  ExpectQueued("a");
  EXPECT_EQ(WhyWaiting("a"), "the queen's disk is nearly full: less than 512 KiB free");
  Free();
  ExpectAssigned("a", "d1");
}

TEST_F(HiveStorage, WhatRunsMayEndAndBeCanceled) {
  DroneUp("d1", 2);
  Submit("a");
  Submit("b");
  Starts("a");
  Starts("b");
  Full();
  Passes("a");
  ExpectState("a", JobState::kPassed);
  Cancel("b");
  EXPECT_EQ(SentTo<to_drone::Cancel>("d1").size(), 1u);
}

TEST_F(HiveStorage, ARestartForgetsIt) {
  DroneUp("d1");
  Full();
  Restart();
  DroneUp("d1");
  Submit("a");
  ExpectAssigned("a", "d1");
}

}  // namespace
}  // namespace waggle::queen
