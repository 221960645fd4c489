#include "drone/sandbox/bubblewrap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/process/spawn.h"
#include "common/process/tree.h"

namespace waggle::sandbox {
namespace {

constexpr char kHolder[] = "/run/waggle-hold";  // the shim in there
constexpr std::size_t kNamesBytes = limits::kMiB;
constexpr std::size_t kSaidBytes = 4 * limits::kKiB;

// What a build needs of a system, and no person's or service's data. Missing ones are left out.
constexpr const char* kSystem[] = {"/usr",   "/etc",  "/opt", "/var/lib/dpkg", "/sys/devices/system",
                                   "/bin",   "/sbin", "/lib", "/lib32",        "/lib64",
                                   "/libx32"};
// Settings of the queen and of drones stand beside everybody's.
constexpr const char* kHiddenInEtc[] = {"/etc/queen", "/etc/drone"};

bool Below(const std::string& path, const std::string& directory) {
  return path == directory || absl::StartsWith(path, directory + "/");
}

bool IsDirectory(const std::string& path) {
  struct stat info;
  return ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

std::string ReadLink(const std::string& path) {
  char target[PATH_MAX];
  const ssize_t size = ::readlink(path.c_str(), target, sizeof target);
  return size <= 0 ? "" : std::string(target, static_cast<std::size_t>(size));
}

// Of an upgrade the file has another name and the path is the new one's, which holds as well.
std::string OwnProgram() {
  const std::string path = ReadLink("/proc/self/exe");
  return std::string(absl::StripSuffix(path, " (deleted)"));
}

class Arguments {
 public:
  explicit Arguments(const std::string& program) : list_{program} {}
  void Add(std::initializer_list<std::string> words) { list_.insert(list_.end(), words); }
  // The way to a place, which bwrap would make for itself alone.
  void MakeWay(const std::string& path) {
    for (std::size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      const std::string parent = path.substr(0, slash);
      const bool system = std::any_of(std::begin(kSystem), std::end(kSystem),
                                      [&](const char* shown) { return Below(parent, shown); });
      if (!system && ways_.insert(parent).second) Add({"--perms", "0755", "--dir", parent});
    }
  }
  void Bind(bool writable, const std::string& from, const std::string& to) {
    MakeWay(to);
    Add({writable ? "--bind" : "--ro-bind", from, to});
  }
  void BindIfThere(bool writable, const std::string& path) {
    MakeWay(path);
    Add({writable ? "--bind-try" : "--ro-bind-try", path, path});
  }
  std::vector<std::string> Take() { return std::move(list_); }

 private:
  std::vector<std::string> list_;
  std::set<std::string> ways_ = {"/dev", "/proc", "/tmp", "/var/tmp"};  // made with modes of their own
};

void AddSystem(Arguments* out) {
  for (const std::string path : kSystem) {
    const std::string link = ReadLink(path);
    if (link.empty()) {
      out->BindIfThere(false, path);
    } else {
      out->Add({"--symlink", link, path});
    }
  }
  out->Add({"--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm"});
  out->Add({"--perms", "0755", "--dir", "/run", "--perms", "0755", "--dir", "/var", "--symlink", "/run",
            "/var/run", "--perms", "1777", "--dir", "/run/lock", "--symlink", "/run/lock", "/var/lock"});
  // Where the resolver's file is only a link into what is hidden, its target is shown.
  char resolver[PATH_MAX];
  if (::realpath("/etc/resolv.conf", resolver) != nullptr && !Below(resolver, "/etc")) {
    out->BindIfThere(false, resolver);
  }
}

void AddExtra(const Plan& plan, const std::string& below, Arguments* out) {
  auto add = [&](bool writable, const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
      if (below.empty() || Below(path, below)) out->BindIfThere(writable, path);
    }
  };
  add(false, plan.read_only);
  add(true, plan.writable);
}

void AddHidden(const Plan& plan, Arguments* out) {
  std::vector<std::string> shown(std::begin(kSystem), std::end(kSystem));
  shown.insert(shown.end(), plan.read_only.begin(), plan.read_only.end());
  shown.insert(shown.end(), plan.writable.begin(), plan.writable.end());
  std::vector<std::string> hidden(std::begin(kHiddenInEtc), std::end(kHiddenInEtc));
  hidden.insert(hidden.end(), plan.hidden.begin(), plan.hidden.end());
  for (const std::string& path : hidden) {
    const bool visible =
        std::any_of(shown.begin(), shown.end(), [&](const std::string& s) { return Below(path, s); });
    if (!visible || !IsDirectory(path)) continue;
    out->Add({"--perms", "0755", "--tmpfs", path});
    AddExtra(plan, path, out);
  }
}

}  // namespace

// Who the job is, for programs that ask the system: the user of an attempt has no account.
absl::Status Bubblewrap::WriteNames() const {
  if (!user()) return absl::OkStatus();
  const std::string id = absl::StrCat(*user());
  for (const std::string name : {"passwd", "group"}) {
    std::string text = ReadFile("/etc/" + name, kNamesBytes).value_or("");
    if (!text.empty() && text.back() != '\n') text += '\n';
    absl::StrAppend(&text, "waggle-job:x:", id, ":");
    if (name == "passwd") absl::StrAppend(&text, id, "::", places_.attempt, "/home:/bin/sh");
    text += '\n';
    ASSIGN_OR_RETURN(UniqueFd file, waggle::Open(absl::StrCat(places_.attempt, "/", name),
                                                 O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
    RETURN_IF_ERROR(WriteAll(file.get(), text));
    if (::fchmod(file.get(), 0644) != 0) return ErrnoStatus("change the mode of", name);
  }
  return absl::OkStatus();
}

std::vector<std::string> Bubblewrap::Arguments() const {
  class Arguments out(plan_.program);
  out.Add({"--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--as-pid-1"});
  if (!plan_.network) out.Add({"--unshare-net"});
  if (user()) {
    out.Add({"--cap-drop", "ALL"});
  } else {
    out.Add({"--unshare-user"});
  }
  AddSystem(&out);
  const std::string tmp = places_.attempt + "/tmp";
  for (const std::string shared : {"/tmp", "/var/tmp"}) {
    // A data directory in there would appear in the job's files: then it is a file system of its own.
    if (Below(places_.attempt, shared) || Below(places_.base, shared)) {
      out.Add({"--perms", "1777", "--tmpfs", shared});
    } else {
      out.Bind(true, tmp, shared);
    }
  }
  AddExtra(plan_, "", &out);
  AddHidden(plan_, &out);
  for (const std::string& path : {tmp, places_.attempt + "/home", places_.base}) out.Bind(true, path, path);
  out.Bind(false, places_.attempt + kSteps, places_.attempt + kSteps);
  if (user()) {
    for (const std::string name : {"/passwd", "/group"})
      out.Bind(false, places_.attempt + name, "/etc" + name);
  }
  out.Bind(false, OwnProgram(), kHolder);
  out.Add({"--remount-ro", "/", "--chdir", "/", "--", kHolder, "--hold"});
  return out.Take();
}

absl::Status Bubblewrap::Begin() {
  if (bwrap_ > 0) return absl::OkStatus();
  RETURN_IF_ERROR(WriteNames());
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus("make", "pipe");
  ready_.Reset(ends[0]);
  const UniqueFd other(ends[1]);
  process::SpawnOptions options;
  options.argv = Arguments();
  options.env = process::Environment{{"PATH", std::string(process::kDefaultPath)},
                                     {std::string(process::kAttemptVariable), places_.mark}};
  options.cwd = "/";
  options.stdout_fd = options.stderr_fd = other.get();
  ASSIGN_OR_RETURN(process::Process started, process::Spawn(options));
  bwrap_ = started.pid;
  return absl::OkStatus();
}

// Everything is in its place once the holder has said so; what else is said is why it is not.
absl::Status Bubblewrap::AwaitReady() {
  const Time deadline = BootClock::now() + kHolderReady;
  std::string said;
  while (said != "ready\n") {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - BootClock::now()).count();
    pollfd readable{ready_.get(), POLLIN, 0};
    const int ready = left <= 0 ? 0 : ::poll(&readable, 1, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    char buffer[512];
    const ssize_t size = ready <= 0 ? -1 : ::read(ready_.get(), buffer, sizeof buffer);
    if (size > 0) said.append(buffer, static_cast<std::size_t>(size));
    if (size > 0 && said.size() < kSaidBytes) continue;
    if (ready == 0) return absl::DeadlineExceededError("bwrap made no sandbox within 10 s");
    while (!said.empty() && said.back() == '\n') said.pop_back();
    std::replace(said.begin(), said.end(), '\n', ' ');
    return absl::FailedPreconditionError(said.empty() ? "bwrap ended without a word" : said);
  }
  ready_.Reset();
  const std::vector<pid_t> children = process::Children(bwrap_);
  if (children.size() != 1) return absl::InternalError("bwrap has no child");
  init_ = children[0];
  init_fd_.Reset(static_cast<int>(::syscall(SYS_pidfd_open, init_, 0)));
  if (!init_fd_.valid()) return ErrnoStatus("pidfd_open", "the sandbox's first process");
  return absl::OkStatus();
}

absl::StatusOr<Entry> Bubblewrap::DoOpen() {
  RETURN_IF_ERROR(Begin());
  if (!init_fd_.valid()) {
    absl::Status ready = AwaitReady();
    if (!ready.ok()) {
      Close();
      return ready;
    }
  }
  int namespaces = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;
  if (!plan_.network) namespaces |= CLONE_NEWNET;
  if (!user()) namespaces |= CLONE_NEWUSER;
  return Entry{init_fd_.get(), namespaces, user()};
}

void Bubblewrap::Close() {
  closing_ = bwrap_ > 0;
  if (init_fd_.valid()) {
    ::syscall(SYS_pidfd_send_signal, init_fd_.get(), SIGKILL, nullptr, 0);
  } else if (bwrap_ > 0) {
    ::kill(bwrap_, SIGKILL);  // not reaped yet, so the number is its own; its child dies with it
  }
}

std::vector<pid_t> Bubblewrap::Holders() const {
  std::vector<pid_t> out;
  if (bwrap_ > 0) out.push_back(bwrap_);
  if (init_ > 0) out.push_back(init_);
  return out;
}

bool Bubblewrap::Reaped(pid_t pid) {
  if (pid != bwrap_) return false;
  bwrap_ = init_ = -1;
  closing_ = false;
  init_fd_.Reset();
  ready_.Reset();
  return true;
}

}  // namespace waggle::sandbox
