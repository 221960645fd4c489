#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "drone/sandbox/enter.h"

namespace waggle::shim {

inline constexpr int kChannelFd = 3;

struct LaunchSpec {
  std::string program;  // path
  std::vector<std::string> argv;
  std::vector<std::string> env;  // "NAME=value": the whole environment
  int directory = -1;            // working directory, opened; −1 = `path`
  std::string path;              // working directory, found by the child once it is who and where it will be
  int in = -1, out = -1, err = -1;
  int channel = -1;                       // becomes descriptor kChannelFd of the child; −1 = none
  int cgroup = -1;                        // directory of the cgroup to be born in; −1 = none
  const sandbox::Entry* enter = nullptr;  // what it gets into first; borrowed
};

struct Launched {
  pid_t pid = -1;      // −1: nothing is running
  int fork_error = 0;  // errno: no process to be had
  int exec_error = 0;  // errno: the program could not be executed, or what `stage` says
  enum class Stage { kEnter, kDirectory, kExec } stage = Stage::kExec;
};

// Starts one command of a job: leader of its own process group, killed when the shim dies, in the cgroup of
// the attempt, default signal dispositions, no blocked signal, no descriptor but 0, 1, 2 and the channel. A
// cgroup that refuses is no failure: the process tree alone is followed as well.
//
// clone3 and vfork instead of Boost.Process: the child needs hooks that Boost 1.74 has not without leaking
// descriptors, it must be born in its cgroup (moving it there later takes up to 10 ms), and as the shim
// stands still until the exec, an exec error comes back in a shared variable instead of through a pipe.
//
// A process that joins a pid namespace is born by another that has joined it, as its sister: so it is a child
// of the shim all the same.
// REQUIRES: one thread; the descriptors are above 2, the channel above 3.
Launched Launch(const LaunchSpec& spec);

}  // namespace waggle::shim
