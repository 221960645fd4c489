#include "drone/attempt/spares.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drone/attempt/janitor.h"
#include "tests/support/child.h"
#include "tests/support/temp_dir.h"

namespace waggle::attempt {
namespace {

using test::Exists;
using test::FilesContaining;
using test::WriteText;

bool Always() {
  return true;
}

class SparesTest : public testing::Test {
 protected:
  SparesTest() : layout_(dir_ / "data") { EXPECT_TRUE(layout_.Prepare().ok()); }

  // A directory as an attempt leaves it.
  std::string Used(Spares& spares) {
    auto taken = spares.Take();
    EXPECT_TRUE(taken.ok()) << taken.status();
    std::string path = layout_.Attempt(Epoch(++epoch_));
    EXPECT_EQ(::rename(taken->c_str(), path.c_str()), 0);
    WriteText(path + "/attempt.bin", "facts");
    WriteText(path + "/shim.log", "");
    WriteText(path + "/spool.000", "what one project printed");
    WriteText(path + "/spool.001", "and more");
    WriteText(path + "/home/.netrc", "password");
    WriteText(path + "/tmp/deep/er/step-0.sh", "echo");
    return path;
  }

  test::TempDir dir_;
  Layout layout_;
  std::uint64_t epoch_ = 0;
};

TEST_F(SparesTest, TheNextAttemptFindsNothingOfTheLast) {
  Spares spares(layout_);
  const std::string used = Used(spares);
  struct stat before, after;
  ASSERT_EQ(::stat((used + "/reserve").c_str(), &before), 0);
  ASSERT_TRUE(spares.Keep(used, Always));
  EXPECT_FALSE(Exists(used));
  auto next = spares.Take();
  ASSERT_TRUE(next.ok());
  ASSERT_EQ(::stat((*next + "/reserve").c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino) << "it was made anew";
  EXPECT_EQ(after.st_size, 0);
  EXPECT_GE(after.st_blocks * 512, 512 * 1024);
  for (const char* gone : {"spool.000", "spool.001", "home/.netrc", "tmp/deep"}) {
    EXPECT_FALSE(Exists(*next + "/" + gone)) << gone;
  }
  EXPECT_TRUE(Exists(*next + "/home"));
  EXPECT_TRUE(Exists(*next + "/tmp"));
  EXPECT_TRUE(spares.Take().ok()) << "made when there is none";
}

TEST_F(SparesTest, WhatAJobChangedIsNotKept) {
  Spares spares(layout_);
  auto refused = [&](const std::function<void(const std::string&)>& change) {
    const std::string used = Used(spares);
    change(used);
    return !spares.Keep(used, Always);
  };
  EXPECT_TRUE(refused([](const std::string& path) { ::chmod((path + "/tmp").c_str(), 0777); }));
  EXPECT_TRUE(
      refused([](const std::string& path) { ::rename((path + "/tmp").c_str(), (path + "/t").c_str()); }));
  EXPECT_TRUE(refused([](const std::string& path) { ::unlink((path + "/reserve").c_str()); }));
  EXPECT_TRUE(refused([](const std::string& path) { WriteText(path + "/reserve", "used"); }));
  EXPECT_TRUE(refused([](const std::string& path) { WriteText(path + "/extra/file", "x"); }));
  EXPECT_TRUE(refused([this](const std::string& path) {
    ::rename((path + "/home").c_str(), (dir_ / "elsewhere").c_str());
    EXPECT_EQ(::symlink((dir_ / "elsewhere").c_str(), (path + "/home").c_str()), 0);
  }));
  EXPECT_TRUE(Exists(dir_ / "elsewhere/.netrc")) << "a link was followed";
  EXPECT_FALSE(spares.Keep(layout_.Attempt(Epoch(99)), Always)) << "there is none";
}

TEST_F(SparesTest, AFileWithAnotherNameElsewhereIsNotWrittenTo) {
  Spares spares(layout_);
  const std::string used = Used(spares);
  ASSERT_EQ(::link((used + "/attempt.bin").c_str(), (dir_ / "mine").c_str()), 0);
  ASSERT_TRUE(spares.Keep(used, Always));
  EXPECT_FALSE(Exists(*spares.Take() + "/attempt.bin"));
}

TEST_F(SparesTest, OnlyAFewAreKept) {
  Spares spares(layout_);
  std::vector<std::string> used;
  for (std::size_t i = 0; i <= Spares::kKept; ++i) used.push_back(Used(spares));
  for (std::size_t i = 0; i < Spares::kKept; ++i) EXPECT_TRUE(spares.Keep(used[i], Always));
  EXPECT_FALSE(spares.Keep(used.back(), Always));
}

TEST_F(SparesTest, TheJanitorMakesSparesOfWhatIsOverAndRemovesTheRest) {
  {
    Spares earlier(layout_);
    ASSERT_TRUE(layout_.Retire(Used(earlier)).ok());
    const std::string spoilt = Used(earlier);
    ::chmod((spoilt + "/tmp").c_str(), 0777);
    ASSERT_TRUE(layout_.Retire(spoilt).ok());
  }
  Janitor janitor(layout_);
  EXPECT_TRUE(test::Eventually([&] {
    return FilesContaining(layout_.Used(), "").empty() && FilesContaining(layout_.Trash(), "").empty() &&
           FilesContaining(layout_.Spare(), "").size() == 3;  // the facts, an empty log, the reserve
  }));
}

}  // namespace
}  // namespace waggle::attempt
