#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/fd.h"

// Starting processes from the large daemons: posix_spawn only, because a fork copies their page tables.
namespace waggle::process {

inline constexpr std::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";

using Environment = std::map<std::string, std::string>;

// "NAME=value" for each entry, as execve wants it.
std::vector<std::string> EnvironmentStrings(const Environment& env);

// The executable that `program` means: itself if it holds a slash (relative to `directory`), else the first
// executable regular file of that name in `path`, a PATH value. nullopt: there is none.
std::optional<std::string> FindProgram(std::string_view program, std::string_view path,
                                       std::string_view directory = {});

struct SpawnOptions {
  struct ExtraFd {
    int source = -1;
    int target = 3;  // ≥ 3: the number the child sees
  };

  std::vector<std::string> argv;   // argv[0] is looked up as FindProgram does, with PATH of `env`
  std::optional<Environment> env;  // nullopt: the environment of this process
  std::string cwd;                 // empty: the directory of this process
  int stdin_fd = -1, stdout_fd = -1, stderr_fd = -1;  // -1: /dev/null; borrowed
  std::optional<ExtraFd> extra;
  bool new_session = true;  // setsid: the child leads its session and process group
};

// A child of this process. Whoever holds it waits for it (waitid with P_PIDFD or waitpid); dropping it kills
// nothing.
struct Process {
  pid_t pid = -1;
  UniqueFd pidfd;  // readable when it has exited
};

// Starts a process with no descriptor but the named ones, default signal dispositions and no blocked signal.
// FailedPrecondition: the working directory is missing or not a directory. NotFound: the program is missing.
// PermissionDenied: it may not be executed. ResourceExhausted: no process or descriptor to be had.
// REQUIRES: nothing in this process reaps every child (waitpid(-1)) or ignores SIGCHLD.
absl::StatusOr<Process> Spawn(const SpawnOptions& options);

// Exit code as shells say it: 128 + signal when the process died by one.
int ExitCode(int wait_status);

// `content` as a file in memory, at its beginning, to be a child's standard input: nothing has to feed it, no
// SIGPIPE, and a credential never reaches a disk.
absl::StatusOr<UniqueFd> MemoryFile(std::string_view content);

struct Captured {
  std::string out, err;
  int exit_code = -1;  // see ExitCode
};

// Runs a short helper to its end: feeds `input`, collects both outputs. The helper leads its own session; its
// process group is killed when the helper ends, at the deadline, when `cancel_fd` becomes readable, and when
// stdout grows above `max_output`. Of stderr the last `max_output` bytes are kept, because that is where the
// error stands. DeadlineExceeded, Cancelled, ResourceExhausted (too much output) or what Spawn gives. Blocks
// the calling thread.
absl::StatusOr<Captured> RunCaptured(SpawnOptions options, std::string_view input, Duration timeout,
                                     std::size_t max_output, int cancel_fd = -1);

}  // namespace waggle::process
