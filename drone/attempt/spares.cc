#include "drone/attempt/spares.h"

#include <errno.h>
#include <fcntl.h>
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

absl::Status MakeDirectory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0) return ErrnoStatus("create directory", path);
  return absl::OkStatus();
}

absl::Status Make(const std::string& path) {
  RETURN_IF_ERROR(MakeDirectory(path));
  RETURN_IF_ERROR(MakeDirectory(path + "/tmp"));
  RETURN_IF_ERROR(MakeDirectory(path + "/home"));
  absl::Status reserved =
      journal::MakeReserve(absl::StrCat(path, "/", std::string(shim::kReserveName)), limits::kSpoolReserve);
  if (absl::IsResourceExhausted(reserved)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("its disk is full: not even the ", limits::kSpoolReserve / limits::kKiB,
                     " KiB for the end of the log are free (", reserved.message(), "); make space there"));
  }
  return reserved;
}

// A directory of the job: emptied, and then as if it had just been made.
bool EmptyAsMade(int parent, const std::string& name, const std::function<bool()>& go_on) {
  UniqueFd directory(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info;
  if (!directory.valid()) return false;
  if (!NamesIn(directory.get()).empty() &&
      (!EmptyDirectory(directory.get(), go_on) || !NamesIn(directory.get()).empty())) {
    return false;
  }
  return ::fstat(directory.get(), &info) == 0 && (info.st_mode & 07777) == 0700 &&
         info.st_uid == ::geteuid() && info.st_size < kGrown &&
         ::flistxattr(directory.get(), nullptr, 0) <= 0;
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

absl::StatusOr<std::string> Spares::Take() {
  std::string path;
  {
    std::lock_guard lock(mutex_);
    if (!kept_.empty()) {
      path = std::move(kept_.back());
      kept_.pop_back();
      return path;
    }
    path = NewPath();
  }
  absl::Status made = Make(path);
  if (made.ok()) return path;
  layout_.Discard(path).IgnoreError();
  return made;
}

bool Spares::Keep(const std::string& path, const std::function<bool()>& go_on) {
  absl::StatusOr<UniqueFd> directory = Open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!directory.ok()) return false;
  int parts = 0;
  for (const std::string& name : NamesIn(directory->get())) {
    struct stat info;
    if (::fstatat(directory->get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return false;
    const bool file = S_ISREG(info.st_mode) && info.st_nlink == 1;
    if (name == "tmp" || name == "home") {
      if (!EmptyAsMade(directory->get(), name, go_on)) return false;
      ++parts;
    } else if (name == shim::kReserveName && file && IsReserve(info)) {
      ++parts;
    } else if (file && (name == kFactsName || (name == shim::kShimLog && info.st_size == 0))) {
      continue;  // written anew
    } else if (::unlinkat(directory->get(), name.c_str(), 0) != 0) {
      return false;
    }
  }
  if (parts != 3) return false;
  std::lock_guard lock(mutex_);
  if (kept_.size() >= kKept) return false;
  std::string spare = NewPath();
  if (::rename(path.c_str(), spare.c_str()) != 0) return false;
  kept_.push_back(std::move(spare));
  return true;
}

}  // namespace waggle::attempt
