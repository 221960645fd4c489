#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/drone/vcs/vcs_fixture.h"

namespace waggle::vcs {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

using CheckoutTest = VcsTest;

TEST_F(CheckoutTest, GivesTheExactTreeInARepositoryThatGitUnderstands) {
  std::string source = MakeRepository("source");
  Write(source + "/bin/tool", "#!/bin/sh\n");
  ASSERT_EQ(::chmod((source + "/bin/tool").c_str(), 0755), 0);
  ASSERT_EQ(::symlink("../file", (source + "/bin/link").c_str()), 0);
  Write(source + "/name with space", std::string("\0\xff\r\n", 4));
  Git(source, "add -A");
  Git(source, "commit -q -m more");
  Git(source, "tag -a v1 -m one");
  std::string commit = Commit(source, "file", "two\n");

  std::string target = Path("attempts/7/job");
  Outcome outcome = Checkout(source, target, {"--branch", "main"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "checked out " + commit + "\n");
  EXPECT_EQ(outcome.err, "fetching " + source + "\n");
  EXPECT_EQ(Read(target + "/file"), "two\n");
  EXPECT_EQ(Read(target + "/name with space"), std::string("\0\xff\r\n", 4));
  struct stat info;
  ASSERT_EQ(::stat((target + "/bin/tool").c_str(), &info), 0);
  EXPECT_TRUE(info.st_mode & 0100);
  EXPECT_EQ(fs::read_symlink(target + "/bin/link"), "../file");
  EXPECT_EQ(Git(target, "rev-parse HEAD"), commit);
  EXPECT_EQ(Git(target, "status --porcelain"), "");
  EXPECT_EQ(Git(target, "describe"), "v1-1-g" + commit.substr(0, 7));
  EXPECT_EQ(Git(target, "log --format=%H"), Git(source, "log --format=%H"));
  EXPECT_EQ(Git(target, "rev-parse origin/main"), commit);
  EXPECT_EQ(Git(target, "rev-parse --abbrev-ref HEAD"), "HEAD");
  Git(target, "fsck");
  EXPECT_FALSE(fs::exists(target + ".partial"));
}

TEST_F(CheckoutTest, OneWithItsOwnObjectsNeedsNoMirror) {
  std::string source = MakeRepository("source");
  std::string commit = Commit(source, "file", "two\n");
  std::string target = Path("attempts/7/job");
  Outcome outcome = Checkout(source, target, {"--branch", "main", "--own"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_FALSE(fs::exists(target + "/.git/objects/info/alternates"));
  Git(target, "fsck --full");
  EXPECT_EQ(Git(target, "log --format=%H"), Git(source, "log --format=%H"));
  EXPECT_EQ(Git(target, "status --porcelain"), "");
  for (const auto& entry : fs::recursive_directory_iterator(target + "/.git/objects")) {
    if (!entry.is_regular_file()) continue;
    struct stat info;
    ASSERT_EQ(::stat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_nlink > 1, ::geteuid() == 0) << entry.path();
    EXPECT_EQ(info.st_mode & 0222, 0u) << entry.path();
  }
}

TEST_F(CheckoutTest, AShallowCloneGivesItsCommitWithoutHistory) {
  std::string source = MakeRepository("source");
  std::string commit = Commit(source, "file", "two\n");
  Git(source, "clone -q --depth 1 'file://" + source + "' '" + Path("shallow") + "'");
  Outcome resolved = Resolve(Path("shallow"));
  EXPECT_EQ(resolved.out, "commit " + commit + "\nbranch main\n") << resolved.err;
  Outcome outcome = Checkout(Path("shallow"), Path("target"), {"--id", commit});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(Read(Path("target/file")), "two\n");
  EXPECT_EQ(Git(Path("target"), "log --format=%H"), commit);
  EXPECT_EQ(Git(Path("target"), "status --porcelain"), "");
  std::string later = Commit(Path("shallow"), "file", "three\n");
  EXPECT_EQ(Checkout(Path("shallow"), Path("target2"), {"--branch", "main"}).out,
            "checked out " + later + "\n");
  Outcome missing = Resolve(Path("shallow"), {"--branch", "absent"});
  EXPECT_EQ(missing.code, 3);
}

TEST_F(CheckoutTest, SubmodulesAreLeftOutWithAWarning) {
  std::string source = MakeRepository("source");
  std::string inner = MakeRepository("inner");
  Git(source, "-c protocol.file.allow=always submodule --quiet add '" + inner + "' sub");
  Git(source, "commit -q -m sub");
  Outcome outcome = Checkout(source, Path("target"));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("warning: the repository has submodules; they are not checked out\n"));
  EXPECT_EQ(Read(Path("target/file")), "one\n");
}

TEST_F(CheckoutTest, AnOccupiedTargetIsLeftAlone) {
  std::string source = MakeRepository("source");
  Write(Path("target/mine"), "keep");
  Outcome outcome = Checkout(source, Path("target"));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("is not an empty directory"));
  EXPECT_EQ(Read(Path("target/mine")), "keep");
  fs::create_directories(Path("empty"));
  EXPECT_EQ(Checkout(source, Path("empty")).code, 0);
  EXPECT_EQ(Read(Path("empty/file")), "one\n");
  fs::create_directory_symlink(Path("elsewhere"), Path("link"));
  EXPECT_EQ(Checkout(source, Path("link")).code, 1);
  EXPECT_FALSE(fs::exists(Path("elsewhere")));
}

TEST_F(CheckoutTest, AMirrorIsReused) {
  std::string source = MakeRepository("source");
  ASSERT_EQ(Checkout(source, Path("a")).code, 0);
  std::string commit = Commit(source, "file", "two\n");
  ASSERT_EQ(Checkout(source, Path("b"), {"--id", commit}).code, 0);
  Outcome third = Checkout(source, Path("c"), {"--id", commit});
  EXPECT_EQ(third.err, "");
  EXPECT_EQ(Read(Path("a/file")), "one\n");
  EXPECT_EQ(Read(Path("c/file")), "two\n");
  EXPECT_EQ(Git(OnlyMirror(), "rev-parse refs/heads/main"), commit);
  Git(OnlyMirror(), "fsck --full");
}

TEST_F(CheckoutTest, ParallelCheckoutsShareOneMirror) {
  std::string source = MakeRepository("source");
  for (int i = 0; i < 200; ++i) Write(absl::StrCat(source, "/many/", i), std::string(1000, 'a' + i % 26));
  std::string commit = Commit(source, "file", "two\n");
  std::vector<Running> running;
  for (int i = 0; i < 6; ++i) {
    running.push_back(
        Start({"checkout", "--mirrors", Mirrors(), "--url", source, "--target", absl::StrCat(Path("t"), i),
               i % 2 ? "--id" : "--branch", i % 2 ? commit : "main"}));
  }
  for (int i = 0; i < 6; ++i) {
    Outcome outcome = Wait(running[i]);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, "checked out " + commit + "\n");
    EXPECT_EQ(Git(absl::StrCat(Path("t"), i), "status --porcelain"), "");
  }
  Git(OnlyMirror(), "fsck --full");
}

}  // namespace
}  // namespace waggle::vcs
