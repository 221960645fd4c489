// The plugins of the tree with the tools they are for, led by the real shim; and the example of
// plugins/README.md as it stands there.
#include <sys/stat.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "common/process/spawn.h"
#include "drone/attempt/plugin_frame.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/drone/shim/shim_process.h"
#include "tests/support/temp_dir.h"

namespace waggle::plugins {
namespace {

using namespace std::chrono_literals;
using journal::Kind;
using shim::Script;
using shim::ShimProcess;
using shim::Start;
using test::WriteText;
using ::testing::Contains;
using ::testing::HasSubstr;

constexpr int kPrepare = 1, kTest = 2, kCleanup = 4;
constexpr char kPath[] = "/usr/local/bin:/usr/bin:/bin";

class Shipped : public ::testing::Test {
 protected:
  Shipped() : start_(shim_.NewStart()), job_(start_.job_directory) {
    start_.wall = start_.silence = 100s;
    start_.env["CI_WORKSPACE"] = job_;
    start_.env["HOME"] = shim_.dir() + "/home";
    spec_.name = "job";
    facts_.job = JobId(1);
  }

  // Skips the test, and says so where nobody overlooks it.
  bool Missing(std::initializer_list<const char*> tools) {
    for (const char* tool : tools) {
      if (process::FindProgram(tool, kPath)) continue;
      std::fprintf(stderr, "### SKIPPED: %s is not installed: its plugin is not tested here\n", tool);
      return true;
    }
    return false;
  }

  void Use(const std::string& name, const std::string& config = "{}") {
    spec_.plugins.push_back({name, config});
  }

  // True: it passed.
  bool Run(const std::string& directory = WAGGLE_PLUGINS) {
    auto made = attempt::MakePlugins(spec_, facts_, Catalog::Scan({directory}, kPath));
    EXPECT_TRUE(made.ok()) << made.status();
    if (!made.ok()) return false;
    EXPECT_EQ(made->fault, "");
    start_.plugins = *std::move(made);
    shim_.Connect();
    shim_.Send(start_);
    EXPECT_TRUE(shim_.AwaitStatus([](const shim::Status& s) {
      return s.state == shim::AttemptState::kFinished;
    }) || shim_.AwaitStatus([](const shim::Status& s) { return s.state == shim::AttemptState::kFinished; }));
    EXPECT_EQ(shim_.AwaitExit(), 0) << shim_.ShimLog();
    const auto final = shim_.Final();
    if (!final) return false;
    if (final->test_code != 0 || final->reason != Reason::kNone) {
      std::fprintf(stderr, "%s\n%s\n%s\n", final->detail.c_str(), shim_.Out().c_str(), shim_.Err().c_str());
    }
    return final->test_code == 0 && final->reason == Reason::kNone;
  }

  // The names of the commands that ran, with their plugin.
  std::vector<std::string> Commands() {
    std::vector<std::string> out;
    for (const std::string& text : shim_.Texts(Kind::kCommandStart)) {
      const auto start = journal::DecodeCommandStart(text).value();
      out.push_back(absl::StrCat(start.plugin, ":", start.name));
    }
    return out;
  }

  ShimProcess shim_;
  Start start_;
  const std::string job_;
  pipeline::JobSpec spec_;
  attempt::Facts facts_;
};

TEST(Shipping, AllManifestsAreRight) {
  const Catalog catalog = Catalog::Scan({WAGGLE_PLUGINS}, kPath);
  std::vector<std::string> names;
  for (const Catalog::Entry& entry : catalog.entries()) {
    names.push_back(entry.name);
    EXPECT_NE(entry.manifest.name, "") << entry.trouble;
  }
  EXPECT_THAT(names, ::testing::ElementsAre("ccache", "cmake", "env", "git", "node", "python", "shell"));
}

TEST_F(Shipped, ShellRunsAScriptPerPhase) {
  Use("shell", R"({"environment":"echo in $WAGGLE_PHASE","test":"echo in $WAGGLE_PHASE\necho 'it''s'",
                   "cleanup":"echo in $WAGGLE_PHASE"})");
  EXPECT_TRUE(Run());
  EXPECT_EQ(shim_.Out(), "in environment\nin test\nits\nin cleanup\n");
}

TEST_F(Shipped, EnvSetsVariables) {
  Use("env", R"j({"vars":{"A":"1 \"two\" $x","B":"back\\slash é"},"path":["tools"],"file":"ci.env"})j");
  WriteText(job_ + "/ci.env", "# comment\n\nC=from file = yes\nD=last");
  WriteText(job_ + "/tools/hello", "#!/bin/sh\necho tool\n");
  ::chmod((job_ + "/tools/hello").c_str(), 0755);
  start_.phases[kTest] = {Script("hello; printf '%s\\n' \"$A\" \"$B\" \"$C\" \"$D\"")};
  EXPECT_TRUE(Run());
  EXPECT_EQ(shim_.Out(), "tool\n1 \"two\" $x\nback\\slash é\nfrom file = yes\nlast\n");
}

