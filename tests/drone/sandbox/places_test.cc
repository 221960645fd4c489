// Users, the places they own, and the drone's own steps.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "drone/sandbox/own.h"
#include "drone/sandbox/users.h"
#include "drone/shim/step_setup.h"
#include "tests/support/temp_dir.h"

namespace waggle::sandbox {
namespace {

constexpr uid_t kFirst = 73000, kLast = 73003;

uid_t OwnerOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
  return info.st_uid;
}

class Users : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root runs jobs as other users";
  }
  absl::StatusOr<UserLease> Take(std::uint64_t start = 0) {
    return UserLease::Take(kFirst, kLast, start, temp_ / "locks");
  }
  test::TempDir temp_;
};

TEST_F(Users, NoTwoAtATimeAndNoneWhenAllAreTaken) {
  std::vector<UserLease> held;
  std::set<uid_t> users;
  for (int i = 0; i < 4; ++i) {
    auto lease = Take(7);
    ASSERT_TRUE(lease.ok()) << lease.status();
    users.insert(lease->user());
    held.push_back(*std::move(lease));
  }
  EXPECT_EQ(users.size(), 4u);
  EXPECT_EQ(Take().status().code(), absl::StatusCode::kResourceExhausted);
  const uid_t freed = held.back().user();
  held.pop_back();
  EXPECT_EQ(Take()->user(), freed);
}

TEST_F(Users, OneUnderWhichSomethingRunsIsNotFree) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t left = ::fork();
  if (left == 0) {
    const bool done = ::setresuid(kFirst, kFirst, kFirst) == 0;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!done || ::write(ready[1], "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_EQ(Take()->user(), kFirst + 1);
  ::kill(left, SIGKILL);
  ::waitpid(left, nullptr, 0);
  EXPECT_EQ(Take()->user(), kFirst);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(Users, ATreeIsGivenAwayButNotWhatLinksLeadTo) {
  const std::string tree = temp_ / "tree", outside = temp_ / "outside", shared = temp_ / "shared";
  ASSERT_EQ(::mkdir(tree.c_str(), 0700), 0);
  ASSERT_EQ(::mkdir((tree + "/d").c_str(), 0700), 0);
  for (const std::string& path : {outside, shared, tree + "/d/f"}) test::WriteText(path, "x");
  ASSERT_EQ(::symlink(outside.c_str(), (tree + "/link").c_str()), 0);
  ASSERT_EQ(::link(shared.c_str(), (tree + "/shared").c_str()), 0);
  ASSERT_TRUE(OwnTree(tree, kFirst).ok());
  EXPECT_EQ(OwnerOf(tree), kFirst);
  EXPECT_EQ(OwnerOf(tree + "/d"), kFirst);
  EXPECT_EQ(OwnerOf(tree + "/d/f"), kFirst);
  EXPECT_EQ(OwnerOf(tree + "/link"), kFirst);
  EXPECT_EQ(OwnerOf(outside), 0u);
  EXPECT_EQ(OwnerOf(shared), 0u);
  ASSERT_EQ(::symlink(tree.c_str(), (temp_ / "to").c_str()), 0);
  EXPECT_FALSE(OwnDirectory(temp_ / "to", kLast).ok());
}

// J10: whatever a document sets, the checkout has the same few variables.
TEST(OwnSteps, NothingOfTheJobReachesACheckout) {
  shim::Start start;
  start.base_directory = "/tmp";
  start.checkout.argv = {"sh", "-c", "true"};
  start.env = {{"WAGGLE_ATTEMPT_KEY", "key"}};
  for (const char* name : {"LD_PRELOAD",
                           "LD_LIBRARY_PATH",
                           "LD_AUDIT",
                           "BASH_ENV",
                           "ENV",
                           "PATH",
                           "HOME",
                           "IFS",
                           "PS4",
                           "PROMPT_COMMAND",
                           "CDPATH",
                           "SHELLOPTS",
                           "BASHOPTS",
                           "GIT_DIR",
                           "GIT_WORK_TREE",
                           "GIT_SSH",
                           "GIT_SSH_COMMAND",
                           "GIT_EXEC_PATH",
                           "GIT_ASKPASS",
                           "GIT_CONFIG_GLOBAL",
                           "GIT_CONFIG_COUNT",
                           "GIT_TEMPLATE_DIR",
                           "GIT_OBJECT_DIRECTORY",
                           "GIT_PROXY_COMMAND",
                           "XDG_CONFIG_HOME",
                           "HTTPS_PROXY",
                           "SSL_CERT_FILE",
                           "SSL_CERT_DIR",
                           "TMPDIR",
                           "MALLOC_CHECK_",
                           "GCONV_PATH",
                           "PYTHONSTARTUP"}) {
    start.env[name] = "/tmp/trap";
  }
  ASSERT_GE(start.env.size(), 30u);
  const shim::StepSetup setup = shim::PrepareCheckout(start);
  EXPECT_THAT(setup.spec.env,
              testing::UnorderedElementsAre("HOME=/nonexistent", "LANG=C.UTF-8", "TZ=UTC",
                                            "PATH=/usr/local/bin:/usr/bin:/bin", "WAGGLE_ATTEMPT_KEY=key"));
  EXPECT_EQ(setup.code, 0) << setup.error;
}

}  // namespace
}  // namespace waggle::sandbox
