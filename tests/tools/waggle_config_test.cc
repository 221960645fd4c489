// The built `waggle`: its settings and their precedence, and every wrong line we could think of.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <thread>

#include "common/base/fd.h"
#include "tests/tools/driver.h"
#include "tests/tools/fake_queen.h"
#include "tools/waggle/json.h"
#include "tools/waggle/keys.h"
#include "waggle/v1/queen.pb.h"

namespace waggle::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

using Words = std::vector<std::string>;

class WaggleConfigTest : public testing::Test {
 protected:
  Exit Run(Words args, std::map<std::string, std::string> env = {}) {
    env.emplace("XDG_CONFIG_HOME", dir_.File("xdg"));
    return RunWaggle(std::move(args), std::move(env), dir_.path());
  }
  // "VALUE ORIGIN" of a key, as `config show` says.
  std::string Value(Words args, std::map<std::string, std::string> env, const std::string& key) {
    for (const char* word : {"config", "show", "-o", "json"}) args.push_back(word);
    const Exit exit = Run(args, std::move(env));
    EXPECT_EQ(exit.code, 0) << exit.err;
    const Json json = Json::parse(exit.out, nullptr, /*allow_exceptions=*/false);
    if (json.is_discarded() || !json.contains(key)) return exit.out;
    return std::string(json[key]["value"]) + " " + std::string(json[key]["origin"]);
  }
  TempDir dir_;
};

TEST_F(WaggleConfigTest, FlagOverVariableOverFileOverBuiltIn) {
  EXPECT_EQ(Value({}, {}, "queen"), "/run/queen/queen.sock built-in");
  const std::string user =
      dir_.Write("xdg/waggle/config.yaml", "# mine\nqueen: unix:/from/user\ncolor: never\n");
  EXPECT_EQ(Value({}, {}, "queen"), "unix:/from/user " + user + ":2");
  EXPECT_EQ(Value({}, {}, "color"), "never " + user + ":3");
  const std::string given = dir_.Write("given.yaml", "queen: unix:/from/given\n");
  EXPECT_EQ(Value({"--config", given}, {}, "queen"), "unix:/from/given " + given + ":1");
  EXPECT_EQ(Value({"--config", given}, {}, "color"), "auto built-in")
      << "it stands in place of the user's file";
  EXPECT_EQ(Value({"--config", given}, {{"WAGGLE_QUEEN", "/from/env"}}, "queen"), "/from/env WAGGLE_QUEEN");
  EXPECT_EQ(Value({"--config", given, "--queen", "/from/flag"}, {{"WAGGLE_QUEEN", "/from/env"}}, "queen"),
            "/from/flag --queen");
  EXPECT_EQ(Value({}, {{"WAGGLE_QUEEN", ""}}, "queen"), "unix:/from/user " + user + ":2");
}

TEST_F(WaggleConfigTest, OriginAndKeysAreShown) {
  EXPECT_EQ(Run({"config", "show", "--origin", "--color", "always"}, {{"WAGGLE_FORMAT", "text"}}).out,
            "queen: /run/queen/queen.sock  # built-in\n"
            "format: text                  # WAGGLE_FORMAT\n"
            "color: always                 # --color\n");
  EXPECT_EQ(Run({"config", "show"}).out, "queen: /run/queen/queen.sock\nformat: text\ncolor: auto\n");
  const Exit keys = Run({"config", "keys"});
  for (const config::Key& key : kProgram.keys) {
    EXPECT_THAT(keys.out, HasSubstr(config::VariableOf(kProgram, key)));
  }
}

TEST_F(WaggleConfigTest, TheFormOfTheOutputIsASetting) {
  FakeQueen queen(dir_.File("queen.sock"));
  queen.PutJob(Passed(11, "a"));
  std::map<std::string, std::string> env = {{"WAGGLE_QUEEN", dir_.path()}, {"WAGGLE_FORMAT", "json"}};
  EXPECT_EQ(Json::parse(Run({"jobs"}, env).out)[0]["id"], 11);
  EXPECT_THAT(Run({"jobs", "-o", "text"}, env).out, StartsWith(" JOB"));
  EXPECT_THAT(Run({"jobs", "--format", "text"}, env).out, StartsWith(" JOB"));
  EXPECT_THAT(Run({"jobs", "--output", "text"}, env).out, StartsWith(" JOB"));
}

