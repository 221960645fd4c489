#include "drone/attempt/spares.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
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
  Spare Used(Spares& spares) {
    auto spare = spares.Take();
    EXPECT_TRUE(spare.ok()) << spare.status();
    const std::string path = layout_.Attempt(Epoch(++epoch_));
    EXPECT_EQ(::rename(spare->path.c_str(), path.c_str()), 0);
    WriteText(path + "/attempt.bin", "facts");
    WriteText(path + "/shim.log", "");
    WriteText(path + "/spool.000", "what one project printed");
    ::chmod((path + "/spool.000").c_str(), 0600);
    WriteText(path + "/spool.001", "and more");
    WriteText(path + "/home/.netrc", "password");
    WriteText(path + "/tmp/deep/er/step-0.sh", "echo");
    WriteText(path + "/work/src/main.c", "int main");
    WriteText(path + "/work/notes", "beside it");
    return {path, std::move(spare->listener)};
  }

  test::TempDir dir_;
  Layout layout_;
  std::uint64_t epoch_ = 0;
};

TEST_F(SparesTest, TheNextAttemptFindsNothingOfTheLast) {
  Spares spares(layout_);
  Spare used = Used(spares);
  const std::string path = used.path;
  struct stat before, after;
  ASSERT_EQ(::stat((path + "/reserve").c_str(), &before), 0);
  ASSERT_TRUE(spares.Keep(std::move(used), Always));
  EXPECT_FALSE(Exists(path));
  auto next = spares.Take();
  ASSERT_TRUE(next.ok());
  ASSERT_EQ(::stat((next->path + "/reserve").c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino) << "it was made anew";
  EXPECT_EQ(after.st_size, 0);
  EXPECT_GE(after.st_blocks * 512, 512 * 1024);
  for (const char* gone : {"spool.001", "home/.netrc", "tmp/deep", "work/notes", "work/src/main.c"}) {
    EXPECT_FALSE(Exists(next->path + "/" + gone)) << gone;
  }
  ASSERT_EQ(::stat((next->path + "/spool.000").c_str(), &after), 0);
  EXPECT_EQ(after.st_size, 0);
  for (const char* made : {"home", "tmp", "work/src"}) EXPECT_TRUE(Exists(next->path + "/" + made)) << made;
  EXPECT_TRUE(spares.Take().ok()) << "made when there is none";
}

TEST_F(SparesTest, TheNextShimListensOnTheSocketOfTheLast) {
  Spares spares(layout_);
  Spare used = Used(spares);
  const int descriptor = used.listener.fd.get();
  auto late = ConnectToShim(used.path);
  ASSERT_TRUE(late.ok()) << late.status();
  ASSERT_TRUE(spares.Keep(std::move(used), Always));
  auto next = spares.Take();
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(next->listener.fd.get(), descriptor);
  char byte = 0;
  EXPECT_EQ(::recv(late->get(), &byte, 1, 0), 0) << "who called the last shim reaches the next";
  auto caller = ConnectToShim(next->path);
  ASSERT_TRUE(caller.ok()) << caller.status();
  UniqueFd heard(::accept(next->listener.fd.get(), nullptr, nullptr));
  ASSERT_TRUE(heard.valid());
  ASSERT_EQ(::send(heard.get(), "x", 1, 0), 1);
  EXPECT_EQ(::recv(caller->get(), &byte, 1, 0), 1);
}

TEST_F(SparesTest, WhatAJobChangedIsNotKept) {
  Spares spares(layout_);
  auto refused = [&](const std::function<void(const std::string&)>& change) {
    Spare used = Used(spares);
    change(used.path);
    return !spares.Keep(std::move(used), Always);
  };
  EXPECT_TRUE(refused([](const std::string& path) { ::chmod((path + "/work").c_str(), 0755); }));
  EXPECT_TRUE(refused([](const std::string& path) { ::unlink((path + "/shim.sock").c_str()); }));
  EXPECT_TRUE(refused([](const std::string& path) {
    ::unlink((path + "/shim.sock").c_str());
    EXPECT_TRUE(ListenForDaemon(path).ok()) << "a socket of its own";
  }));
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
  Spare none = Used(spares);
  none.path = layout_.Attempt(Epoch(99));
  EXPECT_FALSE(spares.Keep(std::move(none), Always)) << "there is none";
}

TEST_F(SparesTest, WhatWasAnotherUsersIsOursAgain) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root has jobs of other users";
  Spares spares(layout_);
  Spare used = Used(spares);
  for (const char* name : {"/home", "/tmp", "/work", "/work/src"}) {
    ::chown((used.path + name).c_str(), 70000, 70000);
    ::chmod((used.path + name).c_str(), 07777);
  }
  ::chmod(used.path.c_str(), 0711);
  WriteText(used.path + "/steps/step-0.sh", "x");
  ASSERT_TRUE(spares.Keep(std::move(used), Always));
  auto next = spares.Take();
  ASSERT_TRUE(next.ok());
  EXPECT_FALSE(Exists(next->path + "/steps"));
  for (const char* name : {"", "/home", "/tmp", "/work", "/work/src"}) {
    struct stat info {};
    ASSERT_EQ(::stat((next->path + name).c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, 0u) << name;
    EXPECT_EQ(info.st_mode & 07777, 0700u) << name;
  }
}

TEST_F(SparesTest, AFileWithAnotherNameElsewhereIsNotWrittenTo) {
  Spares spares(layout_);
  Spare used = Used(spares);
  ASSERT_EQ(::link((used.path + "/attempt.bin").c_str(), (dir_ / "mine").c_str()), 0);
  ASSERT_EQ(::link((used.path + "/spool.000").c_str(), (dir_ / "mine, too").c_str()), 0);
  ASSERT_TRUE(spares.Keep(std::move(used), Always));
  auto next = spares.Take();
  ASSERT_TRUE(next.ok());
  EXPECT_FALSE(Exists(next->path + "/attempt.bin"));
  EXPECT_EQ(test::ReadText(dir_ / "mine, too"), "what one project printed");
}

TEST_F(SparesTest, OnlyAFewAreKept) {
  Spares spares(layout_);
  std::vector<Spare> used;
  for (std::size_t i = 0; i <= Spares::kKept; ++i) used.push_back(Used(spares));
  for (std::size_t i = 0; i < Spares::kKept; ++i) EXPECT_TRUE(spares.Keep(std::move(used[i]), Always));
  EXPECT_FALSE(spares.Keep(std::move(used.back()), Always));
}

TEST_F(SparesTest, TheJanitorMakesSparesOfWhatIsOverAndRemovesTheRest) {
  {
    Spares earlier(layout_);
    ASSERT_TRUE(layout_.Retire(Used(earlier).path).ok());  // whose socket nobody holds any more
  }
  Janitor janitor(layout_);
  Spare used = Used(*janitor.spares()), spoilt = Used(*janitor.spares());
  ::chmod((spoilt.path + "/tmp").c_str(), 0777);
  ASSERT_TRUE(janitor.Retire(used.path, std::move(used.listener)).ok());
  ASSERT_TRUE(janitor.Retire(spoilt.path, std::move(spoilt.listener)).ok());
  janitor.Sweep();
  EXPECT_TRUE(test::Eventually([&] {
    return FilesContaining(layout_.Used(), "").empty() && FilesContaining(layout_.Trash(), "").empty() &&
           FilesContaining(layout_.Spare(), "").size() == 4;  // facts, reserve, an empty log and spool
  }));
}

}  // namespace
}  // namespace waggle::attempt
