// J8 and J12: what a job leaves is removed with root's rights, and nothing else is.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "common/base/fd.h"
#include "drone/attempt/janitor.h"
#include "tests/support/temp_dir.h"

namespace waggle::attempt {
namespace {

namespace fs = std::filesystem;

class Removal : public testing::Test {
 protected:
  Removal() {
    for (const char* name : {"top", "canary", "canary/d"}) fs::create_directories(temp_ / name);
    for (int i = 0; i < 20; ++i) test::WriteText(temp_ / ("canary/d/" + std::to_string(i)), "x");
    ::chmod((temp_ / "canary").c_str(), 0500);
  }
  ~Removal() override { ::chmod((temp_ / "canary").c_str(), 0700); }
  bool Empty() {
    auto top = Open(temp_ / "top", O_RDONLY | O_DIRECTORY);
    EXPECT_TRUE(EmptyDirectory(top->get(), [] { return true; }));
    return fs::is_empty(temp_ / "top");
  }
  void ExpectCanaryLives() {
    struct stat info {};
    ASSERT_EQ(::stat((temp_ / "canary").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0500u);
    EXPECT_EQ(std::distance(fs::directory_iterator(temp_ / "canary/d"), fs::directory_iterator()), 20);
  }
  test::TempDir temp_;
};

// A racer swaps a directory for a link to the canary and back, 100,000 times.
TEST_F(Removal, ARacerWhoSwapsDirectoriesForLinksLeadsNowhere) {
  constexpr int kSwaps = 100'000;
  const std::string real = temp_ / "top/d", other = temp_ / "top/e";
  std::atomic<bool> over = false;
  ASSERT_EQ(::symlink((temp_ / "canary").c_str(), other.c_str()), 0);
  std::thread racer([&] {
    for (int i = 0; i < kSwaps; ++i) {
      ::mkdir(real.c_str(), i % 7 == 0 ? 0 : 0700);
      const int file = ::open((real + "/f").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
      if (file >= 0) ::close(file);
      if (::symlink((temp_ / "canary").c_str(), other.c_str()) != 0 && errno != EEXIST) continue;
      ::syscall(SYS_renameat2, AT_FDCWD, real.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE);
    }
    over = true;
  });
  int rounds = 0;
  while (!over) {
    auto top = Open(temp_ / "top", O_RDONLY | O_DIRECTORY);
    if (!top.ok()) break;
    EmptyDirectory(top->get(), [] { return true; });
    ++rounds;
  }
  racer.join();
  EXPECT_GT(rounds, 10);
  EXPECT_TRUE(Empty());
  ExpectCanaryLives();
}

TEST_F(Removal, CopesWithModesFlagsPipesSocketsAndDepth) {
  const std::string top = temp_ / "top";
  for (const char* name : {"/setuid", "/frozen", "/append"}) test::WriteText(top + name, "x");
  ::chmod((top + "/setuid").c_str(), 06755);
  ASSERT_EQ(::mkfifo((top + "/fifo").c_str(), 0), 0);
  fs::create_directories(top + "/sticky/in");
  ::chmod((top + "/sticky").c_str(), 01777);
  fs::create_directories(top + "/closed/in/deeper");
  ::chmod((top + "/closed/in").c_str(), 0);
  ::chmod((top + "/closed").c_str(), 0);
  fs::create_directories(top + "/fixed");
  test::WriteText(top + "/fixed/f", "x");
  std::string deep = top;
  for (int i = 0; i < 150; ++i) ASSERT_EQ(::mkdir((deep += "/d").c_str(), 0700), 0);
  for (const auto& [path, flag] :
       {std::pair(top + "/frozen", FS_IMMUTABLE_FL), std::pair(top + "/append", FS_APPEND_FL),
        std::pair(top + "/fixed", FS_IMMUTABLE_FL)}) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    int flags = 0;
    if (::ioctl(file.get(), FS_IOC_GETFLAGS, &flags) != 0) continue;  // not on this file system
    flags |= flag;
    if (::ioctl(file.get(), FS_IOC_SETFLAGS, &flags) != 0) std::cerr << "no flags here for " << path << "\n";
  }
  EXPECT_TRUE(Empty());
  ExpectCanaryLives();
}

}  // namespace
}  // namespace waggle::attempt
