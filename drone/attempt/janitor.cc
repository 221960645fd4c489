#include "drone/attempt/janitor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/status_macros.h"

namespace waggle::attempt {
namespace {

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

// Gives us the rights to a directory, and to nothing that a racer put in its place: what was opened is what
// is changed.
void Unlock(int parent, const std::string& name) {
  const UniqueFd path(::openat(parent, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (path.valid()) ::chmod(absl::StrCat("/proc/self/fd/", path.get()).c_str(), 0700);
}

// Takes the flags from an open file that keep it, or what is in it, from being removed.
bool Thaw(int file) {
  int flags = 0;
  if (::ioctl(file, FS_IOC_GETFLAGS, &flags) != 0) return false;
  constexpr int kFrozen = FS_IMMUTABLE_FL | FS_APPEND_FL;
  if ((flags & kFrozen) == 0) return false;
  flags &= ~kFrozen;
  return ::ioctl(file, FS_IOC_SETFLAGS, &flags) == 0;
}

// The same of an entry and of the directory that holds it; true: something changed.
bool Thaw(int parent, const std::string& name) {
  bool thawed = Thaw(parent);
  struct stat info;
  if (::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return thawed;
  if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) return thawed;
  const UniqueFd file(::openat(parent, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  return (file.valid() && Thaw(file.get())) || thawed;
}

// Removes what is below one directory. A job may nest directories deeper than we have stack and descriptors:
// what lies deeper than kDepth is moved up to the top directory first and removed from there in the next
// pass.
class Remover {
 public:
  explicit Remover(int top) : top_(top) {}

  absl::Status Remove(const std::string& name) { return RemoveAt(top_, name, 0); }
  // True once after something was moved up: the top directory has new entries.
  bool TakeMoved() { return std::exchange(moved_, false); }

 private:
  static constexpr int kDepth = 64;

  absl::Status RemoveAt(int parent, const std::string& name, int depth) {
    if (::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) return absl::OkStatus();
    if (errno == EPERM && Thaw(parent, name) && ::unlinkat(parent, name.c_str(), 0) == 0)
      return absl::OkStatus();
    if (errno != EISDIR && errno != EPERM && errno != EACCES) return ErrnoStatus("remove", name);
    if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0) return absl::OkStatus();  // an empty one
    if (depth == kDepth) {
      const std::string up = absl::StrCat("deep-", ::getpid(), "-", count_++);
      if (::renameat(parent, name.c_str(), top_, up.c_str()) != 0) return ErrnoStatus("move up", name);
      moved_ = true;
      return absl::OkStatus();
    }
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    UniqueFd directory(::openat(parent, name.c_str(), kFlags));
    if (!directory.valid() && errno == EACCES) {
      Unlock(parent, name);
      directory = UniqueFd(::openat(parent, name.c_str(), kFlags));
    }
    if (!directory.valid()) return ErrnoStatus("open directory", name);
    struct stat info;
    if (::fstat(directory.get(), &info) == 0 && (info.st_mode & 0700) != 0700)
      ::fchmod(directory.get(), 0700);
    absl::Status first;
    for (const std::string& entry : NamesIn(directory.get()))
      first.Update(RemoveAt(directory.get(), entry, depth + 1));
    RETURN_IF_ERROR(first);
    if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
      return ErrnoStatus("remove", name);
    return absl::OkStatus();
  }

  const int top_;
  bool moved_ = false;
  std::uint64_t count_ = 0;
};

}  // namespace

std::vector<std::string> NamesIn(int directory) {
  std::vector<std::string> names;
  std::unique_ptr<DIR, CloseDir> dir(::fdopendir(::fcntl(directory, F_DUPFD_CLOEXEC, 0)));
  if (dir == nullptr) return names;
  ::rewinddir(dir.get());
  while (const dirent* entry = ::readdir(dir.get())) {
    std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  return names;
}

bool RemoveEntry(int directory, const std::string& name) {
  Remover remover(directory);
  return remover.Remove(name).ok() && !remover.TakeMoved();
}

bool EmptyDirectory(int directory, const std::function<bool()>& go_on) {
  Remover remover(directory);
  do {
    for (const std::string& entry : NamesIn(directory)) {
      // What cannot be removed now (a mount, a foreign owner) stays in sight and is tried again at the next
      // sweep.
      (void)remover.Remove(entry).ok();
      if (!go_on()) return false;
    }
  } while (remover.TakeMoved());
  return true;
}

Janitor::Janitor(const Layout& layout) : layout_(layout), spares_(layout), thread_([this] { Run(); }) {}

Janitor::~Janitor() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Janitor::Sweep() {
  {
    std::lock_guard lock(mutex_);
    asked_ = true;
  }
  wake_.notify_one();
}

absl::Status Janitor::Retire(const std::string& directory, Listener listener) {
  std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const std::string path, layout_.Retire(directory));
  listeners_[path] = std::move(listener);
  return absl::OkStatus();
}

bool Janitor::GoOn() {
  std::lock_guard lock(mutex_);
  return !stop_;
}

void Janitor::Run() {
  auto go_on = [this] { return GoOn(); };
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return asked_ || stop_; });
    if (stop_) return;
    asked_ = false;
    lock.unlock();
    absl::StatusOr<UniqueFd> used = Open(layout_.Used(), O_RDONLY | O_DIRECTORY);
    for (const std::string& name : used.ok() ? NamesIn(used->get()) : std::vector<std::string>()) {
      const std::string path = absl::StrCat(layout_.Used(), "/", name);
      lock.lock();
      auto listener = listeners_.extract(path);
      lock.unlock();
      const bool kept = spares_.Keep({path, listener ? std::move(listener.mapped()) : Listener()}, go_on);
      if (!go_on()) return;
      if (!kept) layout_.Discard(path).IgnoreError();
    }
    absl::StatusOr<UniqueFd> trash = Open(layout_.Trash(), O_RDONLY | O_DIRECTORY);
    if (trash.ok() && !EmptyDirectory(trash->get(), go_on)) return;
    lock.lock();
  }
}

}  // namespace waggle::attempt
