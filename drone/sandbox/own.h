#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "absl/status/status.h"

namespace waggle::sandbox {

// Makes the directory itself `user`'s (nothing changes without one), 0700. Follows no link in its last part.
absl::Status OwnDirectory(const std::string& path, std::optional<uid_t> user);

// The same for everything below it, the directory last. A file with further names keeps its owner: it is not
// this tree's alone. REQUIRES: nobody else can get at it.
absl::Status OwnTree(const std::string& path, uid_t user);

}  // namespace waggle::sandbox
