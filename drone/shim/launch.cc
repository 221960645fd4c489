#include "drone/shim/launch.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>

namespace waggle::shim {
namespace {

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (const std::string& s : strings) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

// What the child tells the shim, in memory that both see, whether or not they share all of it.
struct Shared {
  volatile int error;
  volatile Launched::Stage stage;
  volatile pid_t pid;  // of the sister
};

Shared* SharedPage() {
  static void* page =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return page == MAP_FAILED ? nullptr : static_cast<Shared*>(page);
}

[[noreturn]] void Fail(Shared* shared, Launched::Stage stage) {
  shared->error = errno;
  shared->stage = stage;
  ::_exit(127);
}

// Between vfork and exec: only system calls, nothing that allocates. The memory may be the parent's, which
// stands still.
[[noreturn]] void Child(const LaunchSpec& spec, pid_t shim, char* const* argv, char* const* env,
                        Shared* shared) {
  struct sigaction defaults = {};
  defaults.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &defaults, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);

  ::setpgid(0, 0);
  if (spec.enter != nullptr && !sandbox::Become(*spec.enter)) Fail(shared, Launched::Stage::kEnter);
  // Behind the change of user, which clears it. A parent in another pid namespace has the number 0.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  const pid_t parent = ::getppid();
  if (parent != shim && parent != 0) ::_exit(127);  // the shim died before the line above took effect
  const int entered = spec.directory >= 0 ? ::fchdir(spec.directory) : ::chdir(spec.path.c_str());
  if (entered != 0) Fail(shared, Launched::Stage::kDirectory);
  if (::dup2(spec.in, 0) == 0 && ::dup2(spec.out, 1) == 1 && ::dup2(spec.err, 2) == 2) {
    const bool channel = spec.channel >= 0 && ::dup2(spec.channel, kChannelFd) == kChannelFd;
    ::syscall(SYS_close_range, channel ? kChannelFd + 1U : 3U, ~0U, 0U);
    ::execve(spec.program.c_str(), argv, env);
  }
  Fail(shared, Launched::Stage::kExec);
}

// Like fork, but the parent waits until the child has executed or exited. Born in `cgroup` if there is one,
// with `sister` as a child of our parent.
pid_t Clone(int cgroup, bool sister) {
  clone_args args{};
  args.flags = CLONE_VFORK;
  if (sister) {
    args.flags |= CLONE_PARENT;
  } else {
    args.exit_signal = SIGCHLD;
  }
  if (cgroup >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<std::uint64_t>(cgroup);
  }
  return static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
}

void Await(pid_t pid) {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// In a copy of the shim: joins, and has the command as its sister.
[[noreturn]] void Join(const LaunchSpec& spec, pid_t shim, char* const* argv, char* const* env,
                       Shared* shared) {
  if (!sandbox::Join(*spec.enter)) Fail(shared, Launched::Stage::kEnter);
  const pid_t pid = Clone(-1, /*sister=*/true);
  if (pid == 0) Child(spec, shim, argv, env, shared);
  shared->pid = pid;
  if (pid < 0) Fail(shared, Launched::Stage::kEnter);
  ::_exit(0);
}

}  // namespace

Launched Launch(const LaunchSpec& spec) {
  std::vector<char*> argv = Pointers(spec.argv);
  std::vector<char*> env = Pointers(spec.env);
  const pid_t shim = ::getpid();
  Shared* const shared = SharedPage();
  if (shared == nullptr) return {.fork_error = ENOMEM};
  shared->error = 0;
  shared->stage = Launched::Stage::kExec;
  shared->pid = -1;
  const volatile bool joins = spec.enter != nullptr && spec.enter->holder >= 0;
  pid_t pid = spec.cgroup < 0 ? -1 : Clone(spec.cgroup, /*sister=*/false);
  // A join needs memory of its own: what it forbids others to look at is not the shim's.
  if (pid < 0 && joins) pid = Clone(-1, /*sister=*/false);
  if (pid < 0 && !joins) pid = ::vfork();
  if (pid == 0) {
    if (joins) Join(spec, shim, argv.data(), env.data(), shared);
    Child(spec, shim, argv.data(), env.data(), shared);
  }
  if (pid < 0) return {.fork_error = errno};
  if (joins) {
    Await(pid);
    pid = shared->pid;
  }
  if (shared->error == 0 && pid > 0) return {.pid = pid};
  if (pid > 0) Await(pid);
  return {.exec_error = shared->error != 0 ? shared->error : ESRCH, .stage = shared->stage};
}

}  // namespace waggle::shim
