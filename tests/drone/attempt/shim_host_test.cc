#include "drone/attempt/shim_host.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "common/process/tree.h"
#include "drone/attempt/pidfd.h"
#include "drone/attempt/shim_socket.h"
#include "tests/support/child.h"
#include "tests/support/temp_dir.h"

namespace waggle::attempt {
namespace {

using test::CommandLineOf;
using test::Eventually;
using test::IsAlive;
using test::WriteText;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kIdentity = "0123456789abcdef0123456789abcdef";

class ShimHostTest : public testing::Test {
 protected:
  ~ShimHostTest() override {
    for (process::Process& shim : shims_) {
      ::pidfd_send_signal(shim.pidfd.get(), SIGKILL, nullptr, 0);
      ::waitpid(shim.pid, nullptr, 0);
    }
  }

  absl::StatusOr<pid_t> Start(ShimHost& host, const std::string& number) {
    const std::string directory = dir_ / number;
    std::filesystem::create_directory(directory);
    absl::StatusOr<Listener> listener = ListenForDaemon(directory);
    absl::StatusOr<UniqueFd> log = Open(directory + "/shim.log", O_WRONLY | O_CREAT | O_APPEND);
    EXPECT_TRUE(listener.ok() && log.ok());
    absl::StatusOr<process::Process> shim =
        host.Start(directory, std::string(kIdentity) + "-" + number, listener->fd.get(), log->get());
    if (!shim.ok()) return shim.status();
    shims_.push_back(std::move(*shim));
    return shims_.back().pid;
  }

  test::TempDir dir_;
  std::vector<process::Process> shims_;
};

TEST_F(ShimHostTest, ACopyIsAChildOfOursWithItsOwnNameMarkAndDescriptors) {
  ShimHost host(WAGGLE_SHIM_PATH, dir_.path(), kIdentity);
  const pid_t one = Start(host, "7").value();
  const pid_t two = Start(host, "18446744073709551615").value();
  const std::string lead = std::string(WAGGLE_SHIM_PATH) + " --lead ";
  EXPECT_TRUE(Eventually([&] { return CommandLineOf(one) == lead + (dir_ / "7"); })) << CommandLineOf(one);
  EXPECT_TRUE(Eventually([&] { return CommandLineOf(two) == lead + (dir_ / "18446744073709551615"); }));
  const auto fds = [&] {
    std::set<std::string> targets;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(one) + "/fd")) {
      std::string target = std::filesystem::read_symlink(entry.path());
      targets.insert(target.substr(0, target.find(':')));
    }
    return targets;
  };
  EXPECT_TRUE(Eventually([&] {
    return fds() == std::set<std::string>{"/dev/null", dir_ / "7/shim.log", "socket", "anon_inode"};
  }));
  EXPECT_THAT(process::FindMarked(std::string(kIdentity) + "-7"), ElementsAre(one));
  EXPECT_EQ(::getsid(one), one);
  EXPECT_EQ(std::filesystem::read_symlink("/proc/" + std::to_string(one) + "/cwd"), dir_ / "7");
  EXPECT_TRUE(ConnectToShim(dir_ / "7").ok());
  EXPECT_EQ(::kill(one, SIGKILL), 0);
  int status = 0;
  EXPECT_EQ(::waitpid(one, &status, 0), one) << "it is not our child";
  EXPECT_TRUE(WIFSIGNALED(status));
  shims_.erase(shims_.begin());
}

TEST_F(ShimHostTest, ShimsOutliveTheirHost) {
  pid_t shim = 0, process = 0;
  {
    ShimHost host(WAGGLE_SHIM_PATH, dir_.path(), kIdentity);
    shim = Start(host, "1").value();
    process = host.pid();
    EXPECT_TRUE(IsAlive(process));
  }
  EXPECT_FALSE(IsAlive(process));
  EXPECT_TRUE(IsAlive(shim));
}

TEST_F(ShimHostTest, AHostThatWasKilledIsReplaced) {
  ShimHost host(WAGGLE_SHIM_PATH, dir_.path(), kIdentity);
  ASSERT_TRUE(Start(host, "1").ok());
  const pid_t first = host.pid();
  ASSERT_EQ(::kill(first, SIGKILL), 0);
  ASSERT_TRUE(Start(host, "2").ok());
  EXPECT_NE(host.pid(), first);
  const pid_t second = host.pid();
  ASSERT_TRUE(Start(host, "3").ok());
  EXPECT_EQ(host.pid(), second);
  // Somebody waited for it in our place.
  ASSERT_EQ(::kill(second, SIGKILL), 0);
  ASSERT_EQ(::waitpid(second, nullptr, 0), second);
  EXPECT_TRUE(Start(host, "4").ok());
}

TEST_F(ShimHostTest, ANewProgramIsUsedAtOnce) {
  const std::string program = dir_ / "waggle-shim";
  std::filesystem::copy_file(WAGGLE_SHIM_PATH, program);
  ShimHost host(program, dir_.path(), kIdentity);
  ASSERT_TRUE(Start(host, "1").ok());
  std::filesystem::remove(program);
  EXPECT_TRUE(absl::IsNotFound(Start(host, "2").status()));
  WriteText(program, "#!/bin/sh\necho boom >&2; exit 3\n");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  const absl::Status broken = Start(host, "3").status();
  EXPECT_TRUE(absl::IsUnavailable(broken)) << broken;
  EXPECT_THAT(std::string(broken.message()), HasSubstr("ended at once: it exited with code 3"));
  EXPECT_EQ(test::ReadText(dir_ / "3/shim.log"), "boom\n");
  std::filesystem::remove(program);
  std::filesystem::copy_file(WAGGLE_SHIM_PATH, program);
  EXPECT_TRUE(Start(host, "4").ok());
}

TEST_F(ShimHostTest, AProgramThatHangsIsKilledAndSaidToHang) {
  const std::string program = dir_ / "waggle-shim";
  WriteText(program, "#!/bin/sh\nexec sleep 1000\n");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  ShimHost host(program, dir_.path(), kIdentity, std::chrono::milliseconds(100));
  const absl::Status hung = Start(host, "1").status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(hung)) << hung;
  EXPECT_EQ(hung.message(), program + " did not answer for 100 ms, so it was killed");
  EXPECT_EQ(host.pid(), 0);
}

}  // namespace
}  // namespace waggle::attempt
