// What a drone may say of an attempt, in any order: every sequence of two words against a table, and what a
// drone that breaks the rules is answered.
#include "tests/queen/core/hive_fixture.h"

namespace waggle::queen {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

struct Word {
  enum class What { kAccept, kReject, kShimLost, kStatus } what = What::kStatus;
  HeldState state = HeldState::kAccepted;
  bool wants_grant = false;
};

std::string Describe(const Word& word) {
  switch (word.what) {
    case Word::What::kAccept:
      return "accept";
    case Word::What::kReject:
      return "reject";
    case Word::What::kShimLost:
      return "shim lost";
    case Word::What::kStatus:
      break;
  }
  return "status " + std::to_string(static_cast<int>(word.state)) + (word.wants_grant ? " wants grant" : "");
}

std::vector<Word> AllWords() {
  std::vector<Word> words = {{Word::What::kAccept}, {Word::What::kReject}, {Word::What::kShimLost}};
  for (HeldState state : {HeldState::kAccepted, HeldState::kRunning, HeldState::kGranted,
                          HeldState::kFinished, HeldState::kCleaning, HeldState::kLost}) {
    words.push_back({Word::What::kStatus, state, false});
    words.push_back({Word::What::kStatus, state, true});
  }
  return words;
}

// The rules once more, as a table: how far a state is.
const std::map<HeldState, int> kStages = {{HeldState::kAccepted, 0}, {HeldState::kRunning, 1},
                                          {HeldState::kGranted, 2},  {HeldState::kCleaning, 3},
                                          {HeldState::kFinished, 4}, {HeldState::kLost, 5}};

struct Model {
  bool deploys = false;
  JobState state = JobState::kQueued;
  int stage = 0;
  bool granted = false, over = false, slot = true;
  std::size_t grants = 0;

  void Hear(const Word& word) {
    if (over) return;
    if (word.what == Word::What::kAccept) state = std::max(state, JobState::kReceived);
    if (word.what == Word::What::kReject || word.what == Word::What::kShimLost) over = true;
    if (word.what != Word::What::kStatus) return;
    if (word.state == HeldState::kLost) over = true;
    if (kStages.at(word.state) < stage) return;
    stage = kStages.at(word.state);
    state = std::max(state, word.state == HeldState::kAccepted ? JobState::kReceived : JobState::kStarted);
    if (word.state == HeldState::kFinished || word.state == HeldState::kLost) slot = false;
    const bool asked = deploys && word.wants_grant && word.state == HeldState::kRunning;
    grants += asked ? 1 : 0;
    granted = granted || asked || (deploys && word.state == HeldState::kGranted);
  }
};

class HiveTransitions : public HiveTest {
 protected:
  void Say(const Word& word, Epoch epoch) {
    const ConnectionId connection = ConnectionOf("d1");
    switch (word.what) {
      case Word::What::kAccept:
        return Step(event::Accept{connection, epoch, wall_});
      case Word::What::kReject:
        return Step(event::Reject{connection, epoch, "no"});
      case Word::What::kShimLost:
        return Step(event::ShimLost{connection, epoch, 0, "killed"});
      case Word::What::kStatus:
        break;
    }
    HeldAttempt held;
    held.epoch = epoch;
    held.state = word.state;
    held.wants_grant = word.wants_grant;
    held.counter = ++counter_;
    Step(event::Status{connection, held});
  }

  void Check(const Model& model, Epoch epoch) {
    const AttemptRow& row = store_.attempts.at(epoch);
    EXPECT_EQ(row.granted, model.granted);
    EXPECT_THAT(SentTo<to_drone::Grant>("d1"), SizeIs(model.grants));
    if (!model.over) {
      EXPECT_EQ(row.state, model.state);
      EXPECT_EQ(Job("a").state, model.state);
      EXPECT_EQ(View("d1").used, model.slot ? 1u : 0u);
      EXPECT_EQ(Job("a").attempts, 1u);
    } else if (model.granted) {
      EXPECT_EQ(seals_.at(epoch).reason, Reason::kUnknown) << "a deploy that may have begun is not repeated";
      EXPECT_EQ(Job("a").attempts, 1u);
    } else {
      EXPECT_EQ(row.state, JobState::kErrored);
      EXPECT_NE(Current("a"), epoch);
    }
  }

