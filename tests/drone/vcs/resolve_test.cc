#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "tests/drone/vcs/vcs_fixture.h"

namespace waggle::vcs {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

using ResolveTest = VcsTest;

std::string Answer(const std::string& commit, const std::string& branch) {
  return "commit " + commit + "\nbranch " + branch + "\n";
}

TEST_F(ResolveTest, AnOpenRequestTakesTheBranchAtHead) {
  std::string source = MakeRepository("source");
  Git(source, "checkout -q -b trunk");
  std::string commit = Commit(source, "file", "two\n");
  Outcome outcome = Resolve(source);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, Answer(commit, "trunk"));
  EXPECT_EQ(outcome.err, "fetching " + source + "\n");
}

TEST_F(ResolveTest, ADetachedHeadIsTakenThoughNoBranchLeadsThere) {
  std::string source = MakeRepository("source");
  Git(source, "checkout -q --detach");
  std::string commit = Commit(source, "file", "two\n");
  EXPECT_EQ(Resolve(source).out, Answer(commit, ""));
}

TEST_F(ResolveTest, BranchesAndBothKindsOfTags) {
  std::string source = MakeRepository("source");
  std::string one = Git(source, "rev-parse HEAD");
  Git(source, "tag light");
  Git(source, "tag -a annotated -m text");
  Git(source, "tag -a nested -m text annotated");
  std::string two = Commit(source, "file", "two\n");
  Git(source, "tag main-tag");
  EXPECT_EQ(Resolve(source, {"--branch", "main"}).out, Answer(two, "main"));
  for (std::string tag : {"light", "annotated", "nested", "refs/tags/light"}) {
    EXPECT_EQ(Resolve(source, {"--branch", tag}).out, Answer(one, tag));
  }
  Git(source, "branch annotated main");  // a branch wins over the tag of its name
  EXPECT_EQ(Resolve(source, {"--branch", "annotated"}).out, Answer(two, "annotated"));
}

TEST_F(ResolveTest, IdsWholeAndAbbreviated) {
  std::string source = MakeRepository("source");
  std::string one = Git(source, "rev-parse HEAD");
  Commit(source, "file", "two\n");
  EXPECT_EQ(Resolve(source, {"--id", one}).out, Answer(one, ""));
  EXPECT_EQ(Resolve(source, {"--id", one.substr(0, 8), "--branch", "main"}).out, Answer(one, "main"));
  Outcome blob = Resolve(source, {"--id", Git(source, "rev-parse HEAD:file")});
  EXPECT_EQ(blob.code, 3);
  EXPECT_THAT(blob.err, HasSubstr("is not a commit"));
}

TEST_F(ResolveTest, ARefspecBringsAPullRequest) {
  std::string source = MakeRepository("source");
  std::string one = Git(source, "rev-parse HEAD");
  Git(source, "checkout -q --detach");
  std::string merge = Commit(source, "file", "merged\n");
  Git(source, "update-ref refs/pull/141/merge " + merge);
  Git(source, "checkout -q main");
  EXPECT_EQ(Resolve(source, {"--fetch", "+refs/pull/141/merge"}).out, Answer(merge, ""));
  Git(source, "update-ref refs/pull/141/merge " + one);  // moved backwards: the new place counts
  EXPECT_EQ(Resolve(source, {"--fetch", "+refs/pull/141/merge:refs/ci/x", "--branch", "main"}).out,
            Answer(one, "main"));
  Outcome missing = Resolve(source, {"--fetch", "refs/pull/142/merge"});
  EXPECT_EQ(missing.code, 3);
  EXPECT_THAT(missing.err, HasSubstr("error: reference refs/pull/142/merge is not in " + source));
}

TEST_F(ResolveTest, AForcePushedBranchMovesAndTheOldCommitStaysByItsId) {
  std::string source = MakeRepository("source");
  std::string old = Commit(source, "file", "old\n");
  EXPECT_EQ(Resolve(source, {"--branch", "main"}).out, Answer(old, "main"));
  Git(source, "reset -q --hard HEAD~1");
  std::string fresh = Commit(source, "file", "new\n");
  EXPECT_EQ(Resolve(source, {"--branch", "main"}).out, Answer(fresh, "main"));
  EXPECT_EQ(Resolve(source, {"--branch", "main", "--id", old}).out, Answer(old, "main"));
}

TEST_F(ResolveTest, ACommitThatIsGoneIsAClearError) {
  std::string source = MakeRepository("source");
  std::string id(40, 'd');
  Outcome outcome = Resolve(source, {"--branch", "main", "--id", id});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("error: commit " + id + " is not in " + source +
                                     " (branch main was force-pushed, or the id is wrong)"));
}

