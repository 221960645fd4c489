// Wrong use and broken installations: each ends with a clear message and the right code, and breaks nothing.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/support/hive_fixture.h"

namespace waggle::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Misuse : public HiveFixture {
 protected:
  // The directory of a new installation that has only these programs.
  std::string Install(const Words& programs) {
    const std::string bin = temp_ / "bin";
    fs::create_directories(bin);
    for (const std::string& program : programs) fs::copy_file(Binary(program), bin + "/" + program);
    return bin;
  }

  Words DroneCommand(const std::string& program, const std::string& name, const std::string& data) {
    return {program, "serve", "--queen", QueenData(), "--data", data, "--name", name, "--slots", "1"};
  }

  void ExpectQueenWorks() { WaitForState(Submit(TestJob({"true"})), "passed"); }
};

TEST_F(Misuse, SecondQueenOnOneDirectory) {
  StartQueen();
  StartDrone("bee");
  const Outcome second = Start({Binary("queen"), "serve", "--data", QueenData()}).Finish(10s);
  EXPECT_EQ(second.code, 1) << second;
  EXPECT_THAT(second.err, StartsWith("error: another queen uses " + QueenData() + "\n  next: "));
  ExpectQueenWorks();
}

TEST_F(Misuse, SecondDroneOnOneDirectory) {
  StartQueen();
  StartDrone("bee");
  const Outcome second = Start(DroneCommand(Binary("drone"), "bee", DroneData("bee"))).Finish(10s);
  EXPECT_EQ(second.code, 1) << second;
  EXPECT_THAT(second.err,
              AllOf(StartsWith("error: another drone daemon (process "), HasSubstr(DroneData("bee"))));
  ExpectQueenWorks();
}

TEST_F(Misuse, NameOfAnotherDrone) {
  StartQueen();
  Child& first = StartDrone("bee");
  Child second = Start(DroneCommand(Binary("drone"), "bee", temp_ / "d/second"));
  ASSERT_TRUE(Eventually([&] {
    return second.Err().find("the name bee is in use by another drone") != std::string::npos;
  })) << second.Err();
  EXPECT_TRUE(first.Running());
  const Json drones = Drones();
  EXPECT_EQ(drones.size(), 1u);
  ExpectQueenWorks();
}

TEST_F(Misuse, CopiedDataDirectoryDeposesTheFirstDrone) {
  StartQueen();
  Child& first = StartDrone("bee");
  fs::create_directories(temp_ / "d/copy");
  fs::copy_file(DroneData("bee") + "/identity", temp_ / "d/copy/identity");
  Child second = Start(DroneCommand(Binary("drone"), "bee", temp_ / "d/copy"));
  EXPECT_EQ(first.Wait(15s), 1);
  EXPECT_THAT(first.Err(), HasSubstr("a newer session of bee was opened from host "));
  EXPECT_TRUE(second.Running());
  ExpectQueenWorks();
}

TEST_F(Misuse, UnreachableQueen) {
  for (const Words& args :
       {Words{"jobs"}, Words{"show", "1"}, Words{"cancel", "1"}, Words{"logs", "1"}, Words{"verify", "1"},
        Words{"drones"}, Words{"submit", "--job", WriteJob(TestJob({"true"}))}}) {
    const Outcome outcome = Waggle(args, "", 20s);
    EXPECT_EQ(outcome.code, 5) << args[0] << outcome;
    EXPECT_THAT(outcome.err, AllOf(StartsWith("error: cannot reach the queen at "), HasSubstr(QueenData()),
                                   HasSubstr("WAGGLE_QUEEN")))
        << args[0];
    EXPECT_EQ(outcome.out, "");
  }
  EXPECT_EQ(Waggle({"watch", "1"}, "", 20s).code, 125);
  EXPECT_EQ(Waggle({"submit", "-w", "--job", WriteJob(TestJob({"true"}))}, "", 20s).code, 125);
}

TEST_F(Misuse, UnknownJobs) {
  StartQueen();
  for (const char* verb : {"show", "logs", "verify", "cancel"}) {
    const Outcome outcome = Waggle({verb, "41"});
    EXPECT_EQ(outcome.code, 3) << verb << outcome;
    EXPECT_THAT(outcome.err, AllOf(StartsWith("error: "), HasSubstr("41"))) << verb;
  }
  EXPECT_EQ(Waggle({"watch", "41"}).code, 125);
  EXPECT_EQ(Waggle({"watch", "r41"}).code, 125);
  EXPECT_EQ(Waggle({"show", "@last"}).code, 3);
  const Outcome list = Waggle({"jobs"});
  EXPECT_EQ(list.code, 0);
  EXPECT_EQ(list.out, "");
}

TEST_F(Misuse, UnknownAttempt) {
  StartQueen();
  StartDrone("bee");
  WaitForState(Submit(TestJob({"true"})), "passed");
  EXPECT_EQ(Waggle({"logs", "1@2"}).code, 3);
  EXPECT_EQ(Waggle({"verify", "1@2"}).code, 3);
  EXPECT_EQ(Waggle({"watch", "1@2"}).code, 125);
}

TEST_F(Misuse, BadFlagsOfWaggle) {
  StartQueen();
  for (const Words& args : {Words{"jobs", "--nope"}, Words{"logs"}, Words{"logs", "abc"}, Words{"fly"},
                            Words{"jobs", "--state", "sleepy"}, Words{"logs", "1", "--lines", "9-2"},
                            Words{"jobs", "-o", "xml"}, Words{"cancel", "1@2"}, Words{}}) {
    const Outcome outcome = Waggle(args);
    EXPECT_EQ(outcome.code, 2) << (args.empty() ? "" : args[0]) << outcome;
    EXPECT_THAT(outcome.err, StartsWith("error: ")) << (args.empty() ? "" : args[0]);
    EXPECT_EQ(outcome.out, "");
  }
  EXPECT_EQ(Waggle({"watch"}).code, 125);
  EXPECT_EQ(Waggle({"--help"}).code, 0);
}

