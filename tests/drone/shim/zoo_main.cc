// zoo KIND PIPE: what jobs do that do not want to end. Every process of it holds PIPE (a FIFO) open for
// writing, so whoever reads it sees its end exactly when the last of them is gone. Prints "ready" when all of
// it is there.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string_view>

namespace {

constexpr int kMany = 1000;

void Ready() {
  if (::write(STDOUT_FILENO, "ready\n", 6) != 6) ::_exit(3);
}

[[noreturn]] void Fail(const char* what) {
  ::perror(what);
  ::_exit(2);
}

[[noreturn]] void StayFor(bool stubborn) {
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) ::signal(signal, stubborn ? SIG_IGN : SIG_DFL);
  for (;;) ::pause();
}

pid_t Fork() {
  const pid_t pid = ::fork();
  if (pid < 0) Fail("fork");
  return pid;
}

// A daemon as the book says: it forks, leaves its session, forks again.
void Daemon() {
  if (Fork() == 0) {
    ::setsid();
    if (Fork() == 0) {
      Ready();
      StayFor(true);
    }
    ::_exit(0);
  }
  StayFor(false);
}

// One process at a time, never the same for long.
void ForkLoop() {
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) ::signal(signal, SIG_IGN);
  Ready();
  ::setsid();
  for (;;) {
    if (Fork() > 0) ::_exit(0);
  }
}

// Each parent hangs in the kernel until its child ends, which it does not.
void Vfork() {
  for (int depth = 0; depth < 3; ++depth) {
    const pid_t pid = ::vfork();  // NOLINT: the hang is the point
    if (pid < 0) Fail("vfork");
    if (pid > 0) ::_exit(0);
  }
  Ready();
  StayFor(true);
}

void Many() {
  for (int i = 0; i < kMany; ++i) {
    if (Fork() == 0) StayFor(i % 2 == 0);
  }
  Ready();
  StayFor(true);
}

// Its first process is 1 in there: what it does not handle does not reach it, KILL from outside does.
void Namespace() {
  if (::unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWPID) != 0) {
    Fail("unshare");
  }
  if (Fork() == 0) {
    ::setsid();
    if (Fork() == 0) {
      Ready();
      StayFor(true);
    }
    StayFor(false);
  }
  StayFor(true);
}

// Traced and stopped by its parent: signals to it go to the tracer first.
void Ptrace() {
  const pid_t child = Fork();
  if (child == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) Fail("ptrace");
    ::raise(SIGSTOP);
    StayFor(true);
  }
  int status = 0;
  if (::waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) Fail("waitpid");
  Ready();
  StayFor(true);
}

// Nobody without rights may look into it, and its environment names no job.
void Hidden() {
  if (Fork() != 0) StayFor(false);
  ::prctl(PR_SET_DUMPABLE, 0);
  ::prctl(PR_SET_NAME, "kworker/0:1");
  ::setsid();
  Ready();
  StayFor(true);
}

void Stopped() {
  Ready();
  ::raise(SIGSTOP);
  StayFor(true);
}

// Moves itself into the topmost cgroup where it may.
void LeaveCgroup() {
  for (const char* path : {"/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/unified/cgroup.procs"}) {
    const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) continue;
    if (::write(fd, "0", 1) != 1) ::perror(path);
    ::close(fd);
  }
  if (Fork() == 0) {
    ::setsid();
    Ready();
    StayFor(true);
  }
  StayFor(true);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  if (::open(argv[2], O_WRONLY) < 0) Fail(argv[2]);
  const std::string_view kind = argv[1];
  if (kind == "daemon") Daemon();
  if (kind == "fork_loop") ForkLoop();
  if (kind == "vfork") Vfork();
  if (kind == "many") Many();
  if (kind == "namespace") Namespace();
  if (kind == "ptrace") Ptrace();
  if (kind == "hidden") Hidden();
  if (kind == "stopped") Stopped();
  if (kind == "leaves_cgroup") LeaveCgroup();
  if (kind == "ignores") {
    for (int signal : {SIGINT, SIGTERM, SIGHUP}) ::signal(signal, SIG_IGN);
    Ready();
    StayFor(true);
  }
  return 2;
}
