#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shim_process.h"
#include "tests/support/temp_dir.h"

// Attempts with plugins that are small scripts, led by the real program.
namespace waggle::shim {
namespace {

using namespace std::chrono_literals;
using journal::Kind;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr int kEnvironment = 0, kPrepare = 1, kTest = 2, kDeploy = 3, kCleanup = 4;

std::uint8_t In(std::initializer_list<int> phases) {
  std::uint8_t bits = 0;
  for (int phase : phases) bits |= static_cast<std::uint8_t>(1 << phase);
  return bits;
}

class PluginTest : public ::testing::Test {
 protected:
  PluginTest() : start_(shim_.NewStart()) {
    start_.plugins.limit = 10s;
    start_.plugins.job = R"({"id":1})";
  }

  // `script` runs after the greeting was answered, with `say LINE` at hand.
  PluginUse& Add(const std::string& name, std::uint8_t phases, const std::string& script, bool hello = true) {
    const std::string path = absl::StrCat(shim_.dir(), "/plugins/", name, "/plugin");
    test::WriteText(path, absl::StrCat("#!/bin/sh\nset -eu\nsay() { printf '%s\\n' \"$1\" >&3; }\n",
                                       hello ? "say '{\"hello\":1}'\n" : "", script, "\n"));
    ::chmod(path.c_str(), 0755);
    start_.plugins.uses.push_back({.name = name, .program = path, .config = "{}", .phases = phases});
    return start_.plugins.uses.back();
  }

  void Run() { ASSERT_EQ(shim_.RunToEnd(start_), 0) << shim_.ShimLog(); }

  journal::Final End() {
    auto final = shim_.Final();
    EXPECT_TRUE(final.has_value());
    return final.value_or(journal::Final());
  }

  // The only plugin breaks: the attempt is errored, its steps do not run, cleanup does.
  void ExpectBroken(const std::string& why) {
    start_.phases[kTest] = {Script("echo never")};
    start_.phases[kCleanup] = {Script("echo cleaned")};
    Run();
    EXPECT_EQ(End().reason, Reason::kPlugin);
    EXPECT_THAT(End().detail, HasSubstr(why));
    EXPECT_EQ(End().test_code, -1);
    EXPECT_EQ(End().processes_left, 0u);
    EXPECT_EQ(shim_.Out(), "cleaned\n");
    EXPECT_THAT(shim_.Texts(Kind::kStatus), Contains(End().detail));
    EXPECT_TRUE(NoneMarked(shim_.dir()));
  }

  std::vector<journal::CommandStart> Starts() {
    std::vector<journal::CommandStart> out;
    for (const std::string& text : shim_.Texts(Kind::kCommandStart))
      out.push_back(journal::DecodeCommandStart(text).value());
    return out;
  }