TEST_F(WaggleConfigTest, VariablesOfAJobAreNoneOfOurs) {
  FakeQueen queen(dir_.File("queen.sock"));
  EXPECT_EQ(Run({"drones"}, {{"WAGGLE_QUEEN", dir_.path()},
                             {"WAGGLE_JOB", "12"},
                             {"WAGGLE_DRONE", "bee"},
                             {"WAGGLE_QUEEN_LEASE", "x"}})
                .code,
            0);
}

TEST_F(WaggleConfigTest, AMistakeInAFileHasItsPlace) {
  const std::string user = dir_.Write("xdg/waggle/config.yaml", "color: auto\nquen: /x\n");
  const std::string error =
      "error: " + user +
      ":2:1: unknown key `quen`\n  2 | quen: /x\n    | ^^^^ did you mean `queen`? [WG601]\n";
  EXPECT_EQ(Run({"jobs"}).err, error);
  EXPECT_EQ(Run({"jobs"}).code, 2);
  EXPECT_EQ(Run({"watch", "1"}).code, 125);
  EXPECT_EQ(Run({"config", "show"}).err, error);
  EXPECT_EQ(Run({"config", "keys"}).code, 0);
  EXPECT_EQ(Run({"--help"}).code, 0);
  dir_.Write("xdg/waggle/config.yaml", "queen: ci.example.com\n");
  EXPECT_THAT(Run({"jobs"}).err, HasSubstr("config.yaml:1:8: `queen: ci.example.com` has no port\n"));
  EXPECT_THAT(Run({"jobs"}, {{"WAGGLE_COLOR", "sometimes"}}).err, HasSubstr("config.yaml:1:8:"));
  dir_.Write("xdg/waggle/config.yaml", "");
  EXPECT_EQ(
      Run({"jobs"}, {{"WAGGLE_COLOR", "sometimes"}}).err,
      "error: environment variable WAGGLE_COLOR: `sometimes` is not known\n  use one of auto, always, never "
      "[WG600]\n");
  EXPECT_EQ(Run({"jobs", "--config", "none.yaml"}).err,
            "error: cannot read the configuration file none.yaml: No such file or directory [WG600]\n");
}

struct Wrong {
  Words args;
  int code;
  std::string error;  // its beginning
};

