#include "tools/bench/processes.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/process/spawn.h"

namespace waggle::bench {
namespace {

constexpr std::size_t kProcFile = 64 * limits::kKiB;

std::string ProcText(pid_t pid, std::string_view file) {
  return ReadFile(absl::StrCat("/proc/", pid, "/", std::string(file)), kProcFile).value_or("");
}

void SleepFor(Duration d) {
  const timespec wait{d.count() / 1'000'000'000, d.count() % 1'000'000'000};
  ::nanosleep(&wait, nullptr);
}

// Entries of a directory of /proc that are numbers; what vanishes meanwhile is left out.
std::vector<pid_t> Numbers(const std::string& directory) {
  std::vector<pid_t> numbers;
  std::error_code gone;
  for (std::filesystem::directory_iterator at(directory, gone), end; !gone && at != end; at.increment(gone)) {
    pid_t number = 0;
    if (absl::SimpleAtoi(at->path().filename().string(), &number)) numbers.push_back(number);
  }
  return numbers;
}

bool IsZombie(pid_t pid) {
  const std::string stat = ProcText(pid, "stat");
  const std::size_t end = stat.rfind(')');
  return end == std::string::npos || end + 2 >= stat.size() || stat[end + 2] == 'Z' || stat[end + 2] == 'X';
}

}  // namespace

double Seconds(Duration d) {
  return std::chrono::duration<double>(d).count();
}

absl::Status Await(const std::function<bool()>& condition, Duration patience, std::string_view what,
                   Duration every) {
  const Time deadline = BootClock::now() + patience;
  while (!condition()) {
    if (BootClock::now() > deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat(std::string(what), ": not within ", Seconds(patience), " s"));
    }
    SleepFor(every);
  }
  return absl::OkStatus();
}

CpuTime ParseCpuTime(std::string_view stat, long ticks_per_second) {
  // The second word is the program's name in parentheses and may hold anything; numbering goes on behind it
  // with 3.
  const std::size_t end = stat.rfind(')');
  if (end == std::string_view::npos) return {};
  stat.remove_prefix(end + 1);
  const std::vector<absl::string_view> words =
      absl::StrSplit(absl::string_view(stat.data(), stat.size()), ' ', absl::SkipEmpty());
  auto field = [&](std::size_t number) {
    double ticks = 0;
    if (number - 3 < words.size() && !absl::SimpleAtod(words[number - 3], &ticks)) ticks = 0;
    return ticks / static_cast<double>(ticks_per_second);
  };
  return {field(14) + field(15), field(16) + field(17)};
}

CpuTime CpuOf(pid_t pid) {
  return ParseCpuTime(ProcText(pid, "stat"), ::sysconf(_SC_CLK_TCK));
}

long ParseMemoryKiB(std::string_view status, std::string_view field) {
  for (absl::string_view line : absl::StrSplit(absl::string_view(status.data(), status.size()), '\n')) {
    if (!absl::ConsumePrefix(&line, absl::StrCat(std::string(field), ":"))) continue;
    line = absl::StripSuffix(absl::StripAsciiWhitespace(line), " kB");
    long kib = 0;
    return absl::SimpleAtoi(line, &kib) ? kib : 0;
  }
  return 0;
}

long MemoryKiB(pid_t pid, std::string_view field) {
  return ParseMemoryKiB(ProcText(pid, "status"), field);
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  for (pid_t thread : Numbers(absl::StrCat("/proc/", pid, "/task"))) {
    const std::string text = ProcText(pid, absl::StrCat("task/", thread, "/children"));
    for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipWhitespace())) {
      pid_t child = 0;
      if (absl::SimpleAtoi(word, &child)) children.push_back(child);
    }
  }
  return children;
}

std::vector<pid_t> ProcessesWith(std::string_view argument) {
  std::vector<pid_t> found;
  for (pid_t pid : Numbers("/proc")) {
    if (pid == ::getpid()) continue;
    if (ProcText(pid, "cmdline").find(argument) != std::string::npos && !IsZombie(pid)) found.push_back(pid);
  }
  return found;
}

absl::StatusOr<Program> Program::Start(const std::vector<std::string>& argv, const std::string& log,
                                       const std::map<std::string, std::string>& env) {
  ASSIGN_OR_RETURN(UniqueFd file, Open(log, O_WRONLY | O_CREAT | O_APPEND, 0600));
  process::SpawnOptions options;
  options.argv = argv;
  options.stdout_fd = options.stderr_fd = file.get();
  options.env = process::Environment{{"PATH", std::string(process::kDefaultPath)}, {"LC_ALL", "C.UTF-8"}};
  for (const auto& [name, value] : env) (*options.env)[name] = value;
  ASSIGN_OR_RETURN(process::Process process, process::Spawn(options));
  Program program;
  program.pid_ = process.pid;
  program.pidfd_ = std::move(process.pidfd);
  return program;
}

Program& Program::operator=(Program&& other) noexcept {
  if (this != &other) {
    Kill();
    pid_ = std::exchange(other.pid_, -1);
    pidfd_ = std::move(other.pidfd_);
  }
  return *this;
}

bool Program::running() const {
  pollfd ended{pidfd_.get(), POLLIN, 0};
  return pid_ > 0 && ::poll(&ended, 1, 0) == 0;
}

void Program::Signal(int signal) const {
  if (pid_ > 0) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0);
}

void Program::Kill() {
  if (pid_ <= 0) return;
  Signal(SIGKILL);
  Wait(std::chrono::seconds(10)).IgnoreError();
  pid_ = -1;
  pidfd_.Reset();
}

absl::StatusOr<int> Program::Wait(Duration patience) {
  if (pid_ <= 0) return absl::FailedPreconditionError("the program was waited for before");
  pollfd ended{pidfd_.get(), POLLIN, 0};
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(patience).count();
  if (::poll(&ended, 1, static_cast<int>(millis)) != 1)
    return absl::DeadlineExceededError("the program runs on");
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return process::ExitCode(status);
}

}  // namespace waggle::bench
