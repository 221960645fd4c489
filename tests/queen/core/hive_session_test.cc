// Connections, sessions and liveness.
#include "tests/queen/core/hive_fixture.h"

namespace waggle::queen {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

using HiveSession = HiveTest;

TEST_F(HiveSession, EveryHelloGetsANewerSession) {
  DroneUp("d1");
  SessionId first = drones_["d1"].session;
  Disconnect("d1");
  DroneUp("d1");
  EXPECT_GT(drones_["d1"].session, first);
  EXPECT_TRUE(ended_sessions_.contains(first));
  EXPECT_EQ(store_.drones.size(), 1u) << "the same drone";
}

TEST_F(HiveSession, TheNewestSessionWinsAndNamesItsRival) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  ConnectionId old = ConnectionOf("d1");
  HeldAttempt held = Holds("a");
  drones_["d1"].host = "host-2";
  DroneUp("d1", 1, {held});
  ASSERT_TRUE(closed_.contains(old));
  EXPECT_EQ(closed_[old].code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(closed_[old].message()), HasSubstr("host-2"));
  EXPECT_EQ(WelcomedWith("d1", held.epoch).action, Action::kContinue);
  EXPECT_EQ(log_sessions_[held.epoch], drones_["d1"].session);
  EXPECT_THAT(SentTo<to_drone::Assign>("d1"), IsEmpty()) << "it runs once";
  EXPECT_EQ(AttemptOf("a").number, 1u);
}

