#include "tests/support/small_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

namespace waggle::test {

SmallDisk::SmallDisk(std::string path, const std::string& options) : path_(std::move(path)) {
  std::filesystem::create_directories(path_);
  mounted_ = ::mount("tmpfs", path_.c_str(), "tmpfs", 0, options.c_str()) == 0;
  EXPECT_TRUE(mounted_) << "a tmpfs cannot be mounted: " << std::strerror(errno)
                        << "; this test has to run as root with CAP_SYS_ADMIN";
}

SmallDisk::~SmallDisk() {
  if (!mounted_) return;
  EXPECT_EQ(::umount2(path_.c_str(), MNT_DETACH), 0) << std::strerror(errno);
}

void SmallDisk::Fill() {
  const int file = ::open((path_ + "/foreign").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  ASSERT_GE(file, 0) << std::strerror(errno);
  const std::string block(4096, 'x');
  while (::write(file, block.data(), block.size()) > 0) {
  }
  EXPECT_EQ(errno, ENOSPC) << std::strerror(errno);
  ::close(file);
}

void SmallDisk::Free() {
  EXPECT_EQ(::unlink((path_ + "/foreign").c_str()), 0) << std::strerror(errno);
}

void SmallDisk::Remount(const std::string& options) {
  EXPECT_EQ(::mount("tmpfs", path_.c_str(), "tmpfs", MS_REMOUNT, options.c_str()), 0) << std::strerror(errno);
}

}  // namespace waggle::test
