#pragma once

#include <string>

#include "absl/status/status.h"
#include "drone/vcs/mirror.h"

namespace waggle::vcs {

// Makes `target` (absolute; absent or an empty directory) an exact work tree of `commit`: a small repository
// with HEAD detached there, tags and remote branches for `git describe` and `git log`, and the mirror's
// objects as alternates, so the mirror must outlive the job. With `own_objects` the repository has them
// itself, for a job that does not see the mirror: as further names of the same files when we are root and
// the job is not, so that it cannot write to them, else as copies. No hook, no external filter. It is built
// beside the target as TARGET.partial and renamed, so that what has the target's name is complete.
absl::Status CheckOut(const Mirror& mirror, const Source& source, const git_oid& commit,
                      const std::string& target, bool own_objects = false);

}  // namespace waggle::vcs
