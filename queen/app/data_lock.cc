#include "queen/app/data_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace waggle::queen {

absl::StatusOr<UniqueFd> LockDirectory(const std::string& data) {
  std::string path = absl::StrCat(data, "/lock");
  ASSIGN_OR_RETURN(UniqueFd lock, Open(path, O_RDWR | O_CREAT));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("another queen uses ", data, "\nnext: stop it, or choose another --data"));
  }
  return lock;
}

}  // namespace waggle::queen