TEST_F(Shipped, EnvSaysWhichLineIsWrong) {
  Use("env", R"({"file":"ci.env"})");
  WriteText(job_ + "/ci.env", "oops\n");
  start_.phases[kTest] = {Script("echo never")};
  EXPECT_FALSE(Run());
  EXPECT_EQ(shim_.Final()->detail, "the plugin env failed in the prepare phase: it ended with code 1");
  EXPECT_EQ(shim_.Err(), "no NAME=VALUE line: oops\n");
}

TEST_F(Shipped, GitKnowsItsUserAndSubmodules) {
  if (Missing({"git"})) GTEST_SKIP();
  const std::string setup = absl::StrCat(
      "set -e; cd ", shim_.dir(),
      "; export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a "
      "GIT_COMMITTER_EMAIL=a@b; git init -q sub; echo inside >sub/file; git -C sub add file; git -C sub "
      "commit -qm s; "
      "git init -q job; cd job; git -c protocol.file.allow=always submodule --quiet add ../sub sub; "
      "git commit -qm j; git submodule --quiet deinit -f sub; rm -rf .git/modules; "
      "chown -R 12345 . 2>/dev/null || true");
  process::SpawnOptions options;
  options.argv = {"sh", "-c", setup};
  const auto made = process::RunCaptured(options, "", 20s, 10'000);
  ASSERT_TRUE(made.ok() && made->exit_code == 0) << (made.ok() ? made->err : made.status().ToString());
  start_.env["GIT_CONFIG_COUNT"] = "1";
  start_.env["GIT_CONFIG_KEY_0"] = "protocol.file.allow";
  start_.env["GIT_CONFIG_VALUE_0"] = "always";
  Use("git", R"({"user_name":"Bee Keeper","user_email":"bee@example.org","submodules":true})");
  start_.phases[kTest] = {
      Script("cat sub/file; echo x >new; git add new; git commit -qm new; git log -1 --format='%an <%ae>'")};
  EXPECT_TRUE(Run());
  EXPECT_EQ(shim_.Out().substr(shim_.Out().find("inside")), "inside\nBee Keeper <bee@example.org>\n");
  EXPECT_THAT(Commands(), Contains("git:submodules"));
}

void WriteCMakeProject(const std::string& at) {
  WriteText(at + "/CMakeLists.txt",
            "cmake_minimum_required(VERSION 3.10)\nproject(tiny C)\nenable_testing()\n"
            "add_executable(tiny tiny.c)\nadd_test(NAME answer COMMAND tiny ${ANSWER})\n");
  WriteText(at + "/tiny.c", "int main(int n, char** v) { return n == 2 && v[1][0] == '4' ? 0 : 1; }\n");
}

TEST_F(Shipped, CMakeConfiguresBuildsAndTests) {
  if (Missing({"cmake", "ctest", "cc"})) GTEST_SKIP();
  WriteCMakeProject(job_);
  Use("cmake", R"({"args":["-DANSWER=42","-DCMAKE_BUILD_TYPE=Debug"],"jobs":1})");
  EXPECT_TRUE(Run());
  EXPECT_THAT(Commands(), ::testing::ElementsAre("cmake:configure", "cmake:build", "cmake:ctest"));
  EXPECT_THAT(shim_.Out(), HasSubstr("100% tests passed, 0 tests failed out of 1"));
}

TEST_F(Shipped, CMakeFailsWithTheTests) {
  if (Missing({"cmake", "ctest", "cc"})) GTEST_SKIP();
  WriteCMakeProject(job_ + "/src");
  Use("cmake", R"({"source":"src","args":["-DANSWER=7"]})");
  EXPECT_FALSE(Run());
  EXPECT_EQ(shim_.Final()->failed_step, "test/ctest");
}

TEST_F(Shipped, NodeRunsNpmTest) {
  if (Missing({"node", "npm"})) GTEST_SKIP();
  WriteText(job_ + "/package.json",
            R"({"name":"tiny","version":"1.0.0","scripts":{"test":"node check.js && local-tool"}})");
  WriteText(job_ + "/package-lock.json",
            R"({"name":"tiny","version":"1.0.0","lockfileVersion":2,"requires":true,
                "packages":{"":{"name":"tiny","version":"1.0.0"}}})");
  WriteText(job_ + "/check.js", "console.log('node says', 6 * 7);\n");
  Use("node", R"({"offline":true,"install":"none"})");
  start_.phases[kPrepare] = {
      Script("mkdir -p node_modules/.bin; printf '#!/bin/sh\\necho local\\n' "
             ">node_modules/.bin/local-tool; chmod +x node_modules/.bin/local-tool; local-tool")};
  EXPECT_TRUE(Run());
  EXPECT_THAT(shim_.Out(), HasSubstr("node says 42\nlocal\n"));
  EXPECT_THAT(Commands(), ::testing::ElementsAre(":", "node:npm run test"));
}

