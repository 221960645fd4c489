// A drone whose data directory was copied, so that two hosts have its key.
#include "tests/queen/core/hive_fixture.h"

namespace waggle::queen {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

class HiveRivals : public HiveTest {
 protected:
  void UpFrom(const std::string& place) {
    drones_["bee"].host = "host-" + place;
    event::Hello hello = HelloOf("bee", 1, 1);
    hello.place = place;
    SayHello("bee", hello);
  }
  void Swap(int times) {
    for (int i = 0; i < times; ++i) {
      UpFrom("a");
      UpFrom("b");
    }
  }
};

TEST_F(HiveRivals, MoreThanThreeSwapsHoldItBackUntilSomebodyLooked) {
  EnrolDrone("bee");
  UpFrom("a");
  UpFrom("b");
  UpFrom("a");
  UpFrom("b");
  const ConnectionId third = (UpFrom("a"), ConnectionOf("bee"));
  EXPECT_EQ(View("bee").row.drained, 0) << "three may be";
  UpFrom("b");
  EXPECT_NE(View("bee").row.drained, 0);
  EXPECT_EQ(View("bee").row.drain_reason,
            "quarantined: its key is used on hosts host-a and host-b; queen revoke drone bee, then enrol "
            "both again");
  EXPECT_EQ(closed_[third].code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(closed_[third].message()), HasSubstr("host-b; quarantined: its key is used"));
  const auto welcomes = SentTo<to_drone::Welcome>("bee");
  ASSERT_THAT(welcomes, SizeIs(1));
  ASSERT_TRUE(welcomes[0].drain.has_value()) << "the drone shows it too";

  Submit("x");
  ExpectQueued("x");
  EXPECT_THAT(WhyWaiting("x"), HasSubstr("bee is drained by the queen: quarantined: its key is used"));
  Restart();
  UpFrom("b");
  ExpectQueued("x");

  event::UndrainDrone undrain{NewRequest(), "bee"};
  Step(undrain);
  ExpectAssigned("x", "bee");
}

TEST_F(HiveRivals, WhoUndrainsItForgivesWhatWas) {
  Swap(4);
  EXPECT_NE(View("bee").row.drained, 0);
  Step(event::UndrainDrone{NewRequest(), "bee"});
  UpFrom("a");
  UpFrom("b");
  UpFrom("a");
  EXPECT_EQ(View("bee").row.drained, 0);
  Swap(2);
  EXPECT_NE(View("bee").row.drained, 0) << "and it is noticed again";
}

TEST_F(HiveRivals, ReconnectsAndMovesAreNoSwaps) {
  for (int i = 0; i < 50; ++i) {
    UpFrom("a");
    if (i % 3 == 0) Disconnect("bee");
  }
  for (const char* place : {"b", "c", "d", "e", "f", "g", "h", "i", "j", "k"}) UpFrom(place);
  EXPECT_EQ(View("bee").row.drained, 0);
  for (int i = 0; i < 50; ++i) {  // one host is stopped before the other is started
    UpFrom(i % 2 == 0 ? "y" : "z");
    Disconnect("bee");
  }
  EXPECT_EQ(View("bee").row.drained, 0);
}

TEST_F(HiveRivals, ANewKeyUnderTheNameIsNotHeldBack) {
  EnrolDrone("bee");
  Swap(4);
  ASSERT_NE(View("bee").row.drained, 0);
  Disconnect("bee");
  Step(event::Revoke{NewRequest(), PeerKind::kDrone, "bee"});
  drones_["bee"].identity = "another";
  drones_["bee"].local = true;
  UpFrom("a");
  EXPECT_EQ(View("bee").row.drained, 0);
}

TEST_F(HiveRivals, ADataDirectoryOfThisHostThatWasCopiedIsNamedAsSuch) {
  Swap(3);
  for (const char* place : {"a", "b"}) {
    drones_["bee"].host = "here";
    event::Hello hello = HelloOf("bee", 1, 1);
    hello.place = place;
    SayHello("bee", hello);
  }
  EXPECT_EQ(View("bee").row.drain_reason,
            "quarantined: its data directory is used twice on host here; stop one, then waggle undrain bee");
}

}  // namespace
}  // namespace waggle::queen