TEST_F(Misuse, BadFlagsOfTheDaemons) {
  const std::string drone = Binary("drone"), queen = Binary("queen"), data = temp_ / "d/x";
  auto expect_usage = [this](const Words& argv, const std::string& named) {
    const Outcome outcome = Start(argv).Finish(10s);
    EXPECT_EQ(outcome.code, 2) << outcome;
    EXPECT_THAT(outcome.err, HasSubstr(named));
  };
  expect_usage({queen}, "queen needs a command: serve");
  expect_usage({queen, "serve"}, "--data");
  expect_usage({queen, "serve", "--data", data, "--lease", "0"}, "lease");
  expect_usage({queen, "serve", "--data", data, "--log-level", "loud"}, "loud");
  expect_usage({drone, "serve", "--data", data}, "--queen");
  expect_usage({drone, "serve", "--data", data, "--queen", QueenData(), "--slots", "0"}, "--slots `0`");
  expect_usage({drone, "serve", "--data", data, "--queen", QueenData(), "--slots", "many"}, "--slots");
  expect_usage({drone, "serve", "--data", data, "--queen", QueenData(), "--name", "a b"}, "--name `a b`");
  expect_usage({drone, "serve", "--data", data, "--queen", QueenData(), "--label", "gpu"}, "--label `gpu`");
  expect_usage({drone, "serve", "--data", data, "--queen", "ci.example.com:7874"}, "--queen");
  EXPECT_FALSE(Exists(data));
}

TEST_F(Misuse, DirectoryThatCannotBeWritten) {
  const std::string bin = Install({"queen", "drone"});
  ::chmod(temp_.path().c_str(), 0755);
  ::chmod((temp_ / "w").c_str(), 0555);
  const std::string data = temp_ / "w/data";
  const Outcome queen = Start({bin + "/queen", "serve", "--data", data}, "/", /*nobody=*/true).Finish(10s);
  EXPECT_EQ(queen.code, 1) << queen;
  EXPECT_THAT(queen.err, AllOf(StartsWith("error: "), HasSubstr(data), HasSubstr("Permission denied")));
  const Outcome drone = Start(DroneCommand(bin + "/drone", "bee", data), "/", /*nobody=*/true).Finish(10s);
  EXPECT_EQ(drone.code, 78) << drone;
  EXPECT_THAT(drone.err, AllOf(StartsWith("error: "), HasSubstr(data), HasSubstr("Permission denied")));
  ::chmod((temp_ / "w").c_str(), 0755);
}

TEST_F(Misuse, DataThatIsAFileOrTooLongAPath) {
  WriteText(temp_ / "w/file", "");
  EXPECT_EQ(Start({Binary("queen"), "serve", "--data", temp_ / "w/file"}).Finish(10s).code, 1);
  const Outcome path =
      Start({Binary("queen"), "serve", "--data", temp_ / ("w/" + std::string(120, 'x'))}).Finish(10s);
  EXPECT_EQ(path.code, 78) << path;
  EXPECT_THAT(path.err, HasSubstr("choose a shorter --data"));
}

TEST_F(Misuse, DroneWithoutItsGitHelperRefusesJobsWithARepository) {
  StartQueen();
  GitRepo repo = MakeRepo("p");
  repo.Write(".waggle.yml", "test: 'true'\n");
  repo.Commit("Start");
  const std::string bin = Install({"drone", "waggle-shim"});
  Child drone = Start(DroneCommand(bin + "/drone", "bare", DroneData("bare")));
  const Outcome outcome = Waggle({"submit", "--watch"}, repo.path());
  EXPECT_EQ(outcome.code, 122) << outcome;
  EXPECT_THAT(std::string(Show(1)["detail"]), HasSubstr("waggle-git is missing"));
  ExpectQueenWorks();
}

TEST_F(Misuse, QueenWithoutItsGitHelperSaysSo) {
  const std::string bin = Install({"queen"});
  Child queen = Start({bin + "/queen", "serve", "--data", QueenData()});
  ASSERT_TRUE(Eventually([&] { return Waggle({"jobs"}).code == 0; }));
  GitRepo repo = MakeRepo("p");
  repo.Write(".waggle.yml", "test: 'true'\n");
  repo.Commit("Start");
  const Outcome outcome = Waggle({"submit"}, repo.path());
  EXPECT_EQ(outcome.code, 1) << outcome;
  EXPECT_THAT(outcome.err, StartsWith("error: cannot start " + bin + "/waggle-git: it is missing\n  next: "));
  EXPECT_TRUE(Jobs().empty());
}

TEST_F(Misuse, SocketIsTheOwnersAlone) {
  StartQueen();
  struct stat info;
  ASSERT_EQ(::stat((QueenData() + "/queen.sock").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(Misuse, OutputThatCannotBeWrittenIsAnError) {
  StartQueen();
  StartDrone("bee");
  WaitForState(Submit(TestJob({"echo hello"})), "passed");
  const Outcome full = Start({"sh", "-c", Binary("waggle") + " logs --raw 1 > /dev/full"}).Finish();
  EXPECT_EQ(full.code, 1) << full;
  EXPECT_THAT(full.err, HasSubstr("No space left on device"));
  const Outcome pipe = Start({"bash", "-c", Binary("waggle") + " logs 1 | true; exit 0"}).Finish();
  EXPECT_EQ(pipe.err, "");
}

}  // namespace
}  // namespace waggle::test