// A slow link brought the greeting of a stream that its drone had given up, behind the one of the next
// stream.
TEST_F(HiveSession, AGreetingThatWasOvertakenDeposesNobody) {
  event::Hello hello = HelloOf("d1", 1, 1);
  hello.place = "data, this boot";
  hello.said_at = 200;
  SayHello("d1", hello);
  Submit("a");
  Starts("a");
  const ConnectionId now = ConnectionOf("d1");
  const Epoch epoch = Current("a");
  event::Hello late = hello;
  late.connection = ConnectionId(9000);
  late.said_at = 199;
  Step(late);
  EXPECT_EQ(closed_[late.connection].code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(closed_.contains(now));
  EXPECT_EQ(Current("a"), epoch) << "it did not list the attempt, and is not asked";

  hello.said_at = 5;
  hello.place = "data, next boot";
  SayHello("d1", hello);
  EXPECT_TRUE(closed_.contains(now));
}

TEST_F(HiveSession, ADeposedConnectionChangesNothing) {
  DroneUp("d1");
  Submit("a");
  ConnectionId old = ConnectionOf("d1");
  HeldAttempt held = Holds("a");
  DroneUp("d1", 1, {held});
  std::size_t told = sent_[old].size();
  ExpectNothingChanges([&] {
    Step(event::Accept{old, held.epoch, wall_});
    Step(event::Reject{old, held.epoch, "no"});
    Step(event::Status{old, held});
    Step(event::ShimLost{old, held.epoch, 0, ""});
    Step(event::Info{old, DroneInfo{.capacity = 50}});
    Step(event::Heartbeat{old, 1, {}});
    Step(event::Disconnected{old});
  });
  EXPECT_EQ(sent_[old].size(), told);
  EXPECT_TRUE(View("d1").connected);
  EXPECT_EQ(View("d1").row.capacity, 1u);
}

TEST_F(HiveSession, AnotherDronesEpochIsFencedAndUntouched) {
  DroneUp("d1");
  Submit("a");
  DroneUp("thief");
  ExpectNothingChanges([&] {
    HeldAttempt held = Holds("a");
    held.wants_grant = true;
    Step(event::Accept{ConnectionOf("thief"), held.epoch, wall_});
    Step(event::Status{ConnectionOf("thief"), held});
    Step(event::Reject{ConnectionOf("thief"), held.epoch, "no"});
  });
  auto fenced = SentTo<to_drone::Fenced>("thief");
  ASSERT_THAT(fenced, SizeIs(3));
  EXPECT_EQ(fenced[0].epoch, Current("a"));
  EXPECT_THAT(SentTo<to_drone::Grant>("thief"), IsEmpty());
  DroneUp("thief", 1, {Holds("a")});
  EXPECT_EQ(WelcomedWith("thief", Current("a")).action, Action::kFenced);
  ExpectAssigned("a", "d1");
}

TEST_F(HiveSession, AnEpochNobodyKnowsIsFenced) {
  DroneUp("d1");
  ExpectNothingChanges([&] {
    Step(event::Accept{ConnectionOf("d1"), Epoch(4711), wall_});
    Step(event::Status{ConnectionOf("d1"), HeldAttempt{.epoch = Epoch()}});
  });
  EXPECT_THAT(SentTo<to_drone::Fenced>("d1"), SizeIs(2));
}

TEST_F(HiveSession, AConnectionWithoutHelloIsNobody) {
  ExpectNothingChanges([&] {
    Step(event::Heartbeat{ConnectionId(77), 1, {}});
    Step(event::Info{ConnectionId(77), {}});
    Step(event::Disconnected{ConnectionId(77)});
    Step(event::Alive{SessionId(77)});
  });
  EXPECT_THAT(sent_[ConnectionId(77)], IsEmpty());
}

TEST_F(HiveSession, ANameInUseIsRefused) {
  DroneUp("d1");
  event::Hello rival = HelloOf("d1", 1, 1);
  rival.identity = "somebody else";
  rival.connection = ConnectionId(500);
  Step(rival);
  ASSERT_TRUE(closed_.contains(ConnectionId(500)));
  EXPECT_EQ(closed_[ConnectionId(500)].code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(closed_[ConnectionId(500)].message()), HasSubstr("the name d1 is in use"));
  EXPECT_THAT(std::string(closed_[ConnectionId(500)].message()), HasSubstr("host-1"));
  EXPECT_THAT(SentTo<to_drone::Welcome>(ConnectionId(500)), IsEmpty());
  EXPECT_TRUE(View("d1").connected);
}

TEST_F(HiveSession, ANameWhoseDroneIsGoneButHoldsWorkIsRefused) {
  DroneUp("d1");
  Submit("a");
  Disconnect("d1");
  event::Hello rival = HelloOf("d1", 1, 1);
  rival.identity = "somebody else";
  rival.connection = ConnectionId(500);
  Step(rival);
  EXPECT_TRUE(closed_.contains(ConnectionId(500)));
}

TEST_F(HiveSession, AFreeNameGoesToTheOneThatIsHere) {
  DroneUp("d1");
  Disconnect("d1");
  drones_["d1"].identity = "reinstalled";
  DroneUp("d1");
  EXPECT_EQ(Fleet().drones.size(), 1u);
  EXPECT_EQ(View("d1").row.identity, "reinstalled");
  Restart();
  EXPECT_EQ(Fleet().drones.size(), 1u);
  DroneUp("d1");
  Submit("a");
  ExpectAssigned("a", "d1");
}

TEST_F(HiveSession, ADroneMayTakeANewName) {
  DroneUp("old");
  event::Hello hello = HelloOf("old", 1, 1);
  hello.name = "new";
  drones_["new"] = drones_["old"];
  SayHello("new", hello);
  EXPECT_EQ(Fleet().drones.size(), 1u);
  EXPECT_EQ(View("new").row.id, DroneId(1));
  drones_["old"] = FakeDrone{.identity = "another"};
  DroneUp("old");
  EXPECT_EQ(Fleet().drones.size(), 2u) << "the old name is free";
}

TEST_F(HiveSession, AnyMessageProvesLife) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  Duration most = config_.LostAfter() - 1s;
  std::vector<std::function<void()>> signs = {
      [&] { Heartbeat("d1"); },
      [&] { Starts("a"); },
      [&] {
        Step(event::Info{ConnectionOf("d1"), DroneInfo{}});
      },
      [&] { Step(event::Alive{drones_["d1"].session}); },
      [&] {
        Step(event::Accept{ConnectionOf("d1"), Current("a"), wall_});
      },
  };
  for (const auto& sign : signs) {
    Advance(most);
    sign();
  }
  Advance(most);
  ExpectState("a", JobState::kStarted);
  EXPECT_EQ(Job("a").attempts, 1u);
  Advance(2s);
  EXPECT_EQ(Job("a").attempts, 1u);
  ExpectQueued("a");
}

