#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/process/cgroup.h"
#include "common/process/spawn.h"
#include "common/process/tree.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"

namespace waggle::process {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

SpawnOptions Shell(std::string script) {
  SpawnOptions options;
  options.argv = {"sh", "-c", std::move(script)};
  return options;
}

absl::StatusOr<Captured> Capture(SpawnOptions options, std::string_view input = {}, Duration timeout = 20s,
                                 std::size_t max_output = 1 << 20, int cancel_fd = -1) {
  return RunCaptured(std::move(options), input, timeout, max_output, cancel_fd);
}

template <typename Condition>
bool Eventually(Condition condition, Duration limit = 10s) {
  for (Time end = BootClock::now() + limit; BootClock::now() < end; ::poll(nullptr, 0, 1)) {
    if (condition()) return true;
  }
  return condition();
}

TEST(RunCaptured, KeepsOutputsApartAndGivesTheExitCode) {
  auto result = Capture(Shell("printf out; printf err >&2; exit 7"));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out, "out");
  EXPECT_EQ(result->err, "err");
  EXPECT_EQ(result->exit_code, 7);
}

TEST(RunCaptured, FeedsInputOfAnySize) {
  std::string input(3'000'000, 'x');
  auto result = Capture(Shell("wc -c"), input);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out, "3000000\n");
  // A child that never reads is no problem either.
  EXPECT_TRUE(Capture(Shell("true"), input).ok());
}

TEST(RunCaptured, BytesAreNotText) {
  auto result = Capture(Shell("cat"), std::string_view("a\0b\xff\n", 5));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->out, std::string("a\0b\xff\n", 5));
}

TEST(RunCaptured, OutputThatFillsThePipeAtTheEndIsWhole) {
  auto result = Capture(Shell("head -c 500000 /dev/zero"));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->out.size(), 500000u);
}

TEST(RunCaptured, DeathBySignalIs128PlusIt) {
  auto result = Capture(Shell("kill -KILL $$"));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->exit_code, 137);
}

TEST(RunCaptured, TheDeadlineKillsTheGroup) {
  ASSERT_TRUE(BecomeSubreaper().ok());
  test::TempDir temp;
  std::string file = temp / "pid";
  auto result = Capture(Shell("trap '' INT TERM; sleep 100 & echo $! > " + file + "; wait"), {}, 300ms);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kDeadlineExceeded) << result.status();
  auto pid = ReadFile(file, 100);
  ASSERT_TRUE(pid.ok());
  EXPECT_TRUE(Eventually([&] { return ::waitpid(::atoi(pid->c_str()), nullptr, WNOHANG) > 0; }));
}

TEST(RunCaptured, CancelEndsIt) {
  UniqueFd cancel(::eventfd(1, EFD_CLOEXEC));
  auto result = Capture(Shell("sleep 100"), {}, 20s, 1000, cancel.get());
  EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled);
}

TEST(RunCaptured, EndlessOutputIsCut) {
  auto result = Capture(Shell("exec yes"), {}, 20s, 10'000);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(RunCaptured, KeepsTheEndOfStderr) {
  auto result =
      Capture(Shell("yes noise | head -c 100000 >&2; printf 'fatal: why' >&2; exit 3"), {}, 20s, 1000);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->err.size(), 1000u);
  EXPECT_TRUE(result->err.ends_with("fatal: why"));
}

TEST(RunCaptured, ABackgroundChildDoesNotHoldItUp) {
  Time began = BootClock::now();
  auto result = Capture(Shell("sleep 100 & echo done"));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->out, "done\n");
  EXPECT_LT(BootClock::now() - began, 10s);
}