  std::uint32_t counter_ = 0;
};

TEST_F(HiveTransitions, EverySequenceOfTwoWords) {
  for (JobType type : {JobType::kTest, JobType::kDeploy, JobType::kTestAndDeploy}) {
    for (const Word& first : AllWords()) {
      for (const Word& second : AllWords()) {
        SCOPED_TRACE(std::string(Name(type)) + ": " + Describe(first) + ", " + Describe(second));
        store_ = ShadowStore([](const std::string& what) { ADD_FAILURE() << what; });
        ids_.clear(), drones_.clear(), sent_.clear(), seals_.clear(), closed_logs_.clear();
        Boot(Snapshot{});
        DroneUp("d1");
        Submit("a", {.type = type});
        const Epoch epoch = Current("a");
        Model model{.deploys = type != JobType::kTest};
        for (const Word& word : {first, second}) {
          Say(word, epoch);
          model.Hear(word);
          Check(model, epoch);
          if (HasFailure()) return;
        }
      }
    }
  }
}

TEST_F(HiveTransitions, AKnownExitCodeDoesNotChange) {
  DroneUp("d1");
  Submit("a", {.type = JobType::kTestAndDeploy});
  HeldAttempt held = Holds("a");
  for (std::int32_t nonsense : {256, 504, -2, 1 << 30}) {
    held.test_code = nonsense;
    Report("a", held);
    EXPECT_EQ(AttemptOf("a").test_code, -1);
  }
  held.test_code = 1;
  Report("a", held);
  held.test_code = 0;
  Report("a", held);
  EXPECT_EQ(AttemptOf("a").test_code, 1);
}

TEST_F(HiveTransitions, ThreeWordsAboutOthersAttemptsEndTheSession) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  DroneUp("thief");
  const ConnectionId connection = ConnectionOf("thief");
  const SessionId session = drones_["thief"].session;
  Step(event::Reject{connection, Current("a"), "mine"});
  Step(event::Trespass{session, Current("a")});
  EXPECT_FALSE(closed_.contains(connection));
  Step(event::Accept{connection, Epoch(4711), wall_});
  ASSERT_TRUE(closed_.contains(connection));
  EXPECT_EQ(closed_[connection].code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(closed_[connection].message()), HasSubstr("drone thief (host host-1)"));
  EXPECT_TRUE(ended_sessions_.contains(session));
  EXPECT_FALSE(View("thief").connected);
  Submit("b");
  ExpectQueued("b");
  DroneUp("thief");
  ExpectAssigned("b", "thief");
}

TEST_F(HiveTransitions, ALateWordAboutAnAttemptOfItsOwnIsNoOffence) {
  DroneUp("d1", 2);
  Submit("a");
  const Epoch old = Current("a");
  Reject("a");
  Submit("b");
  for (int i = 0; i < 10; ++i) {
    Step(event::Accept{ConnectionOf("d1"), old, wall_});
    Step(event::Trespass{drones_["d1"].session, old});
  }
  EXPECT_FALSE(closed_.contains(ConnectionOf("d1")));
}

TEST_F(HiveTransitions, ADroneThatRefusesIsAvoidedForAWhile) {
  DroneUp("fast", 1, 9);
  DroneUp("slow", 1, 1);
  Submit("a");
  ExpectAssigned("a", "fast");
  Reject("a");
  ExpectAssigned("a", "slow");
  Submit("b");
  ExpectQueued("b");
  EXPECT_THAT(Fleet().drones, SizeIs(2));
  Advance(kAvoidRefusing);
  ExpectAssigned("b", "fast");
  Reject("b");
  Advance(kAvoidRefusing);
  ExpectQueued("b");
  Advance(kAvoidRefusing);
  ExpectAssigned("b", "fast");
  Accept("b");
  Passes("b");
  Submit("c");
  ExpectAssigned("c", "fast");
}

TEST_F(HiveTransitions, ADroneThatDoesNotAnswerIsAvoidedUntilItGreetsAnew) {
  DroneUp("fast", 1, 9);
  DroneUp("slow", 1, 1);
  Submit("a");
  ExpectAssigned("a", "fast");
  Advance(config_.accept_deadline);
  ExpectAssigned("a", "slow");
  Submit("b");
  ExpectQueued("b");
  DroneUp("fast", 1, 9);
  ExpectAssigned("b", "fast");
}

TEST_F(HiveTransitions, TimesOfAnotherEraAreTheQueensOwn) {
  DroneUp("d1");
  Submit("a");
  HeldAttempt held = Holds("a");
  held.started = std::numeric_limits<WallMillis>::max();
  Report("a", held);
  EXPECT_EQ(Job("a").times.started, wall_);
}

TEST_F(HiveTransitions, WordsOfAFinalRecordAreMadeFitToBeShown) {
  DroneUp("d1");
  Submit("a");
  journal::Final final;
  final.reason = Reason::kTimeout;
  final.detail = "a\x1b[2J\xff\nb";
  final.failed_step = std::string(300, 'x');
  LogEnds(Current("a"), final);
  EXPECT_EQ(Job("a").detail, "a?[2J\xEF\xBF\xBD b");
  EXPECT_EQ(Job("a").failed_step.size(), 256u);
}

}  // namespace
}  // namespace waggle::queen