TEST_F(WaggleConfigTest, EveryWrongLineIsOneClearError) {
  const std::vector<Wrong> cases = {
      {{},
       2,
       "waggle needs a command: submit, watch, logs, jobs, show, drones, cancel, runs, retry, drain, "
       "undrain, forget, "
       "verify, lint, init, "
       "login, logout, "
       "config\n  next: "
       "waggle --help\n"},
      {{"wacth", "1"},
       2,
       "there is no command `waggle wacth`\n  did you mean `waggle watch`?\n  next: waggle --help\n"},
      {{"quuxquux"}, 2, "there is no command `waggle quuxquux`\n  next: waggle --help\n"},
      {{"config", "kyes"},
       2,
       "there is no command `waggle config kyes`\n  did you mean `waggle config keys`?\n"},
      {{"jobs", "--limitt", "3"},
       2,
       "waggle jobs has no flag `--limitt`\n  did you mean `--limit`?\n  next: waggle jobs --help\n"},
      {{"jobs", "--qeen", "x"}, 2, "waggle jobs has no flag `--qeen`\n  did you mean `--queen`?\n"},
      {{"--quiett", "jobs"}, 2, "waggle jobs has no flag `--quiett`\n  did you mean `--quiet`?\n"},
      {{"--watch", "submit"}, 125, "waggle submit has no flag `--watch` at this place\n"},
      {{"jobs", "-L", "many"}, 2, "--limit `many` is not a number it can take\n"},
      {{"jobs", "-L", "-3"}, 2, "--limit `-3` is not a number it can take\n"},
      {{"jobs", "-L", "0"}, 2, "-L 0 is not within 1 and 1000\n"},
      {{"jobs", "-L"}, 2, "--limit needs a value\n  next: waggle jobs --help\n"},
      {{"jobs", "-L", "1", "-L", "2"}, 2, "--limit is given more than once\n"},
      {{"jobs", "extra"}, 2, "waggle jobs does not take `extra`: it is one word too many\n"},
      {{"logs"}, 2, "waggle logs needs JOB\n  next: waggle logs --help\n"},
      {{"watch"}, 125, "waggle watch needs JOB\n"},
      {{"logs", "1", "2"}, 2, "waggle logs does not take `2`: it is one word too many\n"},
      {{"logs", "1", "--attempt", "0"}, 2, "--attempt `0` is not a number it can take\n"},
      {{"logs", "1", "-n", "x"}, 2, "-n `x` is not a number it can take\n"},
      {{"logs", "1", "--stream", "x"}, 2, "--stream `x` is not known\n  use one of stdout, stderr\n"},
      {{"logs", "abc"}, 2, "cannot read `abc`\n  expected a job such as 12"},
      {{"logs", "1", "--lines", "9-2"}, 2, "cannot read `9-2`\n  expected lines such as"},
      {{"logs", "1@1", "--attempt", "2"}, 2, "1@1 and --attempt 2 disagree\n"},
      {{"show", "99999999999999999999"}, 2, "cannot read `99999999999999999999`\n"},
      {{"logs", "r1"}, 2, "`r1` is a run, this needs a job\n  next: waggle jobs --run r1\n"},
      {{"jobs", "-o", "xml"}, 2, "--format `xml` is not known\n  use one of text, json\n"},
      {{"jobs", "-o", "jsno"},
       2,
       "--format `jsno` is not known\n  did you mean `json`? use one of text, json\n"},
      {{"jobs", "--color", "sometimes"},
       2,
       "--color `sometimes` is not known\n  use one of auto, always, never\n"},
      {{"submit", "--prefix", "foo"}, 2, "--prefix `foo` is not known\n  use one of auto, always, never\n"},
      {{"submit", "-w", "--prefix", "foo"}, 125, "--prefix `foo` is not known\n"},
      {{"jobs", "--queen"}, 2, "--queen needs a value\n"},
      {{"jobs", "--queen", ""}, 2, "--queen `` is empty\n"},
      {{"jobs", "--queen", "unix:"}, 2, "--queen `unix:` names no socket\n"},
      {{"jobs", "--queen", "ci.example.com"}, 2, "--queen `ci.example.com` has no port\n  write HOST:PORT"},
      {{"jobs", "--queen", "ci.example.com:0"}, 2, "--queen `ci.example.com:0` has no port between 1 and"},
      {{"jobs", "--queen", "ci..example:1"}, 2, "--queen `ci..example:1` has no host name or address\n"},
      {{"jobs", "--queen", "http://x:1"}, 2, "--queen `http://x:1` is no https URL\n"},
      {{"watch", "1", "--queen", "https://x/y"},
       125,
       "--queen `https://x/y` has more than a host and a port\n"},
      {{"jobs", "--queen", "CI.example.com:7874"},
       4,
       "you are not logged in to ci.example.com:7874\n  the address comes from --queen\n  next: have her "
       "administrator run `queen invite user NAME`, then waggle login"},
      {{"watch", "1", "--queen", "https://[::1]:7875"}, 125, "you are not logged in to https://[::1]:7875\n"},
      {{"jobs", "--queen", "/none"},
       5,
       "cannot reach the queen at /none/queen.sock (No such file or directory)\n"},
      {{"jobs", "--queen", "/etc/passwd"}, 5, "cannot reach the queen at /etc/passwd (it is no socket)\n"},
      {{"submit", "--repo", "none"}, 3, "no repository at none: No such file or directory\n  next: name"},
      {{"submit", "--repo", "/usr"}, 3, "/usr is not a git repository: it has no .git\n  next: name"},
      {{"submit"}, 3, dir_.path() + " is not inside a git repository\n  next: go to your project"},
      {{"submit", "-w"}, 125, dir_.path() + " is not inside a git repository\n"},
      {{"submit", "--job", "x", "main"},
       2,
       "--job names a whole job document; REF and --repo do not go with it\n"},
      {{"submit", "--job", "none.json"},
       2,
       "cannot read the job document: open none.json: No such file or directory\n"},
      {{"submit", "--job", "/usr"}, 2, "cannot read the job document: read /usr: Is a directory\n"},
      {{"cancel", "1", "--now=maybe"}, 2, "--now takes no value\n"},
      {{"submit", "--", "-x"}, 2, "`-x` cannot be a ref\n"},
  };
  for (const Wrong& wrong : cases) {
    const Exit exit = Run(wrong.args);
    EXPECT_EQ(exit.code, wrong.code) << testing::PrintToString(wrong.args);
    EXPECT_THAT(exit.err, StartsWith("error: " + wrong.error)) << testing::PrintToString(wrong.args);
    EXPECT_EQ(exit.out, "") << testing::PrintToString(wrong.args);
  }
}

