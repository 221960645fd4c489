// Cancel means dead: jobs of all kinds that do not want to end, with a cgroup and without one.
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <tuple>

#include "common/base/fd.h"
#include "common/process/cgroup.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shim_process.h"

namespace waggle::shim {
namespace {

using namespace std::chrono_literals;

constexpr int kRuns = 3;

// A process that has nothing to do with the job.
class Canary {
 public:
  Canary() : pid_(::fork()) {
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) ::pause();
  }
  ~Canary() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  bool Lives() const { return ::waitpid(pid_, nullptr, WNOHANG) == 0; }

 private:
  const pid_t pid_;
};

// What is started while it lives sees no cgroup2 at all. REQUIRES: root, one thread.
class WithoutCgroups {
 public:
  WithoutCgroups() {
    auto before = Open("/proc/self/ns/mnt", O_RDONLY);
    if (!before.ok() || ::unshare(CLONE_NEWNS) != 0) return;
    before_ = *std::move(before);
    bool gone = ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    for (const char* path : {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"}) ::umount2(path, MNT_DETACH);
    done_ = gone;
  }
  ~WithoutCgroups() {
    if (!before_.valid()) return;
    EXPECT_EQ(::setns(before_.get(), CLONE_NEWNS), 0);
  }
  bool done() const { return done_; }

 private:
  UniqueFd before_;
  bool done_ = false;
};

class Zoo : public ::testing::TestWithParam<std::tuple<const char*, bool, Isolation>> {
 protected:
  void CancelIt(const char* kind, Isolation mode) {
    ShimProcess shim;
    Canary canary;
    Start start = shim.NewStart();
    const std::string zoo = ZOO_BINARY;
    shim.Isolate(mode, {zoo.substr(0, zoo.rfind('/'))}, &start);
    const std::string pipe = start.base_directory + "/lives";
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    ASSERT_EQ(::chmod(pipe.c_str(), 0666), 0);
    auto lives = Open(pipe, O_RDONLY | O_NONBLOCK);
    ASSERT_TRUE(lives.ok());

    start.interrupt = start.terminate = 50ms;
    Step step;
    step.command = ZOO_BINARY;
    step.args = {kind, pipe};
    start.phases[kTest] = {step};
    start.phases[kCleanup] = {Script("echo cleaned")};
    shim.Connect();
    shim.Send(start);
    ASSERT_TRUE(shim.AwaitOutput("ready\n")) << shim.ShimLog();
    pollfd writers{lives->get(), POLLIN, 0};
    ASSERT_EQ(::poll(&writers, 1, 0), 0);  // somebody holds it

    const Time began = BootClock::now();
    shim.Send(Cancel{"anna", ""});
    ASSERT_EQ(shim.AwaitExit(), 0) << shim.ShimLog();
    EXPECT_LT(BootClock::now() - began, start.interrupt + start.terminate + 5s);
    ASSERT_EQ(::poll(&writers, 1, 0), 1);  // the verdict came after the last of them
    EXPECT_TRUE(writers.revents & POLLHUP);
    EXPECT_TRUE(canary.Lives());
    auto final = shim.Final();
    ASSERT_TRUE(final.has_value());
    EXPECT_EQ(final->reason, Reason::kCanceled);
    EXPECT_EQ(final->processes_left, 0u);
    EXPECT_GT(final->kill_nanos, 0u);
    EXPECT_EQ(shim.Out(), "ready\ncleaned\n");  // what came before the end is kept
  }
};

TEST_P(Zoo, NothingIsLeftAndOthersLive) {
  const auto [kind, cgroup, mode] = GetParam();
  if (const std::string why = WhyNot(mode); !why.empty()) GTEST_SKIP() << Name(mode) << " " << why;
  if (cgroup && !process::Cgroup::OwnDirectory().ok()) GTEST_SKIP() << "there is no cgroup2 here";
  std::optional<WithoutCgroups> without;
  if (!cgroup) {
    without.emplace();
    if (!without->done()) GTEST_SKIP() << "needs root";
  }
  for (int run = 0; run < kRuns && !HasFatalFailure(); ++run) CancelIt(kind, mode);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, Zoo,
    ::testing::Combine(::testing::Values("daemon", "fork_loop", "vfork", "many", "namespace", "ptrace",
                                         "hidden", "stopped", "leaves_cgroup", "ignores"),
                       ::testing::Bool(),
                       ::testing::Values(Isolation::kNone, Isolation::kUser, Isolation::kBubblewrap)),
    [](const auto& info) {
      return std::string(std::get<0>(info.param)) + (std::get<1>(info.param) ? "_cgroup_" : "_tree_") +
             std::string(Name(std::get<2>(info.param)));
    });

}  // namespace
}  // namespace waggle::shim
