#include "drone/sandbox/sandbox.h"

#include <sys/stat.h>

#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/status_macros.h"
#include "drone/sandbox/bubblewrap.h"
#include "drone/sandbox/own.h"

namespace waggle::sandbox {

absl::Status Sandbox::Prepare(std::uint64_t start) {
  if (!isolated()) {
    prepared_ = true;
    return absl::OkStatus();
  }
  if (plan_.first_user != 0) {
    ASSIGN_OR_RETURN(lease_, UserLease::Take(plan_.first_user, plan_.last_user, start, kUserLocks));
  }
  for (const char* name : {"/tmp", "/home", kSteps}) RETURN_IF_ERROR(MakeDirectories(places_.attempt + name));
  for (const std::string& path : {places_.attempt + "/tmp", places_.attempt + "/home", places_.base}) {
    RETURN_IF_ERROR(OwnDirectory(path, user()));
  }
  if (plan_.mode == Isolation::kUser && user()) {
    // The job passes through to its own places; it sees no names there and may read nothing else.
    for (const std::string& path : {places_.attempt, places_.attempt + kSteps}) {
      if (::chmod(path.c_str(), 0711) != 0) return ErrnoStatus("change the mode of", path);
    }
  } else if (::chmod((places_.attempt + kSteps).c_str(), 0755) != 0) {
    return ErrnoStatus("change the mode of", places_.attempt + kSteps);
  }
  prepared_ = true;
  return absl::OkStatus();
}

absl::StatusOr<Entry> Sandbox::Open() {
  if (!prepared_) return absl::FailedPreconditionError("the job's isolation could not be made");
  return DoOpen();
}

std::unique_ptr<Sandbox> Make(Plan plan, Places places) {
  if (plan.mode == Isolation::kBubblewrap) {
    return std::make_unique<Bubblewrap>(std::move(plan), std::move(places));
  }
  return std::make_unique<Sandbox>(std::move(plan), std::move(places));
}

}  // namespace waggle::sandbox