TEST_F(WaggleConfigTest, AWrongJobDocumentHasItsPlace) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{\"type\": \"TEST\",\n \"test\": [{\"command\": 3}\n",
       ":3:1: not valid JSON: syntax error while parsing array - "},
      {"{\"type\": TEST}",
       ":1:10: not valid JSON: syntax error while parsing value - invalid literal; last read"},
      {"", ":1:1: not valid JSON: "},
      {"{\"type\": \"TEST\",\n \"tset\": []}",
       ":2:2: unknown field `tset`\n  2 |  \"tset\": []}\n    |  ^^^^^^ did you mean `test`?\n"},
      {"{\"test\": [{\"comand\": \"x\"}]}",
       ":1:12: unknown field `test[0].comand`\n  1 | {\"test\": [{\"comand\": \"x\"}]}\n    |            "
       "^^^^^^^^ did you "
       "mean `command`?\n"},
      {"{\"test\": [{\"a\": 1}, {\"a\": 1}]}", ": unknown field `test[1].a`\n"},
      {"{\"type\": \"BEST\"}", " is not a job document\n  (type): invalid value \"BEST\" for type JobType\n"},
      {"{\"type\": \"T\xff\"}", ":1:12: invalid UTF-8\n  next: save the file as plain UTF-8 text\n"},
      {std::string(1024 * 1024 + 1, ' '), " has more than 1048576 bytes\n"},
  };
  for (const auto& [text, error] : cases) {
    const std::string file = dir_.Write("job.json", text);
    const Exit exit = Run({"submit", "--job", file});
    EXPECT_EQ(exit.code, 2) << text.substr(0, 99);
    EXPECT_THAT(exit.err, HasSubstr(file + error)) << text.substr(0, 99);
    EXPECT_EQ(Run({"submit", "-w", "--job", file}).code, 125);
  }
  Waggle piped({"submit", "--job", "-"}, {}, dir_.path());
  piped.SendInput("{\"tset\": []}");
  const Exit exit = piped.Finish();
  EXPECT_EQ(exit.code, 2);
  EXPECT_THAT(exit.err, StartsWith("error: standard input:1:2: unknown field `tset`\n"));
}

TEST_F(WaggleConfigTest, ASocketThatIsNotAQueensIsUnreachable) {
  UniqueFd server(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::strncpy(name.sun_path, dir_.File("other.sock").c_str(), sizeof name.sun_path - 1);
  ASSERT_EQ(bind(server.get(), reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  ASSERT_EQ(listen(server.get(), 64), 0);
  std::thread stranger([&] {  // speaks to everyone, but not as a queen; ends when its socket is shut down
    for (;;) {
      UniqueFd peer(accept(server.get(), nullptr, nullptr));
      if (!peer.valid()) return;
      (void)send(peer.get(), "HTTP/1.1 400 Bad Request\r\n\r\n", 28, MSG_NOSIGNAL);
    }
  });
  const Exit exit = Run({"jobs", "--queen", dir_.File("other.sock")});
  EXPECT_EQ(exit.code, 5);
  EXPECT_EQ(exit.err, "error: cannot reach the queen at " + dir_.File("other.sock") +
                          " (what listens there does not answer as a queen within 5 s)\n"
                          "  the address comes from --queen\n"
                          "  next: start her with `queen serve`, or name her socket with --queen [WG001]\n");
  shutdown(server.get(), SHUT_RDWR);
  stranger.join();
}

}  // namespace
}  // namespace waggle::cli
