// Plugins as people meet them: where a job runs, why it waits, what its log and its end say.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/support/hive_fixture.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;

class Plugins : public HiveFixture {
 protected:
  void SetUp() override { StartQueen(); }

  // In DATA/plugins of a drone that is started later.
  void Install(const std::string& drone, const std::string& name, const std::string& version,
               const std::string& script, const std::string& more = "") {
    const std::string at = DroneData(drone) + "/plugins/" + name;
    WriteText(at + "/plugin.yaml", "name: " + name + "\nversion: " + version + "\nphases: [test]\n" + more);
    WriteText(at + "/plugin",
              "#!/bin/sh\nset -eu\nsay() { printf '%s\\n' \"$1\" >&3; }\nsay '{\"hello\":1}'\n" + script);
    ::chmod((at + "/plugin").c_str(), 0755);
  }

  Json With(const std::string& plugin, const Json& config = Json::object(), const std::string& version = "") {
    Json job = TestJob({"echo on $WAGGLE_DRONE with ${WORD-nothing}"});
    job["plugins"] = Json::array({{{"name", plugin}, {"config", config}, {"version", version}}});
    return job;
  }
};

TEST_F(Plugins, RunsWhereTheyAre) {
  Install("bee", "word", "2.1.0",
          "echo printed; say '{\"env\":{\"WORD\":\"honey\"}}'; say '{\"comment\":\"hi\"}'\n"
          "say '{\"data\":{\"method\":\"push\",\"path\":\"a.b\",\"value\":1}}'\n"
          "say '{\"command\":{\"name\":\"asked\",\"run\":\"echo asked\"}}'\n");
  StartDrone("fly", 1, {"--speed", "9"});  // would win by its speed
  StartDrone("bee");
  const std::uint64_t job = Submit(With("word", Json::object(), "2"));
  EXPECT_EQ(WaitForState(job, "passed")["drone"], "bee");
  EXPECT_EQ(Raw(job), "printed\nasked\non bee with honey\n");
  EXPECT_THAT(Waggle({"logs", std::to_string(job)}).out, HasSubstr("word: hi"));
  EXPECT_THAT(Waggle({"logs", "-o", "json", std::to_string(job)}).out,
              HasSubstr(R"({\"method\":\"push\",\"path\":\"a.b\",\"plugin\":\"word\",\"value\":1})"));
  ExpectVerified(job);
}

TEST_F(Plugins, WaitsAndSaysForWhat) {
  Install("bee", "word", "1.0.0", "");
  StartDrone("bee");
  const std::uint64_t newer = Submit(With("word", Json::object(), "2"));
  EXPECT_THAT(std::string(Show(newer)["detail"]),
              HasSubstr("no drone has plugin word@2 (1 connected; bee has version 1.0.0)"));
  const std::uint64_t gone = Submit(With("gone"));
  EXPECT_THAT(std::string(Show(gone)["detail"]), HasSubstr("no drone has plugin gone"));
  EXPECT_EQ(StateOf(gone), "queued");
  // Only `enabled: false` turns it off.
  const std::uint64_t disabled = Submit(With("gone", {{"enabled", false}}));
  WaitForState(disabled, "passed");
  EXPECT_EQ(Raw(disabled), "on bee with nothing\n");
  // It starts by itself where the plugin comes.
  Install("ant", "gone", "1.0.0", "");
  StartDrone("ant");
  EXPECT_EQ(WaitForState(gone, "passed")["drone"], "ant");
}

TEST_F(Plugins, WhatGoesWrongIsNamed) {
  Install("bee", "word", "1.0.0", "echo why >&2; exit 3\n", "config:\n  size: {type: integer}\n");
  Install("bee", "slow", "1.0.0", "sleep 100\n");
  Install("bee", "needy", "1.0.0", "", "needs: [no-such-program]\n");
  StartDrone("bee", 1, {"--plugins-limit", "1s"});
  auto detail = [&](const Json& document) {
    const std::uint64_t job = Submit(document);
    const Json facts = WaitForState(job, "errored");
    return std::string(facts["reason"]) + ": " + std::string(facts["detail"]);
  };
  EXPECT_EQ(detail(With("word")), "plugin: the plugin word failed in the test phase: it ended with code 3");
  EXPECT_EQ(detail(With("slow")),
            "plugin: the plugin slow failed in the test phase: it did not end within its limit of 1 s");
  EXPECT_EQ(detail(With("word", {{"siez", 1}})),
            "bad_config: plugin word: config.siez is not known; did you mean `size`?");
  // Missing on the host although the drone has offered it.
  std::filesystem::remove_all(DroneData("bee") + "/plugins/slow");
  EXPECT_THAT(detail(With("slow")),
              HasSubstr("plugin: the plugin slow failed in the test phase: its program"));
  const std::uint64_t waits = Submit(With("needy"));
  EXPECT_THAT(std::string(Show(waits)["detail"]), HasSubstr("no drone has plugin needy"));
  const Outcome listed = Start({Binary("drone"), "plugins", "--data", DroneData("bee")}).Finish();
  EXPECT_THAT(listed.out, HasSubstr("needy   1.0.0  not offered: it needs `no-such-program`"));
  EXPECT_THAT(listed.out, HasSubstr("\nword    1.0.0"));
  EXPECT_THAT(listed.out,
              HasSubstr("\ncmake   1.0.0  Configures, builds and tests a CMake project (prepare, test)"));
  // The drone is unharmed.
  WaitForState(Submit(TestJob({"true"})), "passed");
}

}  // namespace
}  // namespace waggle::test
