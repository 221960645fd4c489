#pragma once

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "common/base/fd.h"

namespace waggle::sandbox {

// A user (and group of the same number) that is one attempt's alone, on the whole host: whoever holds one has
// its file in kUserLocks locked. The kernel lets go of it when the holder is gone.
class UserLease {
 public:
  // The first free one from `first` to `last`, looked for from `start` on. One under which something runs is
  // not free: what a dead attempt left, or somebody else's. ResourceExhausted: all are taken.
  // REQUIRES: root; first ≤ last.
  static absl::StatusOr<UserLease> Take(uid_t first, uid_t last, std::uint64_t start,
                                        const std::string& locks);

  uid_t user() const { return user_; }

 private:
  UserLease(uid_t user, UniqueFd lock) : user_(user), lock_(std::move(lock)) {}

  uid_t user_;
  UniqueFd lock_;
};

inline constexpr char kUserLocks[] = "/run/waggle/users";

}  // namespace waggle::sandbox