TEST_F(Shipped, NodeInstallsFromTheLockFile) {
  if (Missing({"node", "npm"})) GTEST_SKIP();
  WriteText(job_ + "/app/package.json",
            R"({"name":"tiny","version":"1.0.0","scripts":{"check":"echo checked"}})");
  WriteText(job_ + "/app/package-lock.json",
            R"({"name":"tiny","version":"1.0.0","lockfileVersion":2,"requires":true,
                "packages":{"":{"name":"tiny","version":"1.0.0"}}})");
  Use("node", R"({"offline":true,"directory":"app","script":"check"})");
  EXPECT_TRUE(Run());
  EXPECT_THAT(Commands(), ::testing::ElementsAre("node:npm ci", "node:npm run check"));
  EXPECT_THAT(shim_.Out(), HasSubstr("checked\n"));
}

TEST_F(Shipped, PythonRunsItsTests) {
  if (Missing({"python3"})) GTEST_SKIP();
  WriteText(job_ + "/test_tiny.py",
            "import unittest\n\nclass Tiny(unittest.TestCase):\n    def test_answer(self):\n"
            "        self.assertEqual(6 * 7, 42)\n");
  Use("python", R"({"runner":"unittest","args":["-v"]})");
  EXPECT_TRUE(Run());
  EXPECT_THAT(shim_.Err(), HasSubstr("Ran 1 test"));
  EXPECT_THAT(Commands(), ::testing::ElementsAre("python:unittest"));
}

TEST_F(Shipped, PythonTakesPytestIfItIsThere) {
  if (Missing({"python3"})) GTEST_SKIP();
  WriteText(job_ + "/test_tiny.py", "def test_answer():\n    assert 6 * 7 == 41\n");
  Use("python");
  const bool passed = Run();
  const std::vector<std::string> commands = Commands();
  ASSERT_EQ(commands.size(), 1u);
  if (commands[0] == "python:pytest") {
    EXPECT_FALSE(passed);
    EXPECT_EQ(shim_.Final()->failed_step, "test/pytest");
  } else {
    std::fprintf(stderr, "### SKIPPED: pytest is not installed\n");
    EXPECT_EQ(commands[0], "python:unittest");
  }
}

TEST_F(Shipped, CcacheSavesCompilations) {
  if (Missing({"ccache", "cc"})) GTEST_SKIP();
  WriteText(job_ + "/a.c", "int a(void) { return 1; }\n");
  Use("ccache", absl::StrCat(R"({"size":"100M","dir":")", shim_.dir(), R"(/cache"})"));
  start_.phases[kTest] = {
      Script("ccache cc -c a.c -o one.o; ccache cc -c a.c -o two.o; ccache cc -c a.c -o one.o")};
  start_.phases[kCleanup] = {Script("test -d \"$CCACHE_DIR\"")};
  EXPECT_TRUE(Run());
  EXPECT_THAT(shim_.Texts(Kind::kComment), Contains("ccache: 2 of 3 compilations were in the cache"));
  EXPECT_THAT(shim_.Texts(Kind::kPlugin),
              Contains(HasSubstr(R"("path":"hits","plugin":"ccache","value":2)")));
}

TEST_F(Shipped, CcacheStandsInForTheCompilerOfCMake) {
  if (Missing({"ccache", "cmake", "cc"})) GTEST_SKIP();
  WriteCMakeProject(job_);
  Use("ccache", absl::StrCat(R"({"dir":")", shim_.dir(), R"(/cache"})"));
  Use("cmake", R"({"args":["-DANSWER=4"]})");
  start_.phases[kTest] = {Script("rm -rf build; cmake -S . -B build >&2; cmake --build build >&2")};
  EXPECT_TRUE(Run());
  EXPECT_THAT(shim_.Texts(Kind::kPlugin), Contains(HasSubstr(R"("path":"hits","plugin":"ccache")")));
  EXPECT_THAT(shim_.Texts(Kind::kPlugin),
              ::testing::Not(Contains(HasSubstr(R"("path":"hits","plugin":"ccache","value":0)"))));
}

// The first block of the page in this language.
std::string Block(const std::string& page, const std::string& language) {
  const std::string fence = absl::StrCat("\n```", language, "\n");
  const std::size_t begin = page.find(fence);
  if (begin == std::string::npos) return "";
  const std::size_t from = begin + fence.size();
  return page.substr(from, page.find("\n```", from) + 1 - from);
}

TEST_F(Shipped, TheExampleOfThePageRunsAsWritten) {
  const std::string page = test::ReadText(absl::StrCat(WAGGLE_PLUGINS, "/README.md"));
  const std::string manifest = Block(page, "yaml"), program = Block(page, "sh");
  ASSERT_NE(manifest, "");
  ASSERT_LE(std::count(program.begin(), program.end(), '\n'), 10);
  const std::string at = shim_.dir() + "/mine/greet";
  WriteText(at + "/plugin.yaml", manifest);
  WriteText(at + "/plugin", program);
  ::chmod((at + "/plugin").c_str(), 0755);
  Use("greet", R"({"whom":"world"})");
  EXPECT_TRUE(Run(shim_.dir() + "/mine"));
  EXPECT_EQ(shim_.Out(), "hello world\n");
  EXPECT_THAT(Commands(), ::testing::ElementsAre("greet:greet"));
}

}  // namespace
}  // namespace waggle::plugins