TEST_F(ResolveTest, DeletedBranchesGoAndMakeRoom) {
  std::string source = MakeRepository("source");
  Git(source, "branch gone");
  EXPECT_EQ(Resolve(source, {"--branch", "gone"}).code, 0);
  Git(source, "branch -D gone");
  Git(source, "branch gone/below");
  Outcome outcome = Resolve(source, {"--branch", "gone"});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.err, HasSubstr("error: branch or tag gone is not in " + source));
  EXPECT_EQ(Resolve(source, {"--branch", "gone/below"}).code, 0);
}

TEST_F(ResolveTest, AnEmptyRepositorySaysSo) {
  fs::create_directories(Path("empty"));
  Git(Path("empty"), "init -q -b main");
  Outcome outcome = Resolve(Path("empty"));
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.err, HasSubstr("has no commit yet"));
  EXPECT_EQ(Resolve(Path("empty"), {"--branch", "main"}).code, 3);
}

TEST_F(ResolveTest, APathWithoutARepositorySaysSo) {
  Outcome outcome = Resolve(Path("nothing"));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("error: cannot open the repository " + Path("nothing")));
}

TEST_F(ResolveTest, ReadsOneFileAtACommit) {
  std::string source = MakeRepository("source");
  std::string content("bytes \0 and \xff\n", 14);
  std::string first = Commit(source, "dir/.waggle.yml", content);
  Commit(source, "dir/.waggle.yml", "later\n");
  auto read = [&](const std::string& path, const std::string& most) {
    return Run({"read", "--mirrors", Mirrors(), "--url", source, "--id", first, "--path", path, "--max-bytes",
                most});
  };
  EXPECT_EQ(read("dir/.waggle.yml", "14").out, content);
  Outcome large = read("dir/.waggle.yml", "13");
  EXPECT_EQ(large.code, 1);
  EXPECT_THAT(large.err, HasSubstr("has 14 bytes, the limit is 13"));
  for (std::string path : {"absent", "dir/absent", "file/below"}) {
    Outcome missing = read(path, "100");
    EXPECT_EQ(missing.code, 3) << path;
    EXPECT_EQ(missing.out, "");
    EXPECT_THAT(missing.err, HasSubstr("error: there is no " + path + " at commit " + first));
  }
  EXPECT_EQ(read("dir", "100").code, 1);
  EXPECT_NE(read("../source/file", "100").code, 0);
}

TEST_F(ResolveTest, APipelineFileThatIsALinkIsNotFollowed) {
  std::string source = MakeRepository("source");
  ASSERT_EQ(::symlink("/etc/passwd", (source + "/.waggle.yml").c_str()), 0);
  std::string commit = Commit(source, "other", "x");
  Outcome outcome = Run({"read", "--mirrors", Mirrors(), "--url", source, "--id", commit, "--path",
                         ".waggle.yml", "--max-bytes", "1000"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("is not a regular file"));
}

TEST_F(ResolveTest, AKnownCommitNeedsNoSource) {
  std::string source = MakeRepository("source");
  std::string commit = Git(source, "rev-parse HEAD");
  ASSERT_EQ(Resolve(source).code, 0);
  fs::remove_all(source);
  Outcome outcome = Run({"read", "--mirrors", Mirrors(), "--url", source, "--id", commit, "--path", "file",
                         "--max-bytes", "10"});
  EXPECT_EQ(outcome.out, "one\n");
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(Checkout(source, Path("target"), {"--id", commit}).code, 0);
  EXPECT_EQ(Resolve(source, {"--branch", "main"}).code, 1);  // a branch may have moved: that needs the source
}

TEST_F(ResolveTest, OddPlacesOfLocalRepositories) {
  std::string source = MakeRepository("with space");
  std::string commit = Git(source, "rev-parse HEAD");
  EXPECT_EQ(Resolve(source).out, Answer(commit, "main"));
  EXPECT_EQ(Resolve("file://" + Path("with%20space")).out, Answer(commit, "main"));
  Git(source, "worktree add -q '" + Path("linked") + "' -b side");
  EXPECT_EQ(Resolve(Path("linked")).out, Answer(commit, "side"));
  Git(source, "clone -q --bare . '" + Path("bare.git") + "'");
  EXPECT_EQ(Resolve(Path("bare.git")).out, Answer(commit, "main"));
}

TEST_F(ResolveTest, ARepositoryOfAnotherUserIsReadWhenItsPathIsGiven) {
  std::string source = MakeRepository("source");
  if (::geteuid() == 0) {  // only root can give a directory away
    ASSERT_EQ(::chown(source.c_str(), 12345, 12345), 0);
    ASSERT_EQ(::chown((source + "/.git").c_str(), 12345, 12345), 0);
  }
  Outcome outcome = Resolve(source);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

}  // namespace
}  // namespace waggle::vcs
