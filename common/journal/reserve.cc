#include "common/journal/reserve.h"

#include <errno.h>
#include <fcntl.h>

#include "common/base/fd.h"
#include "common/base/status_macros.h"

namespace waggle::journal {

absl::Status MakeReserve(const std::string& path, std::size_t bytes) {
  ASSIGN_OR_RETURN(UniqueFd file, Open(path, O_RDWR | O_CREAT | O_TRUNC));
  absl::Status made;
  if (::fallocate(file.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)) != 0) {
    made = errno == EOPNOTSUPP ? WriteAll(file.get(), std::string(bytes, '\0'))
                               : ErrnoStatus("allocate space for", path);
  }
  if (!made.ok()) RemoveFile(path).IgnoreError();
  return made;
}

}  // namespace waggle::journal
