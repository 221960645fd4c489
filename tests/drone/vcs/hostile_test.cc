#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/drone/vcs/vcs_fixture.h"

// Repositories and servers that mean harm: threats G of the threat model.
namespace waggle::vcs {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

using HostileTest = VcsTest;

TEST_F(HostileTest, BranchNamesCannotLeaveTheMirror) {
  std::string source = MakeRepository("source");
  std::string commit = Git(source, "rev-parse HEAD");
  Outcome asked = Resolve(source, {"--branch", "a/../../x"});
  EXPECT_EQ(asked.code, 2);
  EXPECT_THAT(asked.err, HasSubstr("error: --branch \"a/../../x\" is not a valid reference name"));

  // The same name, served by the source.
  Write(source + "/.git/packed-refs",
        commit + " refs/heads/a/../../../../../escaped\n" + commit + " refs/tags/v1\n");
  Outcome served = Resolve(source);
  EXPECT_FALSE(fs::exists(Path("escaped")));
  EXPECT_FALSE(fs::exists(Path("mirrors/escaped")));
  EXPECT_NE(served.signal, SIGSEGV);
}

TEST_F(HostileTest, NothingIsWrittenThroughALinkOfTheSameName) {
  std::string source = MakeRepository("source");
  fs::create_directories(Path("outside"));
  Write(Path("target-name"), Path("outside"));
  std::string link = Git(source, "hash-object -w '" + Path("target-name") + "'");
  std::string evil = Git(source, "rev-parse HEAD:file");
  std::string below = RawTree(source, {{"100644", "evil", evil}});
  for (bool link_first : {true, false}) {
    std::vector<Row> rows = {{"120000", "d", link}, {"40000", "d", below}};
    if (!link_first) std::swap(rows[0], rows[1]);
    std::string commit = CommitTree(source, RawTree(source, rows), "evil");
    std::string target = Path(link_first ? "t1" : "t2");
    Outcome outcome = Checkout(source, target, {"--id", commit});
    EXPECT_FALSE(fs::exists(Path("outside/evil")));
    EXPECT_EQ(outcome.code == 0, fs::exists(target)) << outcome.err;
  }
}

TEST_F(HostileTest, NamesThatReachTheRepositoryOrItsParentAreRefused) {
  std::string source = MakeRepository("source");
  std::string blob = Git(source, "rev-parse HEAD:file");
  std::string hooks = RawTree(source, {{"100755", "post-checkout", blob}});
  std::string git = RawTree(source, {{"40000", "hooks", hooks}});
  for (std::string name : {".git", ".GIT", "git~1", "..", ".", "a/../../b", ".git "}) {
    std::string commit = CommitTree(source, RawTree(source, {{"40000", name, git}}), "evil");
    Outcome outcome = Checkout(source, Path("jobs/target"), {"--id", commit});
    EXPECT_EQ(outcome.code == 0, fs::exists(Path("jobs/target"))) << name << ": " << outcome.err;
    EXPECT_FALSE(fs::exists(Path("jobs/target/.git/hooks/post-checkout"))) << name;
    EXPECT_FALSE(fs::exists(Path("jobs/hooks"))) << name;
    EXPECT_FALSE(fs::exists(Path("jobs/b"))) << name;
    EXPECT_FALSE(fs::exists(Path("jobs/target.partial"))) << name;
    EXPECT_TRUE(outcome.code == 1 || (name != ".git" && name != "..")) << name;
    fs::remove_all(Path("jobs/target"));
  }
}

TEST_F(HostileTest, ATreeThatUnfoldsWithoutEndIsRefusedBeforeAnythingIsWritten) {
  std::string source = MakeRepository("source");
  std::string object = Git(source, "rev-parse HEAD:file");
  std::string mode = "100644";
  for (int level = 0; level < 9; ++level) {  // 10^9 files
    std::vector<Row> rows;
    for (char c = 'a'; c < 'k'; ++c) rows.push_back({mode, std::string(1, c), object});
    object = RawTree(source, rows);
    mode = "40000";
  }
  Outcome outcome =
      Checkout(source, Path("target"), {"--id", CommitTree(source, object, "bomb"), "--deadline", "30"});
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("error: the tree unfolds to more than 2000000 files"));
  EXPECT_FALSE(fs::exists(Path("target")));
}

