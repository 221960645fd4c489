#include "tools/waggle/git.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/tools/driver.h"

namespace waggle::cli {
namespace {

using testing::HasSubstr;

class GitTest : public testing::Test {
 protected:
  GitTest() {
    Git({"init", "-q", "-b", "main"});
    Git({"config", "user.name", "Anna"});
    Git({"config", "user.email", "anna@example.com"});
    dir_.Write("a.txt", "1");
    Git({"add", "."});
    Git({"commit", "-q", "-m", "one"});
    first_ = Git({"rev-parse", "HEAD"}).substr(0, 40);
    Git({"tag", "v1"});
    Git({"commit", "-q", "--allow-empty", "-m", "two"});
    second_ = Git({"rev-parse", "HEAD"}).substr(0, 40);
    top_ = std::filesystem::canonical(dir_.path()).string();
  }
  std::string Git(std::vector<std::string> args) { return MustRun("git", std::move(args), dir_.path()); }

  TempDir dir_;
  std::string top_, first_, second_;
};

TEST_F(GitTest, WithoutARefItIsWhatIsCheckedOut) {
  auto source = ResolveSource(dir_.path(), "");
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_EQ(source->url, top_);
  EXPECT_EQ(source->branch, "main");
  EXPECT_EQ(source->id, second_);
  EXPECT_EQ(source->changed_files, 0u);
  EXPECT_EQ(source->author_name, "Anna");
  EXPECT_EQ(source->message, "two");
}

TEST_F(GitTest, BranchesTagsAndShortCommitsBecomeCommits) {
  EXPECT_EQ(ResolveSource(dir_.path(), "v1")->id, first_);
  EXPECT_EQ(ResolveSource(dir_.path(), "v1")->branch, "v1");
  EXPECT_EQ(ResolveSource(dir_.path(), "main")->branch, "main");
  EXPECT_EQ(ResolveSource(dir_.path(), "refs/heads/main")->branch, "main");
  auto by_id = ResolveSource(dir_.path(), first_.substr(0, 7));
  EXPECT_EQ(by_id->id, first_);
  EXPECT_EQ(by_id->branch, "");
  EXPECT_EQ(ResolveSource(dir_.path(), "+refs/pull/7/head")->fetch, "+refs/pull/7/head");
}

TEST_F(GitTest, UncommittedFilesAreCountedOnlyForTheCheckedOutCommit) {
  dir_.Write("a.txt", "2");
  dir_.Write("new.txt", "3");
  EXPECT_EQ(ResolveSource(dir_.path(), "")->changed_files, 2u);
  EXPECT_EQ(ResolveSource(dir_.path(), "v1")->changed_files, 0u);
}

TEST_F(GitTest, ADetachedHeadHasNoBranch) {
  Git({"checkout", "-q", "--detach", "v1"});
  auto source = ResolveSource(dir_.path(), "");
  EXPECT_EQ(source->id, first_);
  EXPECT_EQ(source->branch, "");
}

TEST_F(GitTest, WhatIsNotThereIsNotFound) {
  auto ref = ResolveSource(dir_.path(), "nope");
  EXPECT_TRUE(absl::IsNotFound(ref.status()));
  EXPECT_THAT(std::string(ref.status().message()), HasSubstr("no branch, tag or commit `nope`"));
  TempDir empty;
  EXPECT_TRUE(absl::IsNotFound(ResolveSource(empty.path(), "").status()));
  EXPECT_TRUE(absl::IsNotFound(ResolveSource(empty.File("absent"), "").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ResolveSource(dir_.path(), "--upload-pack=x").status()));
}

TEST_F(GitTest, AddressesGoAsTheyAre) {
  EXPECT_TRUE(IsRemote("https://git.example.com/x"));
  EXPECT_TRUE(IsRemote("git@example.com:team/x.git"));
  EXPECT_FALSE(IsRemote("./a:b"));
  EXPECT_FALSE(IsRemote("sub/dir"));
  EXPECT_EQ(ResolveSource("https://x/y", "main")->branch, "main");
  EXPECT_EQ(ResolveSource("https://x/y", first_)->id, first_);
  EXPECT_EQ(ResolveSource("https://x/y", "refs/pull/1/head")->fetch, "refs/pull/1/head");
  EXPECT_EQ(ResolveSource("https://x/y", "")->branch, "");
}

TEST_F(GitTest, TheTopIsFoundUpward) {
  dir_.Write("deep/er/file", "");
  EXPECT_EQ(FindTop(dir_.File("deep/er")), dir_.path());
  EXPECT_EQ(FindTop("/"), "");
}

}  // namespace
}  // namespace waggle::cli
