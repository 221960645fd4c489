// The grant of a deploy: stored before it is given, and a granted deploy that is lost is unknown, not
// repeated.
#include "tests/queen/core/hive_fixture.h"

namespace waggle::queen {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class HiveGrant : public HiveTest {
 protected:
  // A deploy whose tests passed and whose grant was given, on d1.
  void GrantedDeploy(const std::string& job) {
    DroneUp("d1");
    Submit(job, {.type = JobType::kTestAndDeploy});
    Accept(job);
    AsksForGrant(job, 0);
  }
};

TEST_F(HiveGrant, TheGrantIsStoredBeforeItIsGivenAndGivenAgainWhenAskedAgain) {
  GrantedDeploy("a");
  ASSERT_THAT(SentTo<to_drone::Grant>("d1"), SizeIs(1));
  EXPECT_TRUE(AttemptOf("a").granted);
  AsksForGrant("a", 0);
  EXPECT_THAT(SentTo<to_drone::Grant>("d1"), SizeIs(2));
  Disconnect("d1");
  DroneUp("d1", 1, {Holds("a", HeldState::kGranted)});
  EXPECT_TRUE(WelcomedWith("d1", Current("a")).granted);
}

TEST_F(HiveGrant, ALostDeployBeforeTheGrantIsRetried) {
  DroneUp("d1");
  Submit("a", {.type = JobType::kDeploy});
  Starts("a");
  AdvancePastLease();
  ExpectQueued("a");
}

TEST_F(HiveGrant, ALostGrantedDeployIsUnknownAndNeverRepeated) {
  GrantedDeploy("a");
  Epoch epoch = Current("a");
  AdvancePastLease();
  EXPECT_EQ(Current("a"), epoch);
  EXPECT_EQ(seals_[epoch].reason, Reason::kUnknown);
  EXPECT_EQ(seals_[epoch].deploy_code, 504);
  EXPECT_THAT(seals_[epoch].text, HasSubstr("504"));
  EXPECT_THAT(seals_[epoch].text, HasSubstr("d1 was lost"));
  SealsComplete();
  ExpectState("a", JobState::kErrored, Reason::kUnknown);
  EXPECT_EQ(Job("a").test_code, 0) << "what was reported stays";
  EXPECT_EQ(Job("a").deploy_code, 504);
  EXPECT_NE(Job("a").times.finished, 0);
  DroneUp("d2");
  EXPECT_THAT(SentTo<to_drone::Assign>("d2"), IsEmpty());
}

TEST_F(HiveGrant, AGrantedDeployWhoseShimDiedIsUnknown) {
  GrantedDeploy("a");
  ShimDies("a", 3);
  EXPECT_EQ(seals_[Current("a")].at_least, 3u);
  SealsComplete();
  ExpectState("a", JobState::kErrored, Reason::kUnknown);
  EXPECT_EQ(Job("a").deploy_code, 504);
}

TEST_F(HiveGrant, AGrantedDeployThatIsHandedBackIsUnknown) {
  GrantedDeploy("a");
  Epoch handed = Current("a");
  Step(event::ShimLost{ConnectionOf("d1"), handed, 3, "", false, /*handed_back=*/true});
  SealsComplete();
  ExpectState("a", JobState::kErrored, Reason::kUnknown);
  EXPECT_EQ(Job("a").deploy_code, 504);
}

TEST_F(HiveGrant, OnlyUnknownResultsBecome504) {
  GrantedDeploy("a");
  HeldAttempt held = Holds("a", HeldState::kCleaning);
  held.test_code = 0;
  held.deploy_code = 3;
  Report("a", held);
  AdvancePastLease();
  SealsComplete();
  EXPECT_EQ(Job("a").test_code, 0);
  EXPECT_EQ(Job("a").deploy_code, 3);
}

// The true final may have been stored before the drone was given up: then it counts.
TEST_F(HiveGrant, AFinalThatWasStoredBeforeTheLossIsTheTruth) {
  GrantedDeploy("a");
  Epoch epoch = Current("a");
  AdvancePastLease();
  journal::Final final;
  final.test_code = final.deploy_code = 0;
  LogEnds(epoch, final);
  ExpectState("a", JobState::kPassed);
  EXPECT_EQ(Job("a").deploy_code, 0);
}

TEST_F(HiveGrant, AVerdictSaidTwiceChangesNothing) {
  GrantedDeploy("a");
  Epoch epoch = Current("a");
  AdvancePastLease();
  SealsComplete();
  ExpectNothingChanges([&] { LogEnds(epoch, {}); });
  ExpectState("a", JobState::kErrored, Reason::kUnknown);
}

}  // namespace
}  // namespace waggle::queen
