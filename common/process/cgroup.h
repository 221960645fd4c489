#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/fd.h"

namespace waggle::process {

// The name of an attempt's cgroup: by its key, because epochs of several hives may meet on one host.
std::string AttemptCgroup(std::string_view attempt_key);

// One cgroup (version 2) under the cgroup of this process: kills a whole tree in one step, also after the
// death of whoever led it. Optional everywhere: where no cgroup2 is mounted and writable, callers go by the
// process tree alone. Nothing is ever mounted. One thread. The destructor leaves the directory; Remove()
// takes it away.
class Cgroup {
 public:
  // The directory of our own cgroup in the cgroup2 hierarchy, by /proc/self/cgroup and /proc/self/mountinfo
  // (hybrid hosts mount it beside version 1). NotFound: there is none.
  static absl::StatusOr<std::string> OwnDirectory();
  // Makes OwnDirectory()/name. AlreadyExists: someone else's, it is left alone. PermissionDenied, NotFound, …
  static absl::StatusOr<std::unique_ptr<Cgroup>> Create(std::string_view name);
  // Takes over one that was made before, for cleaning up. NotFound: it is gone.
  static absl::StatusOr<std::unique_ptr<Cgroup>> Adopt(std::string_view name);

  // The directory, for clone3 with CLONE_INTO_CGROUP: a child born in it. Moving a process in later (Add)
  // costs up to 10 ms, because the kernel waits for all processors when moves are rare.
  int fd() const { return directory_.get(); }
  const std::string& path() const { return path_; }

  absl::Status Add(pid_t pid);
  absl::Status Kill();           // SIGKILL to every process in it, at once
  absl::StatusOr<bool> Empty();  // nothing populates it
  // Removes it, waiting up to `limit` for it to become empty. FailedPrecondition: something is still in it.
  absl::Status Remove(Duration limit);

 private:
  Cgroup(std::string path, UniqueFd directory) : path_(std::move(path)), directory_(std::move(directory)) {}

  const std::string path_;
  UniqueFd directory_;
};

}  // namespace waggle::process
