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

// Between vfork and exec: only system calls, nothing that allocates. The memory is the parent's, which stands
// still.
[[noreturn]] void Child(const LaunchSpec& spec, pid_t shim, char* const* argv, char* const* env,
                        volatile int* error) {
  struct sigaction defaults = {};
  defaults.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &defaults, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);

  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (::getppid() != shim) ::_exit(127);  // the shim died before the line above took effect
  if (::fchdir(spec.directory) == 0 && ::dup2(spec.in, 0) == 0 && ::dup2(spec.out, 1) == 1 &&
      ::dup2(spec.err, 2) == 2) {
    const bool channel = spec.channel >= 0 && ::dup2(spec.channel, kChannelFd) == kChannelFd;
    ::syscall(SYS_close_range, channel ? kChannelFd + 1U : 3U, ~0U, 0U);
    ::execve(spec.program.c_str(), argv, env);
  }
  *error = errno;
  ::_exit(127);
}

// Where the child leaves its exec error: in memory that both see, whether or not they share all of it.
volatile int* SharedError() {
  static void* page = ::mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return page == MAP_FAILED ? nullptr : static_cast<volatile int*>(page);
}

// Like fork, but born in `cgroup`, and the parent waits until the child has executed or exited.
pid_t CloneInto(int cgroup) {
  clone_args args{};
  args.flags = CLONE_VFORK | CLONE_INTO_CGROUP;
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<std::uint64_t>(cgroup);
  return static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
}

}  // namespace

Launched Launch(const LaunchSpec& spec) {
  std::vector<char*> argv = Pointers(spec.argv);
  std::vector<char*> env = Pointers(spec.env);
  const pid_t shim = ::getpid();
  volatile int* exec_error = SharedError();
  if (exec_error == nullptr) return {.fork_error = ENOMEM};
  *exec_error = 0;
  pid_t pid = spec.cgroup < 0 ? -1 : CloneInto(spec.cgroup);
  if (pid < 0) pid = ::vfork();
  if (pid == 0) Child(spec, shim, argv.data(), env.data(), exec_error);
  if (pid < 0) return {.fork_error = errno};
  const int error = *exec_error;
  if (error == 0) return {.pid = pid};
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return {.exec_error = error};
}

}  // namespace waggle::shim
