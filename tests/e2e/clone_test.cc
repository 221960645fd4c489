// A drone whose data directory was copied to a second place, so that two daemons have one key, each under a
// supervisor that starts it again.
#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "tests/support/remote_queen.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;

class Clone : public RemoteFixture {
 protected:
  void SetUp() override {
    at_ = StartRemoteQueen();
    Enrol("bee");
    std::filesystem::copy(DroneData("bee"), DroneData("copy"), std::filesystem::copy_options::recursive);
  }

  void Enrol(const std::string& data) {
    const Outcome outcome = RemoteFixture::Enrol(at_.https, "bee", Invite("drone", "bee"), DroneData(data));
    ASSERT_EQ(outcome.code, 0) << outcome;
  }
  // Returns when it is connected, or over.
  Child& Serve(const std::string& data) {
    served_.push_back(std::make_unique<Child>(
        Start({Binary("drone"), "serve", "--data", DroneData(data), "--slots", "1"})));
    Child& drone = *served_.back();
    EXPECT_TRUE(Eventually([&] {
      return !drone.Running() || absl::StrContains(drone.Err(), "connected to the queen: session");
    }));
    return drone;
  }
  Json Bee() {
    for (const Json& drone : Drones()) {
      if (drone["name"] == "bee") return drone;
    }
    return {};
  }

  RemoteQueen at_;
  std::vector<std::unique_ptr<Child>> served_;
};

TEST_F(Clone, ItsKeyGetsNoWorkUntilBothAreEnrolledAgain) {
  Child* last = &Serve("bee");
  int deposed = 0;
  const char* const places[] = {"copy", "bee"};
  for (; deposed < 5; ++deposed) {  // the first may have been a move; four come back
    EXPECT_EQ(Bee()["drained_at"], 0) << deposed;
    Child* const before = last;
    last = &Serve(places[deposed % 2]);
    EXPECT_EQ(before->Wait(10s), 1) << "the newest session wins";
    EXPECT_THAT(before->Err(),
                HasSubstr("another session of this drone took over: a newer session of bee was opened "
                          "from host "));
    EXPECT_TRUE(last->Running()) << last->Err();
  }
  const Outcome listed = Waggle({"drones"});
  EXPECT_THAT(listed.out, HasSubstr("quarantined: its key is used twice on host "));
  EXPECT_THAT(std::string(Bee()["note"]), HasSubstr("; queen revoke drone bee, then enrol both again"));
  EXPECT_THAT(Queen().Err(), HasSubstr("warning drone stream"));
  EXPECT_THAT(Queen().Err(), HasSubstr("quarantined: its key is used twice"));

  const std::uint64_t job = Submit(TestJob({"echo ran"}));
  EXPECT_THAT(std::string(Show(job)["detail"]), HasSubstr("bee is drained by the queen: quarantined"));
  EXPECT_EQ(StateOf(job), "queued");

  // What the note says helps.
  const Outcome revoked = Start({Binary("queen"), "revoke", "drone", "bee", "--data", QueenData()}).Finish();
  EXPECT_EQ(revoked.code, 0) << revoked;
  EXPECT_EQ(last->Wait(10s), 1);
  Enrol("new");
  Serve("new");
  WaitForState(job, "passed");
}

TEST_F(Clone, UndrainLetsItWorkAgain) {
  Child* last = &Serve("bee");
  for (int i = 0; i < 5; ++i) {
    Child* const before = last;
    last = &Serve(i % 2 == 0 ? "copy" : "bee");
    EXPECT_EQ(before->Wait(10s), 1);
  }
  const std::uint64_t job = Submit(TestJob({"echo ran"}));
  EXPECT_EQ(StateOf(job), "queued");
  EXPECT_EQ(Waggle({"undrain", "bee"}).code, 0);
  WaitForState(job, "passed");
}

// One daemon that is killed and started again, and whose queen is: that is no copy.
TEST_F(Clone, RestartsAreNoCopies) {
  for (int i = 0; i < 6; ++i) {
    Child& drone = Serve("bee");
    ASSERT_TRUE(drone.Running()) << drone.Err();
    if (i % 3 == 2) {
      KillQueen();
      StartRemoteQueen(at_);
    }
    drone.Signal(SIGKILL);
    drone.Wait();
  }
  Serve("bee");
  EXPECT_EQ(Bee()["drained_at"], 0);
  WaitForState(Submit(TestJob({"echo ran"})), "passed");
}

}  // namespace
}  // namespace waggle::test
