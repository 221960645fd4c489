// Peers on other hosts: invitations, enrolment, trust labels, revocation.
#include <gmock/gmock.h>

#include "tests/queen/core/hive_fixture.h"

namespace waggle::queen {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr WallMillis kTtl = 15 * 60 * 1000;

class HiveAccess : public HiveTest {
 protected:
  AnswerValue Invite(const std::string& token, PeerKind kind = PeerKind::kDrone, const std::string& name = "",
                     std::map<std::string, std::string> labels = {}) {
    InvitationRow invitation;
    invitation.hash = "hash of " + token;
    invitation.kind = kind;
    invitation.name = name;
    invitation.labels = std::move(labels);
    invitation.expires = wall_ + kTtl;
    event::Invite invite{NewRequest(), invitation};
    Step(invite);
    return answers_.at(invite.request);
  }
  AnswerValue Enrol(const std::string& token, const std::string& key, const std::string& name = "") {
    event::Enrol enrol{NewRequest(), "hash of " + token, key, name};
    Step(enrol);
    return answers_.at(enrol.request);
  }
  AnswerValue Revoke(const std::string& name, PeerKind kind = PeerKind::kDrone) {
    event::Revoke revoke{NewRequest(), kind, name};
    Step(revoke);
    return answers_.at(revoke.request);
  }
  static std::string Error(const AnswerValue& answer) {
    const auto* status = std::get_if<absl::Status>(&answer);
    return status == nullptr ? "no error" : std::string(status->message());
  }
  // A drone on another host.
  void RemoteUp(const std::string& name, const std::string& key, DroneInfo info = {.speed = 1}) {
    event::Hello hello = HelloOf(name, 1, 1);
    hello.identity = key;
    hello.local = false;
    hello.info = std::move(info);
    SayHello(name, hello);
  }
};

TEST_F(HiveAccess, AnInvitationMakesOnePeerOnce) {
  Invite("t", PeerKind::kDrone, "", {{"prod", "yes"}});
  const PeerRow peer = std::get<PeerRow>(Enrol("t", "k1", "bee-5"));
  EXPECT_EQ(peer.name, "bee-5");
  EXPECT_EQ(peer.key, "k1");
  EXPECT_EQ(peer.labels.at("prod"), "yes");
  EXPECT_THAT(Error(Enrol("t", "k2", "bee-6")), HasSubstr("already used by bee-5 at 2023-11-14 22:13 UTC"));
  EXPECT_THAT(Error(Enrol("another", "k2", "bee-6")), HasSubstr("not known here"));
  EXPECT_THAT(store_.peers, SizeIs(1));
}

TEST_F(HiveAccess, ALostAnswerIsGivenAgainToTheSameKey) {
  Invite("t");
  const PeerRow first = std::get<PeerRow>(Enrol("t", "k", "bee"));
  Restart();
  EXPECT_EQ(std::get<PeerRow>(Enrol("t", "k", "bee")).id, first.id);
  Revoke("bee");
  EXPECT_THAT(Error(Enrol("t", "k", "bee")), HasSubstr("already used"));
}

TEST_F(HiveAccess, AnInvitationExpires) {
  Invite("t");
  wall_ += kTtl;
  EXPECT_THAT(Error(Enrol("t", "k", "bee")), HasSubstr("expired"));
  EXPECT_THAT(store_.peers, IsEmpty());
}

TEST_F(HiveAccess, NamesAreUniqueAmongThoseWhoMayCome) {
  EnrolDrone("bee");
  EXPECT_THAT(Error(Invite("t", PeerKind::kDrone, "bee")), HasSubstr("there is a drone called bee"));
  Invite("open");
  EXPECT_THAT(Error(Enrol("open", "k", "bee")), HasSubstr("there is a drone called bee"));
  EXPECT_EQ(std::get<PeerRow>(Enrol("open", "k", "bee-2")).name, "bee-2") << "it is not used up by an error";
  Invite("u", PeerKind::kUser, "bee");
  EXPECT_EQ(Error(Enrol("u", "k3")), "no error") << "a person may have the name of a drone";
  EXPECT_THAT(Error(Enrol("u", "k")), HasSubstr("already used"));
  Revoke("bee");
  EXPECT_EQ(Error(Invite("t", PeerKind::kDrone, "bee")), "no error");
  EXPECT_THAT(Error(Enrol("t", "key of bee")), HasSubstr("this key belongs to bee")) << "never again";
}

TEST_F(HiveAccess, AStrangerIsRefused) {
  RemoteUp("bee", "some key");
  EXPECT_THAT(SentTo<to_drone::Welcome>("bee"), IsEmpty());
  EXPECT_EQ(closed_.at(ConnectionOf("bee")).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(Fleet().drones, IsEmpty());
}

TEST_F(HiveAccess, APersonsCertificateMakesNoDrone) {
  Invite("u", PeerKind::kUser, "anna");
  Enrol("u", "key of anna");
  RemoteUp("anna", "key of anna");
  EXPECT_EQ(closed_.at(ConnectionOf("anna")).code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(HiveAccess, ADroneMayNotCallItselfOtherwise) {
  EnrolDrone("bee");
  RemoteUp("queen-of-hearts", "key of bee");
  EXPECT_THAT(std::string(closed_.at(ConnectionOf("queen-of-hearts")).message()),
              HasSubstr("enrolled as bee, not as queen-of-hearts"));
}

TEST_F(HiveAccess, WhatAnOperatorGivesNoDroneCanClaim) {
  EnrolDrone("trusted", {{"prod", "yes"}});
  EnrolDrone("liar");
  RemoteUp("liar", "key of liar", {.speed = 100, .labels = {{"prod", "yes"}, {"gpu", "yes"}}});
  Submit("deploys", {.needs = {{"prod", "yes"}}});
  EXPECT_THAT(assigned_, IsEmpty());
  Submit("computes", {.needs = {{"gpu", "yes"}}});
  ExpectAssigned("computes", "liar");
  RemoteUp("trusted", "key of trusted", {.speed = 1, .labels = {{"prod", "no"}}});
  ExpectAssigned("deploys", "trusted");
}

TEST_F(HiveAccess, ARevokedDroneIsCutOffAndItsWorkGoesElsewhere) {
  EnrolDrone("bee");
  RemoteUp("bee", "key of bee");
  Submit("a");
  ExpectAssigned("a", "bee");
  DroneUp("local", 1, 0.5);
  Revoke("bee");
  EXPECT_EQ(closed_.at(ConnectionOf("bee")).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_FALSE(View("bee").connected);
  ExpectAssigned("a", "local");
  EXPECT_THAT(Error(Revoke("bee")), HasSubstr("there is no drone called bee"));
  Restart();
  RemoteUp("bee", "key of bee");
  EXPECT_EQ(closed_.at(ConnectionOf("bee")).code(), absl::StatusCode::kPermissionDenied) << "after a restart";
}

TEST_F(HiveAccess, RevokingEndsWhatIsLeftOfItsSession) {
  EnrolDrone("bee");
  RemoteUp("bee", "key of bee");
  Disconnect("bee");
  const SessionId session = drones_["bee"].session;
  EXPECT_FALSE(ended_sessions_.contains(session)) << "its bulk stream may bring records";
  Revoke("bee");
  EXPECT_TRUE(ended_sessions_.contains(session));
}

// A deploy is not queued again, so its row still says that it runs when the queen dies before its log is
// sealed.
TEST_F(HiveAccess, ARevokeIsFinishedByTheNextQueen) {
  EnrolDrone("bee");
  RemoteUp("bee", "key of bee");
  Submit("a", {.type = JobType::kDeploy});
  Accept("a");
  AsksForGrant("a");
  const Epoch epoch = Current("a");
  Revoke("bee");
  seals_.clear();
  Restart();
  ASSERT_TRUE(seals_.contains(epoch)) << "without waiting for a lease";
  EXPECT_EQ(seals_[epoch].reason, Reason::kUnknown);
  SealsComplete();
  ExpectState("a", JobState::kErrored, Reason::kUnknown);
  EXPECT_FALSE(AttemptOf("a").late_awaited);
}

TEST_F(HiveAccess, TheListShowsPeersAndOpenInvitations) {
  EnrolDrone("bee");
  Invite("t", PeerKind::kUser, "anna");
  event::ListPeers list{NewRequest()};
  Step(list);
  const auto& shown = AnswerTo<PeerList>(list.request);
  ASSERT_THAT(shown.peers, SizeIs(1));
  ASSERT_THAT(shown.open, SizeIs(1));
  EXPECT_EQ(shown.open[0].name, "anna");
}

TEST_F(HiveAccess, OpenInvitationsAreBounded) {
  for (std::size_t i = 0; i < Access::kOpenInvitations; ++i) Invite(std::to_string(i));
  EXPECT_THAT(Error(Invite("one more")), HasSubstr("invitations are open"));
  wall_ += kTtl;
  EXPECT_EQ(Error(Invite("one more")), "no error");
}

}  // namespace
}  // namespace waggle::queen
