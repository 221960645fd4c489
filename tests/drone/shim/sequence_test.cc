#include "drone/shim/sequence.h"

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"

namespace waggle::shim {
namespace {

using Steps = std::array<std::size_t, kPhaseCount>;

// Plays a plan and writes what happened in one line. `result` gives the code of each step or does more to the
// sequence.
using Result = std::function<int(Sequence&, Phase, std::size_t)>;

std::string Play(Sequence& s, const Result& result = nullptr,
                 const std::function<void(Sequence&)>& on_grant = nullptr, int checkout_code = 0,
                 const std::function<void(Sequence&)>& on_plugins = nullptr) {
  std::vector<std::string> out;
  for (int guard = 0; guard < 100; ++guard) {
    Sequence::Action a = s.Next();
    std::string name(Name(a.phase));
    switch (a.what) {
      case Sequence::Do::kFinish:
        return absl::StrJoin(out, " ");
      case Sequence::Do::kBeginPhase:
        out.push_back(absl::StrCat("<", name));
        break;
      case Sequence::Do::kCheckout:
        out.push_back("checkout");
        s.CheckoutDone(checkout_code, "no route");
        break;
      case Sequence::Do::kAwaitGrant:
        out.push_back("grant?");
        on_grant ? on_grant(s) : s.Granted();
        break;
      case Sequence::Do::kRunPlugins:
        out.push_back("plugins");
        on_plugins ? on_plugins(s) : s.PluginsAsked(0);
        break;
      case Sequence::Do::kRunStep: {
        int code = result ? result(s, a.phase, a.step) : 0;
        out.push_back(absl::StrCat(a.step, "=", code));
        s.StepDone(code);
        break;
      }
      case Sequence::Do::kEndPhase:
        out.push_back(absl::StrCat(a.ran_nothing ? "nothing" : absl::StrCat(a.code), ">",
                                   a.next ? std::string(Name(*a.next)) : "."));
        break;
    }
  }
  return "endless";
}

Result FailIn(Phase phase, std::size_t step, int code = 3) {
  return [=](Sequence&, Phase p, std::size_t i) { return p == phase && i == step ? code : 0; };
}

TEST(SequenceTest, Table) {
  struct Case {
    const char* name;
    JobType type;
    Steps steps;
    bool checkout;
    Result result;
    const char* expect;
    int test_code, deploy_code;
  };
  const Case cases[] = {
      {"test job skips deploy",
       JobType::kTest,
       {1, 1, 2, 1, 1},
       false,
       nullptr,
       "<environment 0=0 0>prepare <prepare 0=0 0>test <test 0=0 1=0 0>cleanup <cleanup 0=0 0>.",
       0,
       -1},
      {"deploy job skips test",
       JobType::kDeploy,
       {0, 1, 1, 1, 0},
       false,
       nullptr,
       "<prepare 0=0 0>deploy <deploy grant? 0=0 0>.",
       0,
       0},
      {"both",
       JobType::kTestAndDeploy,
       {0, 0, 1, 2, 1},
       false,
       nullptr,
       "<test 0=0 0>deploy <deploy grant? 0=0 1=0 0>cleanup <cleanup 0=0 0>.",
       0,
       0},
      {"first failure ends the phase",
       JobType::kTestAndDeploy,
       {0, 0, 3, 1, 1},
       false,
       FailIn(Phase::kTest, 1),
       "<test 0=0 1=3 3>cleanup <cleanup 0=0 0>.",
       3,
       -1},
      {"no cleanup after a failure",
       JobType::kTest,
       {0, 1, 1, 0, 0},
       false,
       FailIn(Phase::kPrepare, 0),
       "<prepare 0=3 3>.",
       3,
       -1},
      {"deploy fails",
       JobType::kTestAndDeploy,
       {0, 0, 1, 2, 0},
       false,
       FailIn(Phase::kDeploy, 0),
       "<test 0=0 0>deploy <deploy grant? 0=3 3>.",
       0,
       3},
      {"cleanup's failure hides nothing",
       JobType::kTest,
       {0, 0, 1, 0, 2},
       false,
       FailIn(Phase::kCleanup, 0),
       "<test 0=0 0>cleanup <cleanup 0=3 3>.",
       0,
       -1},
      {"a demanded phase is shown empty",
       JobType::kTestAndDeploy,
       {0, 1, 0, 0, 0},
       false,
       nullptr,
       "<prepare 0=0 0>test <test nothing>deploy <deploy nothing>.",
       0,
       0},
      {"checkout alone makes prepare run",
       JobType::kTest,
       {0, 0, 1, 0, 0},
       true,
       nullptr,
       "<prepare checkout 0>test <test 0=0 0>.",
       0,
       -1},
      {"deploy without anything before",
       JobType::kDeploy,
       {0, 0, 0, 1, 0},
       false,
       nullptr,
       "<deploy grant? 0=0 0>.",
       -1,
       0},
      {"no step", JobType::kTest, {}, true, nullptr, "", -1, -1},
      {"no step that applies", JobType::kTest, {0, 0, 0, 2, 0}, false, nullptr, "", -1, -1},
  };
  for (const Case& c : cases) {
    Sequence s({c.type, c.steps, c.checkout});
    EXPECT_EQ(Play(s, c.result), c.expect) << c.name;
    EXPECT_EQ(s.test_code(), c.test_code) << c.name;
    EXPECT_EQ(s.deploy_code(), c.deploy_code) << c.name;
  }
}

TEST(SequenceTest, AJobWithoutStepsIsBadConfig) {
  Sequence s({JobType::kDeploy, {0, 0, 1, 0, 0}, true});
  EXPECT_EQ(Play(s), "");
  EXPECT_EQ(s.reason(), Reason::kBadConfig);
  EXPECT_FALSE(s.detail().empty());
}

TEST(SequenceTest, AFailedCheckoutIsNotAFailedTest) {
  Sequence s({JobType::kTest, {1, 1, 1, 0, 1}, true});
  EXPECT_EQ(Play(s, nullptr, nullptr, 9),
            "<environment 0=0 0>prepare <prepare checkout 9>cleanup <cleanup 0=0 0>.");
  EXPECT_EQ(s.reason(), Reason::kSource);
  EXPECT_EQ(s.detail(), "no route");
  EXPECT_EQ(s.test_code(), -1);
  EXPECT_FALSE(s.failed());
}

TEST(SequenceTest, StopDuringAStepRunsOnlyCleanup) {
  Sequence s({JobType::kTestAndDeploy, {0, 1, 2, 1, 1}, false});
  auto result = [](Sequence& q, Phase p, std::size_t i) {
    if (p != Phase::kTest || i != 0) return 0;
    EXPECT_TRUE(q.Stop(Reason::kCanceled, "canceled by anna"));
    EXPECT_FALSE(q.Stop(Reason::kTimeout, "later"));
    return 143;
  };
  EXPECT_EQ(Play(s, result), "<prepare 0=0 0>test <test 0=143 143>cleanup <cleanup 0=0 0>.");
  EXPECT_EQ(s.reason(), Reason::kCanceled);
  EXPECT_EQ(s.detail(), "canceled by anna");
  EXPECT_EQ(s.test_code(), 143);
  EXPECT_EQ(s.deploy_code(), -1);
}

TEST(SequenceTest, AStoppedStepThatExitsWithZeroHasNotPassed) {
  Sequence s({JobType::kTest, {0, 0, 2, 0, 0}, false});
  EXPECT_EQ(Play(s, [](Sequence& q, Phase, std::size_t) { return q.Stop(Reason::kTimeout, "late"), 0; }),
            "<test 0=0 0>.");
  EXPECT_EQ(s.test_code(), -1);
}

TEST(SequenceTest, StopWhileWaitingForTheGrant) {
  Sequence s({JobType::kDeploy, {0, 1, 0, 1, 1}, false});
  EXPECT_EQ(Play(s, nullptr, [](Sequence& q) { q.Stop(Reason::kCanceled, "x"); }),
            "<prepare 0=0 0>deploy <deploy grant? 0>cleanup <cleanup 0=0 0>.");
  EXPECT_EQ(s.deploy_code(), -1);
}

TEST(SequenceTest, AnEarlyGrantIsRemembered) {
  Sequence s({JobType::kDeploy, {0, 0, 0, 1, 0}, false});
  s.Granted();
  EXPECT_EQ(Play(s), "<deploy 0=0 0>.");
}

TEST(SequenceTest, NothingStopsAnOutcomeThatIsDecided) {
  Sequence s({JobType::kTest, {0, 0, 1, 0, 2}, false});
  auto result = [](Sequence& q, Phase p, std::size_t i) {
    if (p == Phase::kCleanup && i == 0) {
      EXPECT_FALSE(q.Stop(Reason::kCanceled, "late"));
      q.StopCleanup();
    }
    return p == Phase::kTest ? 5 : 0;
  };
  EXPECT_EQ(Play(s, result), "<test 0=5 5>cleanup <cleanup 0=0 0>.");
  EXPECT_EQ(s.reason(), Reason::kNone);
  EXPECT_EQ(s.test_code(), 5);
}

TEST(SequenceTest, PluginsComeFirstAndMayAddSteps) {
  Sequence::Plan plan{.type = JobType::kTestAndDeploy, .steps = {0, 1, 1, 0, 0}, .checkout = true};
  plan.plugins = {true, true, false, true, true};
  auto one = [](Sequence& s) {
    EXPECT_TRUE(s.RunsMore());
    s.PluginsAsked(1);
  };
  Sequence s(plan);
  EXPECT_EQ(Play(s, nullptr, nullptr, 0, one),
            "<environment plugins 0=0 0>prepare <prepare checkout plugins 0=0 1=0 0>test <test 0=0 0>deploy "
            "<deploy grant? plugins 0=0 0>cleanup <cleanup plugins 0=0 0>.");
  EXPECT_EQ(s.test_code(), 0);
  EXPECT_EQ(s.deploy_code(), 0);
}

TEST(SequenceTest, PluginsThatAskForNothing) {
  Sequence::Plan plan{.type = JobType::kTest};
  plan.plugins = {true, false, true, true, false};
  Sequence s(plan);
  EXPECT_EQ(Play(s), "<environment plugins 0>test <test plugins nothing>.");
  EXPECT_EQ(s.test_code(), 0);
}

TEST(SequenceTest, PluginThatFailsEndsTheAttempt) {
  Sequence::Plan plan{.type = JobType::kTest, .steps = {0, 1, 1, 0, 1}};
  plan.plugins = {false, true, true, false, true};
  auto fail = [](Sequence& s) { s.PluginFailed(3, "the plugin p failed"); };
  Sequence s(plan);
  EXPECT_EQ(Play(s, nullptr, nullptr, 0, fail), "<prepare plugins 3>cleanup <cleanup plugins 0=0 0>.");
  EXPECT_EQ(s.reason(), Reason::kPlugin);
  EXPECT_EQ(s.detail(), "the plugin p failed");
  EXPECT_EQ(s.test_code(), -1);
}

TEST(SequenceTest, PluginThatFailsInCleanupChangesNothing) {
  Sequence::Plan plan{.type = JobType::kTest, .steps = {0, 0, 1, 0, 1}};
  plan.plugins[4] = true;
  Sequence s(plan);
  EXPECT_EQ(Play(s, nullptr, nullptr, 0, [](Sequence& q) { q.PluginFailed(3, "x"); }),
            "<test 0=0 0>cleanup <cleanup plugins 0=0 0>.");
  EXPECT_EQ(s.reason(), Reason::kNone);
  EXPECT_EQ(s.test_code(), 0);
}

}  // namespace
}  // namespace waggle::shim