TEST_F(HiveSession, HeartbeatsAreAnsweredWithTheirNonce) {
  DroneUp("d1");
  Step(event::Heartbeat{ConnectionOf("d1"), 42, {.load1 = 1.5}});
  ASSERT_THAT(SentTo<to_drone::HeartbeatAck>("d1"), SizeIs(1));
  EXPECT_EQ(SentTo<to_drone::HeartbeatAck>("d1")[0].nonce, 42u);
  EXPECT_EQ(View("d1").vitals.load1, 1.5);
}

TEST_F(HiveSession, ASilentConnectionIsClosedAndMayComeBack) {
  DroneUp("d1");
  AdvancePastLease();
  EXPECT_EQ(closed_[ConnectionOf("d1")].code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(View("d1").connected);
  Submit("a");
  ExpectQueued("a");
  DroneUp("d1");
  ExpectAssigned("a", "d1");
}

TEST_F(HiveSession, AnIdleHiveAsksForNoWakeUps) {
  DroneUp("d1");
  Disconnect("d1");
  AdvancePastLease();
  EXPECT_FALSE(wake_at_.has_value());
}

TEST_F(HiveSession, AReconnectInTimeKeepsTheJob) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  Epoch epoch = Current("a");
  Disconnect("d1");
  Advance(20s);
  DroneUp("d1", 1, {Holds("a")});
  EXPECT_EQ(WelcomedWith("d1", epoch).action, Action::kContinue);
  EXPECT_EQ(log_sessions_[epoch], drones_["d1"].session);
  AdvancePastLease(-1s);
  Passes("a");
  ExpectState("a", JobState::kPassed);
  EXPECT_EQ(Job("a").attempts, 1u);
  ASSERT_THAT(SentTo<to_drone::Verdict>("d1"), SizeIs(1));
  EXPECT_EQ(SentTo<to_drone::Verdict>("d1")[0].state, JobState::kPassed);
}

TEST_F(HiveSession, AFinishedAttemptIsAskedForItsFinal) {
  DroneUp("d1");
  Submit("a");
  Starts("a");
  Disconnect("d1");
  DroneUp("d1", 1, {Holds("a", HeldState::kFinished)});
  EXPECT_EQ(WelcomedWith("d1", Current("a")).action, Action::kSendFinal);
  Submit("b");
  ExpectAssigned("b", "d1");
}

TEST_F(HiveSession, AVerdictThatWasMissedIsForgotten) {
  DroneUp("d1");
  Submit("a");
  HeldAttempt held = Holds("a", HeldState::kFinished);
  Disconnect("d1");
  Passes("a");
  DroneUp("d1", 1, {held});
  EXPECT_EQ(WelcomedWith("d1", held.epoch).action, Action::kForget);
}

TEST_F(HiveSession, AQueenLearnsWhichEpochsAreUsedUp) {
  event::Hello hello = HelloOf("d1", 1, 1);
  hello.highest_epoch = Epoch(500);
  SayHello("d1", hello);
  Submit("a");
  EXPECT_GT(Current("a"), Epoch(500));
}

TEST_F(HiveSession, AnAbsurdEpochLeavesRoomForTheOnesToCome) {
  event::Hello hello = HelloOf("d1", 1, 1);
  hello.highest_epoch = Epoch(std::uint64_t{1} << 62);
  SayHello("d1", hello);
  Submit("a");
  EXPECT_LT(Current("a"), Epoch(std::uint64_t{1} << 62)) << "a Hello with more is refused";
}

// A queen restored from an old backup: the drone keeps what the queen never heard of.
TEST_F(HiveSession, AnEpochAboveAllTheQueenGaveIsUnknownNotFenced) {
  HeldAttempt held;
  held.epoch = Epoch(500);
  held.state = HeldState::kRunning;
  HeldAttempt finished = held;
  finished.epoch = Epoch(499);
  finished.state = HeldState::kFinished;
  DroneUp("d1", 1, {held, finished});
  EXPECT_EQ(WelcomedWith("d1", Epoch(500)).action, Action::kUnknown);
  EXPECT_EQ(WelcomedWith("d1", Epoch(499)).action, Action::kUnknown);
}

}  // namespace
}  // namespace waggle::queen
