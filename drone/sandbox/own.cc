#include "drone/sandbox/own.h"

#include <fcntl.h>
#include <fts.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/status_macros.h"

namespace waggle::sandbox {

absl::Status OwnDirectory(const std::string& path, std::optional<uid_t> user) {
  ASSIGN_OR_RETURN(const UniqueFd directory, Open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (user && ::fchown(directory.get(), *user, *user) != 0) return ErrnoStatus("give away", path);
  if (::fchmod(directory.get(), 0700) != 0) return ErrnoStatus("change the mode of", path);
  return absl::OkStatus();
}

absl::Status OwnTree(const std::string& path, uid_t user) {
  std::string root = path;
  char* const roots[] = {root.data(), nullptr};
  struct Close {
    void operator()(FTS* fts) const { ::fts_close(fts); }
  };
  std::unique_ptr<FTS, Close> walk(::fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, nullptr));
  if (walk == nullptr) return ErrnoStatus("walk through", path);
  while (const FTSENT* entry = ::fts_read(walk.get())) {
    if (entry->fts_info == FTS_D) continue;  // on the way back
    if (entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR || entry->fts_info == FTS_NS) {
      return absl::ErrnoToStatus(entry->fts_errno, absl::StrCat("walk through ", entry->fts_path));
    }
    const bool shared = !S_ISDIR(entry->fts_statp->st_mode) && entry->fts_statp->st_nlink > 1;
    if (!shared && ::lchown(entry->fts_path, user, user) != 0)
      return ErrnoStatus("give away", entry->fts_path);
  }
  return absl::OkStatus();
}

}  // namespace waggle::sandbox