TEST(Spawn, TellsAMissingDirectoryFromAMissingProgram) {
  SpawnOptions options = Shell("true");
  options.cwd = "/does/not/exist";
  auto result = Spawn(options);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("/does/not/exist"));

  options.cwd = "/";
  options.argv = {"no-such-program-here"};
  result = Spawn(options);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("no-such-program-here"));

  options.argv = {"/etc/hostname"};
  EXPECT_FALSE(Spawn(options).ok());
  options.argv.clear();
  EXPECT_EQ(Spawn(options).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Spawn, TheChildGetsOnlyWhatItIsGiven) {
  // Neither close-on-exec nor named: must not get through.
  int leaked = ::open("/dev/null", O_RDONLY);
  ASSERT_GE(leaked, 3);
  ::setenv("SECRET_OF_THE_PARENT", "1", 1);
  sigset_t usr1;
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  sigprocmask(SIG_BLOCK, &usr1, nullptr);
  auto old = ::signal(SIGPIPE, SIG_IGN);

  SpawnOptions options =
      Shell("ls /proc/self/fd | tr '\\n' ' '; pwd; env; grep -E 'Sig(Blk|Ign)' /proc/self/status");
  options.env = Environment{{"PATH", "/usr/bin:/bin"}, {"A", "1"}};
  options.cwd = "/usr";
  auto result = Capture(options);
  ::close(leaked);
  ::signal(SIGPIPE, old);
  sigprocmask(SIG_UNBLOCK, &usr1, nullptr);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->out.starts_with("0 1 2 3 /usr\n")) << result->out;  // 3 is the directory ls reads
  EXPECT_THAT(result->out, HasSubstr("A=1"));
  EXPECT_THAT(result->out, ::testing::Not(HasSubstr("SECRET_OF_THE_PARENT")));
  EXPECT_THAT(result->out, HasSubstr("SigBlk:\t0000000000000000"));
  // Whatever else the host ignores for all (the C library keeps 32 and 33 to itself), SIGPIPE is back to its
  // default.
  std::size_t ignored = result->out.find("SigIgn:\t");
  ASSERT_NE(ignored, std::string::npos);
  EXPECT_EQ(::strtoull(result->out.c_str() + ignored + 8, nullptr, 16) & 0x7fff'ffffULL, 0u);
}

TEST(Spawn, PassesOneDescriptorAtItsNumberAndLeadsASession) {
  int fds[2];
  ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  UniqueFd read_end(fds[0]), write_end(fds[1]);
  SpawnOptions options =
      Shell("for n in 3 4 5 6; do [ -e /proc/$$/fd/$n ] && printf \"$n \" >&5; done; ps -o sid= -p $$ >&5");
  options.extra = SpawnOptions::ExtraFd{write_end.get(), 5};
  auto process = Spawn(options);
  ASSERT_TRUE(process.ok()) << process.status();
  write_end.Reset();
  std::string out;
  char chunk[256];
  for (ssize_t n; (n = ::read(read_end.get(), chunk, sizeof chunk)) > 0;) out.append(chunk, n);
  int status = 0;
  ASSERT_EQ(::waitpid(process->pid, &status, 0), process->pid);
  EXPECT_TRUE(out.starts_with("5 ")) << out;
  EXPECT_THAT(out, HasSubstr(absl::StrCat(process->pid)));
}

TEST(FindProgram, LooksWhereItIsTold) {
  EXPECT_EQ(FindProgram("sh", "/nowhere:/bin"), "/bin/sh");
  EXPECT_EQ(FindProgram("sh", "/nowhere"), std::nullopt);
  EXPECT_EQ(FindProgram("", "/bin"), std::nullopt);
  EXPECT_EQ(FindProgram("./sh", "/nowhere", "/bin"), "/bin/./sh");
  EXPECT_EQ(FindProgram("sh", "bin", "/usr"), "/usr/bin/sh");
}

