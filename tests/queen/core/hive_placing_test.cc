// Which drone gets which job: capacity, speed, eligibility, waiting reasons.
#include "tests/queen/core/hive_fixture.h"

namespace waggle::queen {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using HivePlacing = HiveTest;

TEST_F(HivePlacing, AJobWaitsUntilADroneAppears) {
  Submit("a");
  ExpectQueued("a");
  EXPECT_THAT(WhyWaiting("a"), HasSubstr("no drone is connected"));
  EXPECT_EQ(store_.documents.at(Id("a")), "document of a");
  DroneUp("d1");
  ExpectAssigned("a", "d1");
  EXPECT_THAT(WhyWaiting("a"), HasSubstr("assigned to d1"));
  Accept("a");
  EXPECT_EQ(WhyWaiting("a"), "");
}

TEST_F(HivePlacing, ADroneThatDidNotTellInfoCountsAsZeroAndOne) {
  event::Hello hello = HelloOf("d1", 9, 9);
  hello.info.reset();
  SayHello("d1", hello);
  EXPECT_EQ(View("d1").row.speed, 0);
  EXPECT_EQ(View("d1").row.capacity, 1u);
  for (const char* job : {"a", "b", "c", "d"}) Submit(job);
  ExpectAssigned("a", "d1");
  ExpectQueued("b");
  Step(event::Info{ConnectionOf("d1"), DroneInfo{.speed = 10, .capacity = 3}});
  EXPECT_EQ(View("d1").row.speed, 10);
  EXPECT_EQ(View("d1").row.capacity, 3u);
  ExpectAssigned("b", "d1");
  ExpectAssigned("c", "d1");
  ExpectQueued("d");
}

TEST_F(HivePlacing, CapacityIsNeverExceeded) {
  DroneUp("d1", 2);
  for (const char* job : {"a", "b", "c", "d", "e"}) Submit(job);
  EXPECT_EQ(View("d1").used, 2u);
  EXPECT_EQ(Fleet().queued, 3u);
  EXPECT_THAT(WhyWaiting("c"), HasSubstr("all 2 slots of 1 matching drone are in use; 3 jobs wait"));
  Passes("a");
  ExpectAssigned("c", "d1");
  ExpectQueued("d");
  EXPECT_EQ(View("d1").used, 2u);
}

TEST_F(HivePlacing, SmallerCapacityLetsTheExcessRunOut) {
  DroneUp("d1", 3);
  for (const char* job : {"a", "b", "c", "d"}) Submit(job);
  Step(event::Info{ConnectionOf("d1"), DroneInfo{.speed = 1, .capacity = 1}});
  Passes("a");
  Passes("b");
  ExpectQueued("d");
  Passes("c");
  ExpectAssigned("d", "d1");
}

TEST_F(HivePlacing, TheFastestOpenDroneFirst) {
  DroneUp("slow", 2, 1);
  DroneUp("fast", 2, 10);
  for (const char* job : {"a", "b", "c"}) Submit(job);
  ExpectAssigned("a", "fast");
  ExpectAssigned("b", "fast");
  ExpectAssigned("c", "slow");
}

TEST_F(HivePlacing, ANeededLabelIsMatchedAndNamed) {
  DroneUp("linux");
  Submit("a", {.needs = {{"os", "mac"}}});
  Submit("b");
  ExpectQueued("a");
  EXPECT_THAT(WhyWaiting("a"), HasSubstr("no drone has label os=mac"));
  ExpectAssigned("b", "linux");
  event::Hello hello = HelloOf("mac", 1, 1);
  hello.info->labels["os"] = "mac";
  SayHello("mac", hello);
  ExpectAssigned("a", "mac");
}

TEST_F(HivePlacing, PluginsAndLocalOnly) {
  Submit("npm", {.plugins = {"npm"}});
  Submit("local", {.local_only = true});
  EnrolDrone("d1");
  DroneUp("d1", 5);
  ExpectQueued("npm");
  ExpectQueued("local");
  event::Hello hello = HelloOf("d2", 5, 1);
  hello.info->plugins["npm"] = "1.0";
  SayHello("d2", hello);
  ExpectAssigned("npm", "d2");
  ExpectAssigned("local", "d2");
}

TEST_F(HivePlacing, PriorityThenAge) {
  DroneUp("d1");
  Submit("busy");
  Submit("low", {.priority = -5});
  Submit("first");
  Submit("second");
  Submit("high", {.priority = 5});
  for (const char* job : {"busy", "high", "first", "second", "low"}) Passes(job);
  EXPECT_THAT(StartOrder(), ElementsAre("busy", "high", "first", "second", "low"));
}

TEST_F(HivePlacing, EachJobIsHandedToExactlyOneDrone) {
  for (int i = 0; i < 300; ++i) Submit("j" + std::to_string(i));
  for (int i = 0; i < 50; ++i) DroneUp("d" + std::to_string(i), 3);
  std::set<std::string> distinct(assigned_.begin(), assigned_.end());
  EXPECT_EQ(assigned_.size(), 150u);
  EXPECT_EQ(distinct.size(), 150u);
  for (int i = 0; i < 300; ++i) {
    std::string job = "j" + std::to_string(i);
    ASSERT_TRUE(Current(job)) << job;
    Passes(job);
  }
  EXPECT_EQ(std::set<std::string>(assigned_.begin(), assigned_.end()).size(), 300u);
  EXPECT_EQ(assigned_.size(), 300u);
}

TEST_F(HivePlacing, ADisconnectedDroneGetsNoNewWork) {
  DroneUp("d1", 2);
  Submit("a");
  Disconnect("d1");
  Submit("b");
  ExpectAssigned("a", "d1");
  ExpectQueued("b");
  EXPECT_FALSE(View("d1").connected);
}

TEST_F(HivePlacing, TheSlotIsFreeWhenTheTreeIsGoneEvenBeforeTheVerdict) {
  DroneUp("d1");
  Submit("a");
  Submit("b");
  Report("a", Holds("a", HeldState::kCleaning));
  ExpectQueued("b");
  Report("a", Holds("a", HeldState::kFinished));
  ExpectAssigned("b", "d1");
  ExpectState("a", JobState::kStarted);
  Passes("a");
  EXPECT_EQ(View("d1").used, 1u) << "the slot is not given back twice";
}

TEST_F(HivePlacing, ARunIsOneStepWithAllItsJobs) {
  event::SubmitRun submit;
  submit.request = RequestId(900);
  submit.run.repo = "https://example.org/r.git";
  for (const char* name : {"unit", "lint"}) {
    JobDraft draft;
    draft.row.name = name;
    draft.document = name;
    submit.jobs.push_back(draft);
  }
  Step(submit);
  auto answer = AnswerTo<SubmittedRun>(RequestId(900));
  ASSERT_EQ(answer.jobs.size(), 2u);
  EXPECT_TRUE(answer.run.id);
  EXPECT_EQ(store_.runs.at(answer.run.id).repo, "https://example.org/r.git");
  for (const JobRow& job : answer.jobs) {
    EXPECT_EQ(job.run, answer.run.id);
    EXPECT_EQ(job.state, JobState::kQueued);
    EXPECT_EQ(store_.documents.at(job.id), job.name);
  }
}

}  // namespace
}  // namespace waggle::queen
