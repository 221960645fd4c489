#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/child.h"
#include "tests/support/temp_dir.h"

// The built drone and its local commands, with no queen anywhere.
namespace waggle::drone {
namespace {

using namespace std::chrono_literals;
using test::Eventually;
using testing::HasSubstr;

class ControlTest : public testing::Test {
 protected:
  ~ControlTest() override {
    drone_.reset();
    for (pid_t pid : test::ProcessesNaming(dir_.path())) ::kill(pid, SIGKILL);
  }

  test::Child Spawn(std::vector<std::string> argv) {
    test::Child::Spec spec;
    spec.argv = std::move(argv);
    spec.argv.insert(spec.argv.begin(), DRONE_PATH);
    spec.argv.insert(spec.argv.end(), {"--data", data_});
    spec.env = {{"PATH", "/usr/bin:/bin"}};
    spec.cwd = dir_.path();
    spec.log = dir_ / ("log" + std::to_string(++logs_));
    return test::Child(spec);
  }
  void StartDrone() {
    drone_.emplace(Spawn({"serve", "--queen", dir_ / "no-queen", "--name", "bee-1", "--slots", "2"}));
    ASSERT_TRUE(Eventually([&] { return Run({"status"}).code == 0; })) << drone_->Err();
  }
  test::Outcome Run(std::vector<std::string> argv) { return Spawn(std::move(argv)).Finish(); }
  nlohmann::json Status() {
    return nlohmann::json::parse(Run({"status", "--json"}).out, nullptr, /*allow_exceptions=*/false);
  }

  test::TempDir dir_;
  std::string data_ = dir_ / "data";
  std::optional<test::Child> drone_;
  int logs_ = 0;
};

TEST_F(ControlTest, StatusSaysHowThingsStand) {
  StartDrone();
  const test::Outcome said = Run({"status"});
  EXPECT_EQ(said.code, 0) << said;
  EXPECT_THAT(said.out, HasSubstr("bee-1  ready  0/2 slots in use"));
  EXPECT_THAT(said.out, HasSubstr("not connected"));
  const nlohmann::json status = Status();
  EXPECT_EQ(status["name"], "bee-1");
  EXPECT_EQ(status["pid"], drone_->pid());
  EXPECT_EQ(status["capacity"], 2);
  EXPECT_EQ(status["connected"], false);
  EXPECT_EQ(status["paused"], nullptr);
  EXPECT_EQ(Run({"jobs"}).out, "nothing\n");
}

TEST_F(ControlTest, TheSocketIsItsOwnersAlone) {
  StartDrone();
  struct stat info;
  ASSERT_EQ(::stat((data_ + "/drone.sock").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
}

TEST_F(ControlTest, APauseSurvivesTheDaemonAndResumeEndsIt) {
  StartDrone();
  test::Outcome said = Run({"pause", "2h", "--reason", "kernel update"});
  EXPECT_EQ(said.code, 0) << said;
  EXPECT_THAT(said.out, HasSubstr("bee-1 takes no new work until 2"));
  EXPECT_THAT(said.out, HasSubstr("kernel update"));
  EXPECT_EQ(Status()["state"], "paused");
  drone_->Signal(SIGKILL);
  drone_->Wait();
  StartDrone();
  EXPECT_EQ(Status()["state"], "paused");
  EXPECT_EQ(Status()["paused"]["reason"], "kernel update");
  EXPECT_GT(Status()["paused"]["until"], 0);
  said = Run({"resume"});
  EXPECT_EQ(said.out, "bee-1 takes work: 2 slots\n") << said;
  drone_->Signal(SIGTERM);
  EXPECT_EQ(drone_->Wait(), 0);
  StartDrone();
  EXPECT_EQ(Status()["state"], "ready");
}

TEST_F(ControlTest, APauseOfATimeEndsByItself) {
  StartDrone();
  EXPECT_EQ(Run({"pause", "1s"}).code, 0);
  EXPECT_TRUE(Eventually([&] { return Status()["state"] == "ready"; }));
}

TEST_F(ControlTest, ResizeTakesEffectAtOnce) {
  StartDrone();
  EXPECT_EQ(Run({"resize", "5"}).out, "bee-1 has 5 slots, 0 in use\n");
  EXPECT_EQ(Status()["capacity"], 5);
  EXPECT_EQ(Run({"resize", "0"}).code, 2);
  EXPECT_EQ(Run({"resize", "1025"}).code, 2);
  EXPECT_EQ(Status()["capacity"], 5);
}

TEST_F(ControlTest, DrainAndStopExitCleanWhenNothingIsHeld) {
  for (const std::vector<std::string>& how :
       {std::vector<std::string>{"drain"}, {"stop"}, {"stop", "--now"}}) {
    StartDrone();
    const test::Outcome said = Run(how);
    EXPECT_EQ(said.code, 0) << said;
    EXPECT_EQ(said.out, "bee-1 holds nothing: it exits\n");
    EXPECT_EQ(drone_->Wait(), 0) << drone_->Err();
  }
}

TEST_F(ControlTest, WithoutADaemonItSaysSo) {
  test::Outcome said = Run({"status"});
  EXPECT_EQ(said.code, 1);
  EXPECT_THAT(said.err, HasSubstr("no drone runs on " + data_));
  EXPECT_THAT(said.err, HasSubstr("drone serve"));
  StartDrone();
  drone_->Signal(SIGKILL);  // its socket stays
  drone_->Wait();
  said = Run({"pause"});
  EXPECT_EQ(said.code, 1);
  EXPECT_THAT(said.err, HasSubstr("nobody listens there"));
}

TEST_F(ControlTest, BadTimesAndReasonsAreRefused) {
  StartDrone();
  for (const char* time : {"2", "0s", "soon", "-1h"}) {
    EXPECT_EQ(Run({"pause", time}).code, 2) << time;
  }
  EXPECT_EQ(Run({"pause", "--reason", "a\x1b[31mred"}).code, 2);
  EXPECT_EQ(Run({"pause", "--reason", std::string(5000, 'x')}).code, 2);
  EXPECT_EQ(Status()["state"], "ready");
}

TEST_F(ControlTest, ADirectoryThatIsTooLongForASocketIsNone) {
  data_ = dir_ / (std::string(60, 'd') + "/" + std::string(60, 'e') + " %41");
  StartDrone();
  EXPECT_EQ(Run({"pause"}).code, 0);
  EXPECT_EQ(Status()["state"], "paused");
}

}  // namespace
}  // namespace waggle::drone
