#include "tests/support/child.h"

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <ostream>
#include <thread>
#include <utility>

#include "tests/support/temp_dir.h"

namespace waggle::test {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr Millis kLookAgain = 10ms;
constexpr uid_t kNobody = 65534;

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& s : strings) pointers.push_back(s.data());
  pointers.push_back(nullptr);
  return pointers;
}

int OpenOutput(const std::string& path) {
  int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) std::abort();
  return fd;
}

// Between fork and exec: only system calls.
[[noreturn]] void Become(const Child::Spec& spec, char* const* argv, char* const* envp, int out, int err,
                         pid_t parent) {
  ::setpgid(0, 0);
  if (spec.nobody && ::geteuid() == 0) {
    if (::setgroups(0, nullptr) != 0 || ::setgid(kNobody) != 0 || ::setuid(kNobody) != 0) ::_exit(127);
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (::getppid() != parent) ::_exit(127);
  int null = ::open("/dev/null", O_RDONLY);
  if (::dup2(null, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(err, 2) < 0) ::_exit(127);
  if (!spec.cwd.empty() && ::chdir(spec.cwd.c_str()) != 0) ::_exit(127);
  ::execvpe(argv[0], argv, envp);
  ::_exit(127);
}

// State and parent from /proc/PID/stat, whose second word may hold anything but ends with the last ')'.
bool ReadStat(pid_t pid, char* state, pid_t* parent) {
  const std::string stat = ReadText("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t end = stat.rfind(')');
  return end != std::string::npos && std::sscanf(stat.c_str() + end + 1, " %c %d", state, parent) == 2;
}

}  // namespace

bool Eventually(const std::function<bool()>& condition, Millis patience) {
  const auto deadline = Clock::now() + patience;
  while (!condition()) {
    if (Clock::now() >= deadline) return false;
    std::this_thread::sleep_for(kLookAgain);
  }
  return true;
}

std::ostream& operator<<(std::ostream& stream, const Outcome& outcome) {
  return stream << "exit " << outcome.code << "\n--- stdout\n"
                << outcome.out.substr(0, 4096) << "\n--- stderr\n"
                << outcome.err.substr(0, 4096);
}

Child::Child(const Spec& spec) : log_(spec.log) {
  std::vector<std::string> args = spec.argv, pairs;
  for (const auto& [name, value] : spec.env) pairs.push_back(name + "=" + value);
  const std::vector<char*> argv = Pointers(args), envp = Pointers(pairs);
  const int out = OpenOutput(log_ + ".out"), err = OpenOutput(log_ + ".err");
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) Become(spec, argv.data(), envp.data(), out, err, parent);
  ::setpgid(pid_, pid_);  // by both: whoever comes first
  ::close(out);
  ::close(err);
  EXPECT_GT(pid_, 0) << "cannot start " << spec.argv[0];
}

Child::~Child() {
  KillGroup();
}

Child::Child(Child&& other) noexcept {
  *this = std::move(other);
}

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    KillGroup();
    log_ = std::move(other.log_);
    code_ = other.code_;
    pid_ = std::exchange(other.pid_, -1);
  }
  return *this;
}

void Child::Signal(int signal) {
  if (pid_ > 0 && !code_) ::kill(pid_, signal);
}

std::optional<int> Child::Wait(Millis patience) {
  if (code_ || pid_ <= 0) return code_;
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  pollfd ended{pidfd, POLLIN, 0};
  const bool over = ::poll(&ended, 1, static_cast<int>(patience.count())) == 1;
  ::close(pidfd);
  int status = 0;
  if (!over || ::waitpid(pid_, &status, 0) != pid_) return std::nullopt;
  code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return code_;
}

void Child::KillGroup() {
  if (pid_ <= 0 || code_) return;
  ::kill(-pid_, SIGKILL);
  Wait();
}

std::string Child::Out() const {
  return ReadText(log_ + ".out");
}
std::string Child::Err() const {
  return ReadText(log_ + ".err");
}

Outcome Child::Finish(Millis patience) {
  if (!Wait(patience)) {
    ADD_FAILURE() << CommandLineOf(pid_) << " did not end within " << patience.count() << " ms\n"
                  << Out().substr(0, 4096) << "\n"
                  << Err().substr(0, 4096);
    KillGroup();
  }
  return {code_.value_or(-1), Out(), Err()};
}

bool IsAlive(pid_t pid) {
  char state = 0;
  pid_t parent = 0;
  return pid > 0 && ReadStat(pid, &state, &parent) && state != 'Z' && state != 'X';
}

pid_t ParentOf(pid_t pid) {
  char state = 0;
  pid_t parent = -1;
  return ReadStat(pid, &state, &parent) ? parent : -1;
}

std::string CommandLineOf(pid_t pid) {
  std::string words = ReadText("/proc/" + std::to_string(pid) + "/cmdline");
  while (!words.empty() && words.back() == '\0') words.pop_back();
  std::replace(words.begin(), words.end(), '\0', ' ');
  return words;
}

std::vector<pid_t> ProcessesNaming(std::string_view text) {
  std::vector<pid_t> found;
  std::error_code gone;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc", gone)) {
    const std::string name = entry.path().filename();
    if (!std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c) != 0; }))
      continue;
    const pid_t pid = std::atoi(name.c_str());
    if (pid == ::getpid() || !IsAlive(pid)) continue;
    const std::string cwd = fs::read_symlink(entry.path() / "cwd", gone);
    for (const std::string& where :
         {cwd, ReadText(entry.path() / "cmdline"), ReadText(entry.path() / "environ")}) {
      if (where.find(text) == std::string::npos) continue;
      found.push_back(pid);
      break;
    }
  }
  return found;
}

bool KillAllNaming(std::string_view text) {
  return Eventually([text] {
    const std::vector<pid_t> left = ProcessesNaming(text);
    for (pid_t pid : left) ::kill(pid, SIGKILL);
    return left.empty();
  });
}

}  // namespace waggle::test
