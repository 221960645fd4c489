#pragma once

#include <sys/types.h>

#include <cstddef>
#include <set>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/base/clock.h"

// The tree of processes under one process. Sessions, process groups and double forks do not get out of it
// while the root is a subreaper: an orphan becomes the root's child. So the tree is empty exactly when the
// root has no child.
namespace waggle::process {

// Every descendant that loses its parent from now on becomes a child of the calling process.
absl::Status BecomeSubreaper();

// No core dump of this process or, unless they want one, of what it starts: it holds secrets. As root also
// not to be looked into by processes of the user that it may become; without root that would keep off the
// daemon itself, which finds its shims by what stands in /proc.
void HideFromOthers();

// The direct children of a process, zombies included.
std::vector<pid_t> Children(pid_t parent);

// All descendants of `root` (without it), zombies included. A snapshot: a tree that forks may have more.
std::vector<pid_t> Descendants(pid_t root);

// Sends `signal` once to every process under `root`: to each process group as a whole, so that a group that
// is forking gets it everywhere, and one by one to processes that share the group of `root`. The groups of
// the `spared` get nothing.
void SignalTree(pid_t root, int signal, const std::vector<pid_t>& spared = {});

// One sweep of SIGKILL over everything under `root`. Returns how many live processes it found; adds them to
// `*killed`. A tree that forks needs several sweeps: repeat until the root has no child left. The `spared` go
// on, what is below them does not.
std::size_t KillSweep(pid_t root, std::set<pid_t>* killed, const std::vector<pid_t>& spared = {});

struct TreeKilled {
  std::size_t killed = 0;  // processes that got SIGKILL
  std::size_t left = 0;    // still there at the deadline
};
// Kills and reaps everything under the calling process until it has no child or `limit` is over. Blocks.
// REQUIRES: the caller is a subreaper and nobody else waits for its children.
TreeKilled KillDescendants(Duration limit);

// The variable that marks every process of an attempt.
inline constexpr std::string_view kAttemptVariable = "WAGGLE_ATTEMPT_KEY";

// Processes whose environment at exec holds WAGGLE_ATTEMPT_KEY=`key`, without the caller. For attempts whose
// shim died, so that nothing is under one root any more. Sees only processes whose environment the caller may
// read.
std::vector<pid_t> FindMarked(std::string_view key);

// Kills marked processes until two sweeps in a row find none or `limit` is over. Each is checked again
// through its pidfd before it is killed, so a reused number is never hit. Blocks; polls, because they are not
// our children.
TreeKilled KillMarked(std::string_view key, Duration limit);

}  // namespace waggle::process
