#include "common/config/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/config/table.h"

namespace waggle::config {
namespace {

using testing::HasSubstr;

struct Result {
  int code;
  std::string out, err;
  bool served;
};

Result RunBee(std::vector<std::string> args) {
  args.insert(args.begin(), "bee");
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  ::setenv("CONFIGURATION_DIRECTORY", "/nonexistent/bee", 1);
  bool served = false;
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = RunDaemon(kTestProgram, {"What it is.", "Run it", "bee 1.2", "bee serve --data /x"},
                             static_cast<int>(argv.size()), argv.data(), [&](const Settings& settings) {
                               served = true;
                               return static_cast<int>(settings.GetDuration("lease").count() / 1000);
                             });
  std::string err = testing::internal::GetCapturedStderr();
  return {code, testing::internal::GetCapturedStdout(), err, served};
}

TEST(CommandLine, ServeGetsTheSettings) {
  const Result result =
      RunBee({"serve", "--data", "/x", "--lease", "7s", "--label", "a=1", "--label", "b=2"});
  EXPECT_EQ(result.code, 7) << result.err;
  EXPECT_TRUE(result.served);
  EXPECT_EQ(RunBee({"serve", "--data=/x"}).code, 30);
}

TEST(CommandLine, EveryWrongLineIsOneClearError) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{}, "bee needs a command: serve, config\n  next: bee --help\n"},
      {{"srve"}, "there is no command `bee srve`\n  did you mean `bee serve`?\n  next: bee --help\n"},
      {{"fly", "--data", "/x"}, "there is no command `bee fly`\n  next: bee --help\n"},
      {{"config"}, "bee config needs a command: show, keys\n  next: bee config --help\n"},
      {{"config", "shw"},
       "there is no command `bee config shw`\n  did you mean `bee config show`?\n  next: bee config "
       "--help\n"},
      {{"serve", "--dta", "/x"},
       "bee serve has no flag `--dta`\n  did you mean `--data`?\n  next: bee serve --help\n"},
      {{"serve", "--leese=3s"},
       "bee serve has no flag `--leese`\n  did you mean `--lease`?\n  next: bee serve --help\n"},
      {{"serve", "-x"}, "bee serve has no flag `-x`\n  next: bee serve --help\n"},
      {{"--data", "/x", "serve"},
       "bee serve has no flag `--data` at this place\n"
       "  write it behind the command it belongs to\n  next: bee serve --help\n"},
      {{"serve", "--data"}, "--data needs a value\n  next: bee serve --help\n"},
      {{"serve", "--label"}, "--label needs a value\n  next: bee serve --help\n"},
      {{"serve", "--data", "/x", "--data", "/y"},
       "--data is given more than once\n  next: bee serve --help\n"},
      {{"serve", "--data", "/x", "extra"},
       "bee serve does not take `extra`: it is one word too many\n  next: bee serve --help\n"},
      {{"config", "keys", "--data", "x"},
       "bee config keys has no flag `--data`\n  next: bee config keys --help\n"},
      {{"serve"},
       "`data` is not set: Where things are\n"
       "  next: bee serve --data DIR, or BEE_DATA, or `data:` in /etc/bee/bee.yaml\n"},
      {{"serve", "--data", "/x", "--slots", "0"},
       "--slots `0` is out of range\n  write 1 to 1024, or auto\n"},
      {{"serve", "--data", ""}, "--data `` is empty\n  write a path\n"},
      {{"config", "show", "--slots", "0"}, "--slots `0` is out of range\n  write 1 to 1024, or auto\n"},
  };
  for (const auto& [args, error] : cases) {
    const Result result = RunBee(args);
    EXPECT_EQ(result.code, 2) << testing::PrintToString(args);
    EXPECT_EQ(result.err, "error: " + error) << testing::PrintToString(args);
    EXPECT_EQ(result.out, "");
    EXPECT_FALSE(result.served);
  }
}

TEST(CommandLine, ABadFileIsNoUsageError) {
  TestSources s;
  s.File("leese: 3s\n");
  const Result serve = RunBee({"serve", "--config", s.sources.file});
  EXPECT_EQ(serve.code, 78);
  EXPECT_FALSE(serve.served);
  EXPECT_EQ(serve.err, "error: " + s.sources.file +
                           ":1:1: unknown key `leese`\n  1 | leese: 3s\n    | ^^^^^ did you mean `lease`?\n"
                           "  the bee was not started [WG601]\n");
  const Result show = RunBee({"config", "show", "--config", s.sources.file});
  EXPECT_EQ(show.code, 78);
  EXPECT_THAT(show.err, HasSubstr("did you mean `lease`? [WG601]\n")) << "nothing was to be started";
}

TEST(CommandLine, ShowKeysHelpAndVersion) {
  EXPECT_THAT(RunBee({"config", "show", "--origin", "--lease", "3s"}).out,
              HasSubstr("lease: 3s      # --lease\n"));
  EXPECT_THAT(RunBee({"config", "show"}).out, testing::Not(HasSubstr("built-in")));
  EXPECT_THAT(RunBee({"config", "keys"}).out, HasSubstr("BEE_LOG_MAX_SIZE"));
  EXPECT_EQ(RunBee({"--version"}).out, "bee 1.2\n");
  const Result help = RunBee({"serve", "--help"});
  EXPECT_EQ(help.code, 0);
  for (const Key& key : kTestKeys) {
    EXPECT_THAT(help.out, HasSubstr(FlagOf(key) + " " + std::string(key.placeholder)));
    EXPECT_THAT(help.out, HasSubstr("[" + VariableOf(kTestProgram, key) + "]"));
  }
}

}  // namespace
}  // namespace waggle::config
