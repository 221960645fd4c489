// Queen, drone and waggle set up by configuration files alone, and what a daemon does with a wrong one.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sstream>

#include "tests/support/hive_fixture.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class Config : public HiveFixture {
 protected:
  std::string Etc(const std::string& program) const { return temp_ / "etc/" + program; }

  // A daemon as its service starts it: `serve` and nothing else, its directory named by the service manager.
  Child Service(const std::string& program) {
    env_["CONFIGURATION_DIRECTORY"] = Etc(program);
    Child child = Start({Binary(program), "serve"});
    env_.erase("CONFIGURATION_DIRECTORY");
    return child;
  }
  Outcome RunService(const std::string& program) { return Service(program).Finish(); }
  Outcome Run(Words argv) {
    argv[0] = Binary(argv[0]);
    return Start(argv).Finish();
  }
};

TEST_F(Config, AHiveFromFilesAloneRunsAJob) {
  WriteText(Etc("queen") + "/queen.yaml", "data: " + QueenData() + "\nlease: 20s\n");
  WriteText(Etc("queen") + "/queen.d/10-log.yaml", "log: {level: error, format: json}\n");
  WriteText(Etc("queen") + "/queen.d/20-log.yaml", "log:\n  level: info\n");
  WriteText(Etc("drone") + "/drone.yaml", "queen: " + QueenData() + "\ndata: " + DroneData("bee") +
                                              "\nname: bee\nslots: 1\nlabels: {site: lab, board: a}\n");
  WriteText(Etc("drone") + "/drone.d/50-here.yaml",
            "slots: 3\nspeed: 2.5\nlabels: {board: b}\nenv:\n  FLAVOUR: \"honey & wax\"\n");
  WriteText(temp_ / "home/.config/waggle/config.yaml", "queen: " + QueenData() + "\nformat: json\n");
  env_.erase("WAGGLE_QUEEN");

  Child queen = Service("queen");
  Child drone = Service("drone");
  ASSERT_TRUE(Eventually([&] {
    return queen.Running() && Waggle({"drones"}).out.find("\"bee\"") != std::string::npos;
  })) << queen.Err()
      << drone.Err();
  const Json listed = Drones();
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0]["name"], "bee");
  EXPECT_EQ(listed[0]["capacity"], 3);
  EXPECT_EQ(listed[0]["speed"], 2.5);
  EXPECT_EQ(listed[0]["labels"]["site"], "lab");
  EXPECT_EQ(listed[0]["labels"]["board"], "b");

  Json job = TestJob({"printf '%s' \"$FLAVOUR\""});
  job["needs"] = {{"site", "lab"}, {"board", "b"}};
  WaitForState(Submit(job), "passed");
  EXPECT_EQ(Raw(1), "honey & wax") << "format: json does not change what --raw promises";
  EXPECT_THAT(Waggle({"logs", "1", "--raw", "-o", "json"}).out, StartsWith("{"));
  EXPECT_THAT(queen.Err(), HasSubstr(R"("level":"info","name":"queen","message":"queen )"))
      << "20-log.yaml wins";

  env_["CONFIGURATION_DIRECTORY"] = Etc("drone");
  const Outcome show = Run({"drone", "config", "show", "--origin", "--speed", "3"});
  EXPECT_EQ(show.code, 0) << show;
  EXPECT_THAT(show.out, HasSubstr("# " + Etc("drone") + "/drone.d/50-here.yaml:1\nspeed: 3 "));
  EXPECT_THAT(show.out, HasSubstr("# --speed\n"));
  drone.Signal(SIGTERM);
  queen.Signal(SIGTERM);
  EXPECT_EQ(drone.Wait(), 0);
  EXPECT_EQ(queen.Wait(), 0);
}

TEST_F(Config, EachSpellingStandsOverTheNext) {
  WriteText(Etc("queen") + "/queen.yaml", "data: /from/etc\n");
  env_["CONFIGURATION_DIRECTORY"] = Etc("queen");
  const std::string given = temp_ / "w/given.yaml";
  auto data = [this](Words more) {  // "VALUE ORIGIN"
    Words argv = {"queen", "config", "show", "--origin"};
    argv.insert(argv.end(), more.begin(), more.end());
    std::istringstream line(Lines(Run(argv).out).at(0));
    std::string key, value, hash, origin;
    line >> key >> value >> hash >> origin;
    return value + " " + origin;
  };
  EXPECT_EQ(data({}), "/from/etc " + Etc("queen") + "/queen.yaml:1");
  WriteText(Etc("queen") + "/queen.d/a.yaml", "data: /from/dropin\n");
  EXPECT_EQ(data({}), "/from/dropin " + Etc("queen") + "/queen.d/a.yaml:1");
  WriteText(given, "\ndata: /from/config\n");
  EXPECT_EQ(data({"--config", given}), "/from/config " + given + ":2");
  env_["WAGGLE_QUEEN_DATA"] = "/from/variable";
  EXPECT_EQ(data({"--config", given}), "/from/variable WAGGLE_QUEEN_DATA");
  EXPECT_EQ(data({"--config", given, "--data", "/from/flag"}), "/from/flag --data");
}

