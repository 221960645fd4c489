#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace waggle::sandbox {

// How a new process gets in, between its birth and its exec.
struct Entry {
  int holder = -1;            // pidfd of a process whose namespaces it joins; −1 = none
  int namespaces = 0;         // CLONE_NEW… to join
  std::optional<uid_t> user;  // user and group it becomes; otherwise it stays who it is
};

// The two steps, both only system calls that allocate nothing, so that they may follow a vfork. False: errno.
// A process is of another pid namespace only from its birth on: join first, then have the child.
bool Join(const Entry& entry);
// Other user, no further groups, nothing more to be had by executing a set-user-id file.
bool Become(const Entry& entry);

}  // namespace waggle::sandbox