TEST(Tree, KillsSetsidAndDoubleForkedChildren) {
  ASSERT_TRUE(BecomeSubreaper().ok());
  test::TempDir temp;
  const std::string& dir = temp.path();
  auto process =
      Spawn(Shell("trap '' INT TERM\n"
                  "(trap '' INT TERM; setsid sleep 100 & setsid sh -c 'sleep 100 & sleep 100' &)\n"
                  "touch " +
                  dir + "/up; sleep 100; sleep 100"));
  ASSERT_TRUE(process.ok()) << process.status();
  ASSERT_TRUE(Eventually([&] { return ::access((dir + "/up").c_str(), F_OK) == 0; }));
  ASSERT_TRUE(Eventually([&] { return Descendants(::getpid()).size() >= 5; }));
  SignalTree(::getpid(), SIGINT);
  TreeKilled result = KillDescendants(10s);
  EXPECT_GE(result.killed, 1u);
  EXPECT_EQ(result.left, 0u);
  EXPECT_TRUE(Descendants(::getpid()).empty());
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

TEST(Tree, SignalReachesAWholeTreeOnce) {
  ASSERT_TRUE(BecomeSubreaper().ok());
  test::TempDir temp;
  const std::string& dir = temp.path();
  // Each shell counts its TERMs; two of them share a group, one has its own session.
  ASSERT_TRUE(WriteFileDurably(dir + "/count",
                               "trap 'echo x >> $F' TERM; touch $F\n"
                               "while [ ! -e " +
                                   dir + "/stop ]; do sleep 0.01; done\n")
                  .ok());
  auto process =
      Spawn(Shell("cd " + dir + "; F=a sh count & F=b setsid sh count & trap : TERM; wait; wait; wait"));
  ASSERT_TRUE(process.ok());
  auto size = [&](const char* name) {
    auto text = ReadFile(dir + "/" + name, 100);
    return text.ok() ? static_cast<int>(text->size()) : -1;
  };
  ASSERT_TRUE(Eventually([&] { return size("a") == 0 && size("b") == 0; }));
  SignalTree(::getpid(), SIGTERM);
  EXPECT_TRUE(Eventually([&] { return size("a") == 2 && size("b") == 2; }));
  ASSERT_TRUE(WriteAll(Open(dir + "/stop", O_CREAT | O_WRONLY)->get(), std::string_view("")).ok());
  EXPECT_TRUE(Eventually([&] { return ::waitpid(process->pid, nullptr, WNOHANG) == process->pid; }));
  EXPECT_EQ(size("a"), 2);
  EXPECT_EQ(size("b"), 2);
  KillDescendants(10s);
}

TEST(Tree, FindsAndKillsByMark) {
  ASSERT_TRUE(BecomeSubreaper().ok());
  std::string key = absl::StrCat("test-", ::getpid());
  SpawnOptions options = Shell("setsid sleep 100 & sleep 100");
  options.env = Environment{{"PATH", "/usr/bin:/bin"}, {"WAGGLE_ATTEMPT_KEY", key}};
  SpawnOptions other = Shell("exec sleep 100");
  other.env = Environment{{"PATH", "/usr/bin:/bin"}, {"WAGGLE_ATTEMPT_KEY", key + "0"}};
  auto marked = Spawn(options);
  auto unmarked = Spawn(other);
  ASSERT_TRUE(marked.ok() && unmarked.ok());
  ASSERT_TRUE(Eventually([&] { return FindMarked(key).size() == 3; }));
  EXPECT_THAT(FindMarked(key), ::testing::Contains(marked->pid));
  TreeKilled result = KillMarked(key, 10s);
  EXPECT_GE(result.killed, 3u);
  EXPECT_EQ(result.left, 0u);
  EXPECT_TRUE(FindMarked(key).empty());
  EXPECT_EQ(FindMarked(key + "0").size(), 1u);
  KillDescendants(10s);
}

// Holds on hosts with a writable cgroup2 and on those without: there the failure must be a plain answer.
TEST(CgroupTest, KillsAllAtOnceOrSaysThatThereIsNone) {
  ASSERT_TRUE(BecomeSubreaper().ok());
  std::string name = absl::StrCat("process-test-", ::getpid());
  auto cgroup = Cgroup::Create(name);
  if (!cgroup.ok()) {
    EXPECT_FALSE(std::string(cgroup.status().message()).empty());
    return;
  }
  EXPECT_EQ(Cgroup::Create(name).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE((*cgroup)->Empty().value());
  int fds[2];
  ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  UniqueFd in(fds[0]), hold(fds[1]);
  SpawnOptions options = Shell("read go; setsid sleep 100 & sleep 100");
  options.stdin_fd = in.get();
  auto process = Spawn(options);
  ASSERT_TRUE(process.ok());
  ASSERT_TRUE((*cgroup)->Add(process->pid).ok());
  EXPECT_FALSE((*cgroup)->Empty().value());
  EXPECT_EQ((*cgroup)->Remove(0s).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(WriteAll(hold.get(), std::string_view("go\n")).ok());
  ASSERT_TRUE(Eventually([&] { return Descendants(process->pid).size() >= 2; }));
  auto adopted = Cgroup::Adopt(name);
  ASSERT_TRUE(adopted.ok());
  ASSERT_TRUE((*adopted)->Kill().ok());
  ASSERT_TRUE(Eventually([&] { return (*adopted)->Empty().value_or(false); }));
  EXPECT_TRUE((*adopted)->Remove(5s).ok());
  EXPECT_EQ(Cgroup::Adopt(name).status().code(), absl::StatusCode::kNotFound);
  KillDescendants(10s);
}

}  // namespace
}  // namespace waggle::process
