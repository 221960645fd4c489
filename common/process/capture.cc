#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/process/spawn.h"

namespace waggle::process {
namespace {

struct Pipe {
  UniqueFd read, write;
};

absl::StatusOr<Pipe> MakePipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return ErrnoStatus("make", "pipe");
  Pipe pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
  // Only our end: the helper's writes block as usual.
  ::fcntl(fds[0], F_SETFL, O_NONBLOCK);
  return pipe;
}

// Reads what is there, at most 128 KiB: more than a pipe holds, so one call after the writer's death takes
// all.
void Drain(UniqueFd& fd, std::string& out) {
  char chunk[16384];
  for (int i = 0; i < 8 && fd.valid(); ++i) {
    ssize_t n = ::read(fd.get(), chunk, sizeof chunk);
    if (n > 0) {
      out.append(chunk, static_cast<std::size_t>(n));
    } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
      fd.Reset();
    } else if (errno == EAGAIN) {
      return;
    }
  }
}

// The bookkeeping of one helper while it runs.
struct Run {
  Process process;
  UniqueFd out_fd, err_fd;
  Captured captured;
  std::size_t max_output;

  absl::Status ReadBoth(const std::string& name) {
    Drain(out_fd, captured.out);
    Drain(err_fd, captured.err);
    if (captured.err.size() > max_output) captured.err.erase(0, captured.err.size() - max_output);
    if (captured.out.size() <= max_output) return absl::OkStatus();
    return absl::ResourceExhaustedError(
        absl::StrCat(name, " wrote more than ", max_output, " bytes and was ended"));
  }
};

absl::Status WaitForEnd(Run& run, const std::string& name, Time deadline, int cancel_fd) {
  for (;;) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - BootClock::now());
    if (left.count() <= 0) {
      return absl::DeadlineExceededError(absl::StrCat(name, " did not end in time and was killed"));
    }
    pollfd fds[4] = {{run.process.pidfd.get(), POLLIN, 0},
                     {run.out_fd.get(), POLLIN, 0},
                     {run.err_fd.get(), POLLIN, 0},
                     {cancel_fd, POLLIN, 0}};
    int ready = ::poll(fds, 4, static_cast<int>(std::min<long>(left.count(), 60'000)));
    if (ready < 0 && errno != EINTR) return ErrnoStatus("wait for", name);
    if (ready <= 0) continue;
    if (fds[3].revents != 0) return absl::CancelledError(absl::StrCat(name, " was canceled"));
    RETURN_IF_ERROR(run.ReadBoth(name));
    if (fds[0].revents != 0) return absl::OkStatus();
  }
}

}  // namespace

absl::StatusOr<UniqueFd> MemoryFile(std::string_view content) {
  UniqueFd fd(::memfd_create("input", MFD_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus("make", "file in memory");
  RETURN_IF_ERROR(WriteAll(fd.get(), content));
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) return ErrnoStatus("rewind", "file in memory");
  return fd;
}

absl::StatusOr<Captured> RunCaptured(SpawnOptions options, std::string_view input, Duration timeout,
                                     std::size_t max_output, int cancel_fd) {
  const Time deadline = BootClock::now() + timeout;
  ASSIGN_OR_RETURN(UniqueFd in, MemoryFile(input));
  ASSIGN_OR_RETURN(Pipe out, MakePipe());
  ASSIGN_OR_RETURN(Pipe err, MakePipe());
  options.stdin_fd = in.get();
  options.stdout_fd = out.write.get();
  options.stderr_fd = err.write.get();
  options.new_session = true;
  ASSIGN_OR_RETURN(Process process, Spawn(options));
  out.write.Reset();
  err.write.Reset();

  const std::string& name = options.argv[0];
  Run run{std::move(process), std::move(out.read), std::move(err.read), {}, max_output};
  absl::Status status = WaitForEnd(run, name, deadline, cancel_fd);
  // Not reaped yet, so the number still names its group; whatever it left behind goes with it.
  ::kill(-run.process.pid, SIGKILL);
  int wait_status = 0;
  while (::waitpid(run.process.pid, &wait_status, 0) < 0 && errno == EINTR) {
  }
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(run.ReadBoth(name));
  run.captured.exit_code = ExitCode(wait_status);
  return std::move(run.captured);
}

}  // namespace waggle::process