TEST_F(HostileTest, NoHookFilterOrConfigurationOfTheHostRuns) {
  std::string source = MakeRepository("source");
  std::string canary = Path("canary");
  std::string hook = "#!/bin/sh\ntouch '" + canary + "'\ncat\n";
  for (std::string name :
       {"hooks/post-checkout", "source/.git/hooks/post-checkout", "source/.git/hooks/upload-pack"}) {
    Write(Path(name), hook);
    fs::permissions(Path(name), fs::perms::all);
  }
  Write(source + "/.gitattributes", "* filter=canary\n");
  std::string commit = Commit(source, "file", "two\n");
  Write(Path(".gitconfig"), "[core]\n\thooksPath = " + Path("hooks") +
                                "\n[filter \"canary\"]\n\tsmudge = " + Path("hooks/post-checkout") +
                                "\n\trequired = true\n[url \"/nowhere\"]\n\tinsteadOf = " + source + "\n");
  Outcome outcome = Checkout(source, Path("target"), {"--id", commit});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(Read(Path("target/file")), "two\n");
  EXPECT_FALSE(fs::exists(canary));
  for (const fs::directory_entry& entry : fs::directory_iterator(Path("target/.git/hooks"))) {
    EXPECT_EQ(entry.path().filename(), "README.sample");
  }
}

std::string Url(const Listener& server) {
  return absl::StrCat("http://127.0.0.1:", server.port(), "/private.git");
}

constexpr char kUnauthorized[] =
    "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\nConnection: "
    "close\r\n\r\n";

TEST_F(HostileTest, ARefusedPasswordIsTriedOnceAndShownNowhere) {
  Listener server;
  server.Serve([](const std::string&) { return std::string(kUnauthorized); });
  Outcome outcome =
      Resolve(Url(server), {"--credentials", "--deadline", "30"}, "username bee\npassword hunter22\n");
  server.Stop();
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("error: cannot fetch " + Url(server)));
  EXPECT_THAT(outcome.err, HasSubstr("the server refused the credentials"));
  EXPECT_THAT(outcome.err, Not(HasSubstr("hunter22")));
  int with_secret = 0;
  for (const std::string& request : server.requests()) {
    with_secret += request.find("Authorization: Basic") != std::string::npos;
  }
  EXPECT_EQ(with_secret, 1);
  EXPECT_LE(server.requests().size(), 3u);
  EXPECT_EQ(std::system(("! grep -rq hunter22 '" + Mirrors() + "'").c_str()), 0);
}

TEST_F(HostileTest, MissingCredentialsAreNamed) {
  Listener server;
  server.Serve([](const std::string&) { return std::string(kUnauthorized); });
  Outcome outcome = Resolve(Url(server), {"--deadline", "30"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("none were given; set the repository's credentials (repo.auth)"));
}

TEST_F(HostileTest, ARedirectDoesNotCarryThePasswordToAnotherServer) {
  for (bool ask_first : {false, true}) {
    Listener other, first;
    other.Serve([](const std::string&) { return std::string(kUnauthorized); });
    std::string location = Url(other);
    first.Serve([location, ask_first](const std::string& request) {
      if (ask_first && request.find("Authorization") == std::string::npos) return std::string(kUnauthorized);
      return absl::StrCat(
          "HTTP/1.1 302 Found\r\nLocation: ", location,
          "/info/refs?service=git-upload-pack\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    Outcome outcome =
        Resolve(Url(first), {"--credentials", "--deadline", "30"}, "username bee\npassword hunter22\n");
    other.Stop();
    EXPECT_EQ(outcome.code, 1) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("which gets no credentials"));
    EXPECT_FALSE(other.requests().empty());
    for (const std::string& request : other.requests()) EXPECT_THAT(request, Not(HasSubstr("Authorization")));
  }
}

TEST_F(HostileTest, WhatAServerSaysIsShownOnOneLineWithoutControlCodes) {
  Listener server;
  std::string words = "ERR \x1b[31mred\x07 text\nand a second line";
  std::string packet = absl::StrCat(absl::Hex(words.size() + 4, absl::kZeroPad4), words);
  server.Serve([packet](const std::string&) { return packet; }, "host=127.0.0.1");
  Outcome outcome = Resolve(absl::StrCat("git://127.0.0.1:", server.port(), "/x"), {"--deadline", "30"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, Not(HasSubstr("\x1b")));
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 2) << outcome.err;  // fetching, error
}

}  // namespace
}  // namespace waggle::vcs
