#include "drone/sandbox/users.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace waggle::sandbox {
namespace {

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

// The users from `first` to `last` under which something runs.
std::set<uid_t> Running(uid_t first, uid_t last) {
  std::set<uid_t> users;
  std::unique_ptr<DIR, CloseDir> proc(::opendir("/proc"));
  if (proc == nullptr) return users;
  while (const dirent* entry = ::readdir(proc.get())) {
    struct stat info;
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    if (::fstatat(::dirfd(proc.get()), entry->d_name, &info, 0) != 0) continue;
    if (info.st_uid >= first && info.st_uid <= last) users.insert(info.st_uid);
  }
  return users;
}

}  // namespace

absl::StatusOr<UserLease> UserLease::Take(uid_t first, uid_t last, std::uint64_t start,
                                          const std::string& locks) {
  RETURN_IF_ERROR(MakeDirectories(locks));
  const std::uint64_t count = static_cast<std::uint64_t>(last) - first + 1;
  for (std::uint64_t i = 0; i < count; ++i) {
    const uid_t user = first + static_cast<uid_t>((start + i) % count);
    ASSIGN_OR_RETURN(UniqueFd lock,
                     Open(absl::StrCat(locks, "/", user), O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) continue;
    if (Running(user, user).count(user) > 0) continue;
    return UserLease(user, std::move(lock));
  }
  return absl::ResourceExhaustedError(absl::StrCat(
      "all users from ", first, " to ", last, " are in use; give the drone more with --isolation-users"));
}

}  // namespace waggle::sandbox
