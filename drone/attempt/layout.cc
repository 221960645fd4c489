#include "drone/attempt/layout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace waggle::attempt {
namespace {

constexpr std::size_t kIdentityDigits = 32;
constexpr int kNameTries = 1000;
constexpr std::size_t kSmallFile = 4096;

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

std::vector<std::string> Entries(int directory) {
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
    if (errno != EISDIR && errno != EPERM && errno != EACCES) return ErrnoStatus("remove", name);
    if (depth == kDepth) {
      const std::string up = absl::StrCat("deep-", ::getpid(), "-", count_++);
      if (::renameat(parent, name.c_str(), top_, up.c_str()) != 0) return ErrnoStatus("move up", name);
      moved_ = true;
      return absl::OkStatus();
    }
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    UniqueFd directory(::openat(parent, name.c_str(), kFlags));
    if (!directory.valid() && errno == EACCES) {
      ::fchmodat(parent, name.c_str(), 0700, 0);
      directory = UniqueFd(::openat(parent, name.c_str(), kFlags));
    }
    if (!directory.valid()) return ErrnoStatus("open directory", name);
    struct stat info;
    if (::fstat(directory.get(), &info) == 0 && (info.st_mode & 0700) != 0700)
      ::fchmod(directory.get(), 0700);
    absl::Status first;
    for (const std::string& entry : Entries(directory.get()))
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

bool IsIdentity(std::string_view text) {
  return text.size() == kIdentityDigits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string BaseName(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

absl::Status Layout::Prepare() const {
  for (const std::string& path : {data_, Attempts(), Bad(), Work(), Mirrors(), Trash()}) {
    RETURN_IF_ERROR(MakeDirectories(path));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Layout::Identity() const {
  const std::string path = data_ + "/identity";
  absl::StatusOr<std::string> text = ReadFile(path, kSmallFile);
  if (text.ok()) {
    while (!text->empty() && (text->back() == '\n' || text->back() == ' ')) text->pop_back();
    if (IsIdentity(*text)) return *text;
    return absl::DataLossError(
        absl::StrCat(path,
                     " is not an identity (32 hex digits). Restore it from a backup, or "
                     "remove it to make this drone a new one"));
  }
  if (!absl::IsNotFound(text.status())) return text.status();
  unsigned char bytes[kIdentityDigits / 2];
  if (::getrandom(bytes, sizeof bytes, 0) != sizeof bytes) return ErrnoStatus("read", "random bytes");
  std::string identity;
  for (unsigned char byte : bytes) absl::StrAppend(&identity, absl::Hex(byte, absl::kZeroPad2));
  RETURN_IF_ERROR(WriteFileDurably(path, identity + "\n"));
  return identity;
}

absl::Status Layout::MoveInto(const std::string& path, const std::string& directory) const {
  const std::string name = BaseName(path);
  for (int i = 0; i < kNameTries; ++i) {
    const std::string target = absl::StrCat(directory, "/", name, "-", ::getpid(), "-", i);
    struct stat info;
    if (::lstat(target.c_str(), &info) == 0) continue;
    if (::rename(path.c_str(), target.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
    if (errno != EEXIST && errno != ENOTEMPTY) return ErrnoStatus("move away", path);
  }
  return absl::ResourceExhaustedError(absl::StrCat("no free name for ", path, " in ", directory));
}

absl::Status Layout::Discard(const std::string& path) const {
  return MoveInto(path, Trash());
}

absl::Status Layout::SetAside(const std::string& name) const {
  return MoveInto(Attempts() + "/" + name, Bad());
}

absl::StatusOr<HighestEpoch> HighestEpoch::Open(const Layout& layout) {
  HighestEpoch highest;
  ASSIGN_OR_RETURN(highest.file_, waggle::Open(layout.data() + "/highest-epoch", O_RDWR | O_CREAT));
  char text[32] = {};
  ssize_t size = ::pread(highest.file_.get(), text, sizeof text - 1, 0);
  std::uint64_t value = 0;
  if (size > 0 && absl::SimpleAtoi(absl::string_view(text, static_cast<std::size_t>(size)), &value)) {
    highest.value_ = waggle::Epoch(value);
  }
  return highest;
}

void HighestEpoch::Raise(Epoch seen) {
  if (seen <= value_) return;
  value_ = seen;
  const std::string text = absl::StrCat(absl::Dec(value_.value(), absl::kZeroPad20), "\n");
  // A failure shows at the attempt's own files in the next moment; nothing depends on this one alone.
  (void)!::pwrite(file_.get(), text.data(), text.size(), 0);
}

bool EmptyDirectory(int directory, const std::function<bool()>& go_on) {
  Remover remover(directory);
  do {
    for (const std::string& entry : Entries(directory)) {
      // What cannot be removed now (a mount, a foreign owner) stays in sight and is tried again at the next
      // sweep.
      (void)remover.Remove(entry).ok();
      if (!go_on()) return false;
    }
  } while (remover.TakeMoved());
  return true;
}

Janitor::Janitor(const Layout& layout) : trash_(layout.Trash()), thread_([this] { Run(); }) {}

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

void Janitor::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return asked_ || stop_; });
    if (stop_) return;
    asked_ = false;
    lock.unlock();
    absl::StatusOr<UniqueFd> trash = Open(trash_, O_RDONLY | O_DIRECTORY);
    auto go_on = [this] {
      std::lock_guard check(mutex_);
      return !stop_;
    };
    if (trash.ok() && !EmptyDirectory(trash->get(), go_on)) return;
    lock.lock();
  }
}

}  // namespace waggle::attempt