  ShimProcess shim_;
  Start start_;
};

TEST_F(PluginTest, EveryMessage) {
  Add("p", In({kTest}), R"(
say '{"env":{"A":"1"}}'
say '{"comment":"a word"}'
say '{"warning":{"title":"t","description":"d","severity":"major"}}'
say '{"data":{"method":"push","path":"x.y","value":[1]}}'
say '{"data":{"method":"merge","path":"x","value":1}}'
say '{"command":{"name":"one","run":"echo $A$B $PWD","env":{"B":"2"},"cwd":"sub"}}'
say '{"command":{"argv":["echo","a b"],"screen":"shown"}}'
say '{"command":{"argv":["true"],"silent":true}}'
say '{"done":true}')");
  start_.phases[kPrepare] = {Script("mkdir sub")};
  start_.phases[kTest] = {Script("echo own $A")};
  Run();
  EXPECT_THAT(
      shim_.Transcript(),
      ElementsAre("comment drone test", "phase prepare", "start 0", "end 0 0",
                  "phase prepare end 0 next=test", "phase test", "comment p: a word", "warning t", "?",
                  HasSubstr("comment p: data was ignored: the method `merge` is not known"),  //
                  "start 1", "out 1", "end 1 0", "start 2", "out 2", "end 2 0", "start 3",
                  "comment output withheld: 0 bytes", "end 3 0", "start 4", "out 4", "end 4 0",
                  "phase test end 0 next=", "final"));
  EXPECT_EQ(shim_.Out(), absl::StrCat("12 ", shim_.dir(), "/job/sub\na b\nown 1\n"));
  const auto starts = Starts();
  EXPECT_EQ(starts[1].plugin + "|" + starts[1].name, "p|one");
  EXPECT_EQ(starts[2].display, "shown");
  EXPECT_EQ(starts[3].display, "true");
  EXPECT_EQ(starts[4].plugin, "");
  const auto warning = journal::DecodeWarning(shim_.Texts(Kind::kWarning).at(0)).value();
  EXPECT_EQ(warning.plugin, "p");
  EXPECT_TRUE(warning.major);
  EXPECT_EQ(journal::DecodePluginEvent(shim_.Texts(Kind::kPlugin).at(0))->json,
            R"({"method":"push","path":"x.y","plugin":"p","value":[1]})");
  EXPECT_EQ(End().test_code, 0);
}

// A record holds 64 KiB: what is longer is shown in part and still whole where it counts.
TEST_F(PluginTest, LongTexts) {
  Add("p", In({kTest}), R"(x=$(head -c 100000 /dev/zero | tr '\0' x)
say "{\"warning\":{\"title\":\"$x\",\"description\":\"$x\"}}"
say "{\"command\":{\"name\":\"$x\",\"run\":\"a=$x; echo \${#a}\"}}"
say "{\"command\":{\"argv\":[\"echo\",\"$x\"]}}"
say "{\"data\":{\"method\":\"replace\",\"path\":\"a\",\"value\":\"$x\"}}")");
  Run();
  EXPECT_EQ(End().test_code, 0);
  EXPECT_EQ(shim_.Output(Kind::kStdout, 0), "100000\n");
  EXPECT_EQ(shim_.Output(Kind::kStdout, 1).size(), 100'001u);
  for (const journal::CommandStart& start : Starts()) {
    EXPECT_THAT(start.display.size(), ::testing::AllOf(::testing::Gt(30'000u), ::testing::Lt(40'000u)));
  }
  EXPECT_EQ(journal::DecodeWarning(shim_.Texts(Kind::kWarning).at(0))->description.size(), 32'768u + 3);
  EXPECT_THAT(shim_.Texts(Kind::kComment),
              Contains("p: data was ignored: more than 65536 bytes in one value"));
}

TEST_F(PluginTest, IsToldWhatItNeeds) {
  start_.env["JOB_VAR"] = "x\"y";
  PluginUse& p = Add("p", In({kTest}), R"(
IFS= read -r greeting <&3
printf '%s\n' "$greeting"
echo "$1 $WAGGLE_PLUGIN $WAGGLE_PLUGIN_FD $PLUGIN_SIZE $WAGGLE_PHASE $(pwd) $JOB_VAR" >&2
say '{"done":true}')");
  p.config = R"({"size":"5G"})";
  p.variables = {{"PLUGIN_SIZE", "5G"}};
  start_.phases[kTest] = {Script("echo ${PLUGIN_SIZE-unset} ${WAGGLE_PLUGIN_FD-unset} >&2")};
  Run();
  EXPECT_EQ(shim_.Err(), absl::StrCat("test p 3 5G test ", shim_.dir(), "/job x\"y\nunset unset\n"));
  const nlohmann::json greeting = nlohmann::json::parse(shim_.Out());
  EXPECT_EQ(greeting["waggle"], 1);
  EXPECT_EQ(greeting["plugin"], "p");
  EXPECT_EQ(greeting["phase"], "test");
  EXPECT_EQ(greeting["config"]["size"], "5G");
  EXPECT_EQ(greeting["job"]["id"], 1);
  EXPECT_EQ(greeting["env"]["JOB_VAR"], "x\"y");
  EXPECT_EQ(greeting["data"], nlohmann::json::object());
}

TEST_F(PluginTest, DataIsReadBackByLaterPlugins) {
  Add("a", In({kPrepare}), R"(
say '{"data":{"method":"replace","path":"x.y","value":1}}'
say '{"data":{"method":"push","path":"l","value":"e"}}'
say '{"data":{"method":"extend","path":"x","value":{"z":2}}}'
)");
  Add("b", In({kTest}), "IFS= read -r greeting <&3; printf '%s\\n' \"$greeting\"");
  start_.phases[kTest] = {Script(":")};
  Run();
  EXPECT_EQ(nlohmann::json::parse(shim_.Out())["data"].dump(), R"({"a":{"l":["e"],"x":{"y":1,"z":2}}})");
  EXPECT_EQ(shim_.Texts(Kind::kPlugin).size(), 3u);
}

// A job's output must not be mistaken for the channel, nor must a step find it open.
TEST_F(PluginTest, OutputIsNoChannel) {
  Add("p", In({kTest}), R"(echo '{"env":{"A":"printed"}}'; say '{"done":true}')");
  start_.phases[kTest] = {Script("echo A=${A-unset}; ls /proc/self/fd | grep -cx 3 || true")};
  Run();
  EXPECT_EQ(shim_.Output(Kind::kStdout, 0), "A=unset\n1\n");  // the 3 that ls itself opened
}

TEST_F(PluginTest, EnvironmentsAreMergedBeforeTheFirstCommand) {
  Add("first", In({kEnvironment}),
      R"(say '{"env":{"X":"first","Y":"first"}}'; say '{"command":{"run":"echo first sees $X $Y $Z"}}')");
  Add("second", In({kEnvironment}), R"(echo "second sees $X"; say '{"env":{"X":"second","Z":"z"}}')");
  start_.env["X"] = "job";
  Step own = Script("echo own $X $Y");
  own.env["Y"] = "step";
  start_.phases[kTest] = {own};
  Run();
  EXPECT_EQ(shim_.Out(), "second sees first\nfirst sees second first z\nown second step\n");
}

TEST_F(PluginTest, PathsInTheOrderOfTheJobBeforePath) {
  for (const char* where : {"one", "two", "job/rel"}) {
    const std::string tool = absl::StrCat(shim_.dir(), "/", where, "/tool");
    test::WriteText(tool, absl::StrCat("#!/bin/sh\necho ", where, "\n"));
    ::chmod(tool.c_str(), 0755);
  }
  Add("a", In({kEnvironment}), absl::StrCat("say '{\"path\":[\"", shim_.dir(), "/one\"]}'"));
  Add("b", In({kEnvironment, kPrepare}),
      absl::StrCat("say '{\"path\":[\"rel\"]}'; say '{\"path\":[\"", shim_.dir(), "/two\"]}'"));
  Step own = Script("tool; echo $PATH");
  own.env["PATH"] = "/usr/bin:/bin";
  start_.phases[kTest] = {own};
  Run();
  const std::string d = shim_.dir();
  EXPECT_EQ(shim_.Out(), absl::StrCat("one\n", d, "/one:", d, "/job/rel:", d, "/two:", d, "/job/rel:", d,
                                      "/two:/usr/bin:/bin\n"));
}

TEST_F(PluginTest, AttemptKeyIsNotAPluginsToSet) {
  Add("p", In({kTest}), R"(say '{"env":{"WAGGLE_ATTEMPT_KEY":"x"}}';
say '{"command":{"run":"echo $WAGGLE_ATTEMPT_KEY","env":{"WAGGLE_ATTEMPT_KEY":"y"}}}')");
  Run();
  EXPECT_EQ(shim_.Out(), shim_.dir() + "\n");
}

TEST_F(PluginTest, OutputJoinsTheCurrentCommandInOrder) {
  Add("p", In({kPrepare, kTest}), "echo from $1");
  start_.phases[kPrepare] = {Script("echo zero")};
  start_.phases[kTest] = {Script("echo one")};
  Run();
  EXPECT_EQ(shim_.Out(), "from prepare\nzero\nfrom test\none\n");
  EXPECT_EQ(shim_.Output(Kind::kStdout, journal::kNoCommand), "from prepare\n");
  EXPECT_EQ(shim_.Output(Kind::kStdout, 0), "zero\nfrom test\n");
  EXPECT_EQ(shim_.Output(Kind::kStdout, 1), "one\n");
}

TEST_F(PluginTest, NothingToDo) {
  Add("p", In({kEnvironment, kTest}), R"(say '{"nothing":true}')");
  start_.phases[kTest] = {Script("echo ran")};
  Run();
  EXPECT_EQ(shim_.Out(), "ran\n");
  EXPECT_EQ(End().reason, Reason::kNone);
  EXPECT_THAT(shim_.Transcript(), Contains("phase environment end 0 next=test"));
}

TEST_F(PluginTest, AJobOfPluginsAlone) {
  Add("p", In({kTest}), R"(say '{"command":{"run":"echo made"}}')");
  Run();
  EXPECT_EQ(shim_.Out(), "made\n");
  EXPECT_EQ(End().test_code, 0);
  EXPECT_THAT(shim_.Texts(Kind::kWarning), IsEmpty());
}

TEST_F(PluginTest, NothingRanIsSaid) {
  Add("p", In({kTest}), R"(say '{"nothing":true}')");
  Run();
  EXPECT_THAT(shim_.Transcript(), Contains("warning nothing ran in the test phase"));
}

TEST_F(PluginTest, AskedCommandThatFailsEndsItsPhase) {
  Add("p", In({kTest}),
      R"(say '{"command":{"name":"bad","run":"exit 7"}}'; say '{"command":{"run":"echo never"}}')");
  start_.phases[kTest] = {Script("echo never")};
  start_.phases[kCleanup] = {Script("echo cleaned")};
  Run();
  EXPECT_EQ(shim_.Out(), "cleaned\n");
  EXPECT_EQ(End().reason, Reason::kNone);
  EXPECT_EQ(End().failed_code, 7);
  EXPECT_EQ(End().failed_step, "test/bad");
}

TEST_F(PluginTest, DeployPluginsWaitForTheGrant) {
  Start start = shim_.NewStart(JobType::kDeploy);
  start.plugins = start_.plugins;
  start_ = start;
  Add("p", In({kDeploy}), "echo plugin");
  shim_.Connect();
  shim_.Send(start_);
  ASSERT_TRUE(shim_.AwaitStatus([](const Status& s) { return s.wants_grant; }));
  EXPECT_EQ(shim_.Out(), "");
  shim_.Send(Grant{});
  EXPECT_EQ(shim_.AwaitExit(), 0);
  EXPECT_EQ(shim_.Out(), "plugin\n");
}

TEST_F(PluginTest, Crash) {
  Add("p", In({kTest}), "echo partial; say '{\"env\":{\"A\":\"1\"}}'; kill -SEGV $$");
  start_.phases[kCleanup] = {};
  start_.phases[kTest] = {Script("echo never")};
  Run();
  EXPECT_EQ(End().detail, "the plugin p failed in the test phase: it was killed by signal 11");
  EXPECT_EQ(shim_.Out(), "partial\n");
}

TEST_F(PluginTest, NonZeroExit) {
  Add("p", In({kTest}), "say '{\"done\":true}'; exit 3");
  ExpectBroken("the plugin p failed in the test phase: it ended with code 3");
  EXPECT_THAT(shim_.Transcript(), Contains("phase test end 3 next=cleanup"));
}

TEST_F(PluginTest, Hang) {
  Add("p", In({kTest}), "say '{\"command\":{\"run\":\"echo never\"}}'; sleep 600 & sleep 600");
  start_.plugins.limit = 300ms;
  ExpectBroken("it did not end within its limit of 0.3 s");
}

TEST_F(PluginTest, SilentHang) {
  Add("p", In({kTest}), "exec sleep 600", /*hello=*/false);
  start_.plugins.limit = 300ms;
  ExpectBroken("it did not end within its limit of 0.3 s");
}

TEST_F(PluginTest, Garbage) {
  Add("p", In({kTest}), "echo oops >&3; exec sleep 600");
  ExpectBroken("it does not keep to the protocol: line 2: `oops` is not JSON");
}

TEST_F(PluginTest, UnknownVersion) {
  Add("p", In({kTest}), "say '{\"hello\":2}'", /*hello=*/false);
  ExpectBroken("it speaks version 2 of the protocol; this drone speaks 1");
}

TEST_F(PluginTest, NoGreeting) {
  Add("p", In({kTest}), "exit 0", /*hello=*/false);
  ExpectBroken("it ended without {\"hello\":1}");
}

TEST_F(PluginTest, EndlessLine) {
  Add("p", In({kTest}), "tr '\\0' x </dev/zero >&3 2>/dev/null");
  ExpectBroken("line 2: longer than 262144 bytes");
}

TEST_F(PluginTest, TooManyLines) {
  Add("p", In({kTest}), "yes '{\"env\":{\"A\":\"1\"}}' >&3 2>/dev/null");
  ExpectBroken("line 10001: more than 10000 lines");
}

TEST_F(PluginTest, TooManyCommands) {
  Add("p", In({kTest}), "yes '{\"command\":{\"run\":\":\"}}' | head -n 1001 >&3");
  ExpectBroken("it asked for more than 1000 commands");
}

TEST_F(PluginTest, Missing) {
  PluginUse& p = Add("p", In({kTest}), "");
  p.program = "/nonexistent/plugin";
  ExpectBroken("its program /nonexistent/plugin cannot be executed");
}

TEST_F(PluginTest, MissingInterpreter) {
  PluginUse& p = Add("p", In({kTest}), "");
  test::WriteText(p.program, "#!/nonexistent/sh\n");
  ExpectBroken("command not found (it or the interpreter it names is missing)");
}

TEST_F(PluginTest, WrongConfigurationRunsNothing) {
  start_.plugins.fault = "plugin p: config.siez is not known";
  start_.phases[kTest] = {Script("echo never")};
  start_.phases[kCleanup] = {Script("echo never")};
  Run();
  EXPECT_EQ(End().reason, Reason::kBadConfig);
  EXPECT_EQ(End().detail, start_.plugins.fault);
  EXPECT_EQ(shim_.Out(), "");
}

TEST_F(PluginTest, FailureInCleanupHidesNothing) {
  Add("p", In({kCleanup}), "exit 1");
  start_.phases[kTest] = {Script("echo ran")};
  start_.phases[kCleanup] = {Script("echo cleaned")};
  Run();
  EXPECT_EQ(End().reason, Reason::kNone);
  EXPECT_EQ(End().test_code, 0);
  EXPECT_EQ(shim_.Out(), "ran\ncleaned\n");
  EXPECT_THAT(shim_.Transcript(), Contains("warning the plugin p failed"));
}

TEST_F(PluginTest, CancelEndsAPlugin) {
  Add("p", In({kTest}), "echo here; sleep 600");
  start_.phases[kTest] = {Script("echo never")};
  shim_.Connect();
  shim_.Send(start_);
  ASSERT_TRUE(shim_.AwaitOutput("here"));
  shim_.Send(Cancel{"alice", "", false});
  EXPECT_EQ(shim_.AwaitExit(), 0);
  EXPECT_EQ(End().reason, Reason::kCanceled);
  EXPECT_EQ(shim_.Out(), "here\n");
}

TEST_F(PluginTest, GreetingThatIsNotReadHoldsNothingUp) {
  PluginUse& p = Add("p", In({kTest}), R"(say '{"command":{"run":"echo ran"}}')");
  p.config = absl::StrCat("{\"a\":\"", std::string(500'000, 'x'), "\"}");
  Run();
  EXPECT_EQ(shim_.Out(), "ran\n");
}

TEST_F(PluginTest, ServiceInTheBackgroundLivesUntilTheEnd) {
  Add("p", In({kTest}),
      "sleep 600 >/dev/null 2>&1 3>&- & say \"{\\\"env\\\":{\\\"SERVICE\\\":\\\"$!\\\"}}\"");
  start_.phases[kTest] = {Script("kill -0 $SERVICE && echo alive")};
  Run();
  EXPECT_EQ(shim_.Out(), "alive\n");
  EXPECT_TRUE(NoneMarked(shim_.dir()));
}

}  // namespace
}  // namespace waggle::shim
