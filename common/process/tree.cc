#include "common/process/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
#include <sys/pidfd.h>  // glibc 2.36 forgot the C linkage
}

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/fd.h"

namespace waggle::process {
namespace {

constexpr std::size_t kProcFileBytes =
    4 * 1024 * 1024;                  // an environment is at most a quarter of the 8 MiB stack
constexpr int kSweepPauseMillis = 2;  // between sweeps; each costs a walk through /proc

struct CloseDirectory {
  void operator()(DIR* dir) const { ::closedir(dir); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

std::optional<pid_t> ParsePid(std::string_view text) {
  pid_t pid = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  if (error != std::errc() || end != text.data() + text.size() || pid <= 0) return std::nullopt;
  return pid;
}

// Calls visit(pid) for each entry of a directory that is a number.
template <typename Visit>
void ForEachNumber(const std::string& path, Visit&& visit) {
  Directory dir(::opendir(path.c_str()));
  if (dir == nullptr) return;
  while (dirent* entry = ::readdir(dir.get())) {
    if (std::optional<pid_t> pid = ParsePid(entry->d_name)) visit(*pid);
  }
}

void AppendChildren(pid_t pid, std::vector<pid_t>* out) {
  ForEachNumber(absl::StrCat("/proc/", pid, "/task"), [&](pid_t tid) {
    auto text = ReadFile(absl::StrCat("/proc/", pid, "/task/", tid, "/children"), kProcFileBytes);
    if (!text.ok()) return;
    std::string_view rest = *text;
    while (!rest.empty()) {
      std::size_t space = rest.find(' ');
      if (std::optional<pid_t> child = ParsePid(rest.substr(0, space))) out->push_back(*child);
      if (space == std::string_view::npos) return;
      rest.remove_prefix(space + 1);
    }
  });
}

bool IsZombie(pid_t pid) {
  auto stat = ReadFile(absl::StrCat("/proc/", pid, "/stat"), kProcFileBytes);
  if (!stat.ok()) return true;              // gone
  std::size_t name_end = stat->rfind(')');  // the name itself may hold anything
  if (name_end == std::string::npos || name_end + 2 >= stat->size()) return true;
  char state = (*stat)[name_end + 2];
  return state == 'Z' || state == 'X';
}

bool HasMark(pid_t pid, std::string_view mark) {
  auto text = ReadFile(absl::StrCat("/proc/", pid, "/environ"), kProcFileBytes);
  if (!text.ok()) return false;
  std::string_view rest = *text;
  while (!rest.empty()) {
    std::size_t end = rest.find('\0');
    if (rest.substr(0, end) == mark) return true;
    if (end == std::string_view::npos) return false;
    rest.remove_prefix(end + 1);
  }
  return false;
}

std::string MarkOf(std::string_view key) {
  std::string mark(kAttemptVariable);
  mark += '=';
  mark += key;
  return mark;
}

void Pause() {
  ::poll(nullptr, 0, kSweepPauseMillis);
}

}  // namespace

absl::Status BecomeSubreaper() {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) return ErrnoStatus("become", "subreaper");
  return absl::OkStatus();
}

void HideFromOthers() {
  struct rlimit limit;
  if (::getrlimit(RLIMIT_CORE, &limit) == 0) {
    limit.rlim_cur = 0;
    ::setrlimit(RLIMIT_CORE, &limit);
  }
  if (::geteuid() == 0) ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

std::vector<pid_t> Children(pid_t parent) {
  std::vector<pid_t> out;
  AppendChildren(parent, &out);
  return out;
}

std::vector<pid_t> Descendants(pid_t root) {
  std::vector<pid_t> out;
  AppendChildren(root, &out);
  for (std::size_t i = 0; i < out.size(); ++i) AppendChildren(out[i], &out);
  return out;
}

void SignalTree(pid_t root, int signal, const std::vector<pid_t>& spared) {
  const pid_t own_group = ::getpgid(root);
  std::set<pid_t> groups;
  for (pid_t pid : spared) groups.insert(::getpgid(pid));
  for (pid_t pid : Descendants(root)) {
    const pid_t group = ::getpgid(pid);
    if (group < 0) continue;
    if (group == own_group) {
      ::kill(pid, signal);
    } else if (group > 1 && groups.insert(group).second) {
      ::kill(-group, signal);
    }
  }
}

std::size_t KillSweep(pid_t root, std::set<pid_t>* killed, const std::vector<pid_t>& spared) {
  std::size_t live = 0;
  for (pid_t pid : Descendants(root)) {
    if (std::find(spared.begin(), spared.end(), pid) != spared.end() || IsZombie(pid)) continue;
    if (::kill(pid, SIGKILL) != 0) continue;
    ++live;
    killed->insert(pid);
  }
  return live;
}

TreeKilled KillDescendants(Duration limit) {
  const Time deadline = BootClock::now() + limit;
  std::set<pid_t> killed;
  for (;;) {
    KillSweep(::getpid(), &killed);
    pid_t reaped = 0;
    do {
      reaped = ::waitpid(-1, nullptr, WNOHANG);
    } while (reaped > 0 || (reaped < 0 && errno == EINTR));
    if (reaped < 0) return {killed.size(), 0};  // ECHILD: no child is left, so no descendant is
    if (BootClock::now() >= deadline) return {killed.size(), Descendants(::getpid()).size()};
    Pause();
  }
}

std::vector<pid_t> FindMarked(std::string_view key) {
  const std::string mark = MarkOf(key);
  const pid_t self = ::getpid();
  std::vector<pid_t> out;
  ForEachNumber("/proc", [&](pid_t pid) {
    if (pid != self && HasMark(pid, mark)) out.push_back(pid);
  });
  return out;
}

TreeKilled KillMarked(std::string_view key, Duration limit) {
  const Time deadline = BootClock::now() + limit;
  const std::string mark = MarkOf(key);
  std::set<pid_t> killed;
  for (int empty_sweeps = 0;;) {
    std::size_t live = 0;
    for (pid_t pid : FindMarked(key)) {
      UniqueFd pidfd(::pidfd_open(pid, 0));
      if (!pidfd.valid() || !HasMark(pid, mark) || IsZombie(pid)) continue;
      if (::pidfd_send_signal(pidfd.get(), SIGKILL, nullptr, 0) != 0) continue;
      ++live;
      killed.insert(pid);
    }
    empty_sweeps = live == 0 ? empty_sweeps + 1 : 0;
    if (empty_sweeps == 2) return {killed.size(), 0};
    if (BootClock::now() >= deadline) return {killed.size(), live};
    Pause();
  }
}

}  // namespace waggle::process
