#include "drone/attempt/spares.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/journal/reserve.h"
#include "drone/attempt/facts.h"
#include "drone/attempt/janitor.h"
#include "drone/shim/protocol.h"

namespace waggle::attempt {
namespace {

constexpr off_t kGrown = 64 * 1024;  // a directory that had so many entries never shrinks again
constexpr int kBlock = 512;          // of st_blocks
constexpr int kParts = 5;            // tmp, home, work, the reserve and the socket

absl::Status MakeDirectory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0) return ErrnoStatus("create directory", path);
  return absl::OkStatus();
}

absl::Status Make(const std::string& path) {
  RETURN_IF_ERROR(MakeDirectory(path));
  RETURN_IF_ERROR(MakeDirectory(path + "/tmp"));
  RETURN_IF_ERROR(MakeDirectory(path + "/home"));
  RETURN_IF_ERROR(MakeDirectory(path + "/work"));
  RETURN_IF_ERROR(MakeDirectory(path + "/work/src"));
  absl::Status reserved =
      journal::MakeReserve(absl::StrCat(path, "/", std::string(shim::kReserveName)), limits::kSpoolReserve);
  if (absl::IsResourceExhausted(reserved)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("its disk is full: not even the ", limits::kSpoolReserve / limits::kKiB,
                     " KiB for the end of the log are free (", reserved.message(), "); make space there"));
  }
  return reserved;
}

// What chattr sets, some of it without any right: it would be handed down to what the next job makes.
bool HasFlags(int directory) {
  constexpr int kSettable = FS_APPEND_FL | FS_IMMUTABLE_FL | FS_SYNC_FL | FS_DIRSYNC_FL | FS_NODUMP_FL |
                            FS_NOATIME_FL | FS_COMPR_FL | FS_NOCOW_FL | FS_PROJINHERIT_FL | FS_CASEFOLD_FL;
  int flags = 0;
  return ::ioctl(directory, FS_IOC_GETFLAGS, &flags) == 0 && (flags & kSettable) != 0;
}

// A directory of the job: emptied, and then as if it had just been made.
bool EmptyAsMade(int parent, const std::string& name, const std::function<bool()>& go_on) {
  UniqueFd directory(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info;
  if (!directory.valid()) return false;
  const std::vector<std::string> names = NamesIn(directory.get());
  const bool work = name == "work";
  const bool only_src =
      work && names == std::vector<std::string>{"src"} && EmptyAsMade(directory.get(), "src", go_on);
  if (!names.empty() && !only_src &&
      (!EmptyDirectory(directory.get(), go_on) || !NamesIn(directory.get()).empty())) {
    return false;
  }
  if (::fstat(directory.get(), &info) != 0) return false;
  // The user of the attempt is gone; the next one has another. First, as what is made in it inherits.
  if (info.st_uid != ::geteuid() &&
      (::fchown(directory.get(), ::geteuid(), ::getegid()) != 0 || ::fchmod(directory.get(), 0700) != 0)) {
    return false;
  }
  if (work && !only_src && ::mkdirat(directory.get(), "src", 0700) != 0) return false;
  return !HasFlags(directory.get()) && ::fstat(directory.get(), &info) == 0 &&
         (info.st_mode & 07777) == 0700 && info.st_uid == ::geteuid() && info.st_size < kGrown &&
         ::flistxattr(directory.get(), nullptr, 0) <= 0;
}

bool Truncated(int parent, const std::string& name) {
  UniqueFd file(::openat(parent, name.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
  return file.valid() && ::ftruncate(file.get(), 0) == 0;
}

bool IsReserve(const struct stat& info) {
  const auto bytes = static_cast<off_t>(limits::kSpoolReserve);
  return info.st_size == bytes || (info.st_size == 0 && info.st_blocks * kBlock >= bytes);
}

}  // namespace

Spares::Spares(const Layout& layout) : layout_(layout) {
  absl::StatusOr<UniqueFd> directory = Open(layout_.Spare(), O_RDONLY | O_DIRECTORY);
  if (!directory.ok()) return;
  for (const std::string& name : NamesIn(directory->get())) {
    layout_.Retire(absl::StrCat(layout_.Spare(), "/", name)).IgnoreError();
  }
}

std::string Spares::NewPath() {
  return absl::StrCat(layout_.Spare(), "/", ++count_);
}

absl::StatusOr<Spare> Spares::Take() {
  Spare spare;
  {
    std::lock_guard lock(mutex_);
    if (!kept_.empty()) {
      spare = std::move(kept_.back());
      kept_.pop_back();
    } else {
      spare.path = NewPath();
    }
  }
  if (spare.listener.fd.valid()) {
    ForgetCallers(spare.listener);
    return spare;
  }
  absl::Status made = Make(spare.path);
  absl::StatusOr<Listener> listener = made.ok() ? ListenForDaemon(spare.path) : made;
  if (!listener.ok()) {
    layout_.Discard(spare.path).IgnoreError();
    return listener.status();
  }
  spare.listener = *std::move(listener);
  return spare;
}

bool Spares::Keep(Spare used, const std::function<bool()>& go_on) {
  if (!used.listener.fd.valid()) return false;  // of an earlier process: made anew
  const std::string& path = used.path;
  absl::StatusOr<UniqueFd> directory = Open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!directory.ok()) return false;
  const std::string first_of_spool = absl::StrCat(std::string(shim::kSpoolPrefix), ".000");
  int parts = 0;
  for (const std::string& name : NamesIn(directory->get())) {
    struct stat info;
    if (::fstatat(directory->get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return false;
    const bool file = S_ISREG(info.st_mode) && info.st_nlink == 1;
    const bool untouched = (info.st_mode & 07777) == 0600 && info.st_uid == ::geteuid();
    if (name == "tmp" || name == "home" || name == "work") {
      if (!EmptyAsMade(directory->get(), name, go_on)) return false;
      ++parts;
    } else if (name == "steps" || name == "checkout") {  // of an isolated job
      if (!RemoveEntry(directory->get(), name)) return false;
    } else if (name == shim::kReserveName && file && IsReserve(info)) {
      ++parts;
    } else if (name == shim::kSocketName && S_ISSOCK(info.st_mode) && info.st_ino == used.listener.inode) {
      ++parts;  // no other can have the number while the listener is open
    } else if (file && (name == kFactsName || (name == shim::kShimLog && info.st_size == 0))) {
      continue;  // written anew
    } else if (file && untouched && name == first_of_spool && Truncated(directory->get(), name)) {
      continue;
    } else if (::unlinkat(directory->get(), name.c_str(), 0) != 0) {
      return false;
    }
  }
  if (parts != kParts || ::fchmod(directory->get(), 0700) != 0) return false;
  std::lock_guard lock(mutex_);
  if (kept_.size() >= kKept) return false;
  const std::string spare = NewPath();
  if (::rename(path.c_str(), spare.c_str()) != 0) return false;
  used.path = spare;
  kept_.push_back(std::move(used));
  return true;
}

}  // namespace waggle::attempt