TEST_F(Config, ABadFileStopsTheDaemonWith78AndItsPlace) {
  const std::string data = temp_ / "d/x";
  struct Case {
    std::string program, text, error;
  };
  const std::vector<Case> cases = {
      {"queen", "data: " + data + "\nretension: 90d\n",
       ":2:1: unknown key `retension`\n  2 | retension: 90d\n"},
      {"queen", "data: " + data + "\nlease: 30\n", ":2:8: `lease: 30` has no unit\n"},
      {"queen", "data: " + data + "\nlease: 2h\n", ":2:8: `lease: 2h` is out of range\n"},
      {"queen", "data: here\n", ":1:7: `data: here` is not an absolute path\n"},
      {"queen", "data: " + data + "\nlog:\n  level: loud\n", ":3:10: `level: loud` is not known\n"},
      {"drone", "data: " + data + "\nqueen: ci.example.com:7874\n",
       ":2:8: `queen: ci.example.com:7874` is no queen on"},
      {"drone", "slots: 0\n", ":1:8: `slots: 0` is out of range\n"},
      {"drone", "labels: {a b: c}\n", ":1:10: `a b: c` is no label\n"},
      {"drone", "env: {1A: c}\n", ":1:7: `1A: c` is no variable\n"},
      {"drone", "name: two words\n", ":1:7: `name: two words` is no name for a drone\n"},
      {"drone", "speed: fast\n", ":1:8: `speed: fast` is not a number\n"},
      {"drone", "name: a\nname: b\n", ":2:1: key `name` appears twice (first at line 1)\n"},
      {"drone", "labels: [a, b]\n", ":1:1: `labels` must be a mapping\n"},
  };
  for (const Case& bad : cases) {
    const std::string file = Etc(bad.program) + "/" + bad.program + ".yaml";
    WriteText(file, bad.text);
    const Outcome outcome = RunService(bad.program);
    EXPECT_EQ(outcome.code, 78) << bad.text << outcome;
    EXPECT_THAT(outcome.err, StartsWith("error: " + file + bad.error)) << bad.text;
    EXPECT_THAT(outcome.err, HasSubstr("\n  the " + bad.program + " was not started [WG60")) << bad.text;
  }
  EXPECT_FALSE(Exists(data));
}

TEST_F(Config, AFileThatCannotBeReadStopsTheDaemon) {
  auto queen = [this](const std::string& file) {
    return Start({Binary("queen"), "serve", "--config", file, "--data", temp_ / "d/x"}).Finish();
  };
  const Outcome missing = queen(temp_ / "none.yaml");
  EXPECT_EQ(missing.code, 78) << missing;
  EXPECT_THAT(missing.err, StartsWith("error: cannot read the configuration file " + temp_ / "none.yaml" +
                                      ": No such file"));
  const Outcome directory = queen(temp_ / "w");
  EXPECT_EQ(directory.code, 78) << directory;
  EXPECT_THAT(directory.err,
              StartsWith("error: " + temp_ / "w" + " is a directory; a configuration file is expected\n"));
  WriteText(temp_ / "w/large.yaml", std::string(1024 * 1024 + 1, '#'));
  EXPECT_EQ(queen(temp_ / "w/large.yaml").code, 78);
  WriteText(temp_ / "w/closed.yaml", "");
  ::chmod((temp_ / "w/closed.yaml").c_str(), 0);
  ::chmod(temp_.path().c_str(), 0755);
  if (::geteuid() == 0) {  // root reads everything; nobody does not
    const Outcome closed =
        Start({"/bin/sh", "-c", "cp " + Binary("queen") + " \"$0\" && true", temp_ / "queen"}).Finish();
    ASSERT_EQ(closed.code, 0) << closed;
    const Outcome nobody =
        Start({temp_ / "queen", "config", "show", "--config", temp_ / "w/closed.yaml"}, "/", /*nobody=*/true)
            .Finish();
    EXPECT_EQ(nobody.code, 78) << nobody;
    EXPECT_THAT(nobody.err, HasSubstr("may not read the configuration file " + temp_ / "w/closed.yaml"));
  } else {
    EXPECT_EQ(queen(temp_ / "w/closed.yaml").code, 78);
  }
}

TEST_F(Config, BadVariablesStopTheDaemonAndAreNamed) {
  env_["WAGGLE_DRONE_SLOTS"] = "many";
  const Outcome slots = Run({"drone", "serve", "--queen", QueenData(), "--data", temp_ / "d/x"});
  EXPECT_EQ(slots.code, 78) << slots;
  EXPECT_EQ(slots.err,
            "error: environment variable WAGGLE_DRONE_SLOTS: `many` is not a whole number\n"
            "  write 1 to 1024, or auto\n  the drone was not started [WG600]\n");
  env_["WAGGLE_QUEEN_LEESE"] = "3s";
  const Outcome unknown = Run({"queen", "serve", "--data", temp_ / "d/x"});
  EXPECT_EQ(unknown.code, 78) << unknown;
  EXPECT_THAT(
      unknown.err,
      HasSubstr("`WAGGLE_QUEEN_LEESE` is no setting of the queen\n  did you mean WAGGLE_QUEEN_LEASE?\n"));
}

}  // namespace
}  // namespace waggle::test
