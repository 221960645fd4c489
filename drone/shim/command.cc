#include "drone/shim/command.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/journal/record.h"
#include "common/process/spawn.h"

namespace waggle::shim {
namespace {

constexpr std::size_t kWakeBytes =
    256 * limits::kKiB;  // read per wake-up, so that frames and timers get their turn
// What was read when the disk turned out to be full must fit into the reserve, with room for the last
// records.
static_assert(kWakeBytes + 2 * limits::kRecordPayload <= limits::kSpoolReserve / 4 * 3);
constexpr int kPipeBytes = 1024 * 1024;  // fewer wake-ups for a busy job

absl::Status MakePipe(UniqueFd* read, UniqueFd* write) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return ErrnoStatus("make", "pipe");
  read->Reset(fds[0]);
  write->Reset(fds[1]);
  ::fcntl(fds[0], F_SETFL, O_NONBLOCK);
  ::fcntl(fds[0], F_SETPIPE_SZ,
          kPipeBytes);  // refused above the user's total: the default size serves as well
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Command> Command::Start(LaunchSpec spec, int in, bool joined, Time now) {
  Command command;
  UniqueFd out_write, err_write;
  RETURN_IF_ERROR(MakePipe(&command.pipes_[1], &err_write));
  if (!joined) RETURN_IF_ERROR(MakePipe(&command.pipes_[0], &out_write));
  spec.in = in;
  spec.out = joined ? err_write.get() : out_write.get();
  spec.err = err_write.get();
  Launched launched = Launch(spec);
  if (launched.fork_error != 0) return absl::ErrnoToStatus(launched.fork_error, "start a process");
  if (launched.exec_error != 0 && launched.stage == Launched::Stage::kEnter)
    return absl::UnavailableError(
        absl::StrCat("it does not get into its sandbox: ", ::strerror(launched.exec_error)));
  command.no_directory_ = launched.exec_error != 0 && launched.stage == Launched::Stage::kDirectory;
  command.started_ = command.last_output_ = now;
  command.exec_error_ = launched.exec_error;
  command.pid_ = launched.pid;
  return command;
}

void Command::Read(bool out_ready, bool err_ready, Stream first, Time now, const OnOutput& on_output) {
  static char buffer[limits::kRecordPayload];  // one thread, one command
  std::array<bool, 2> ready = {out_ready, err_ready};
  std::size_t budget = kWakeBytes;
  while (budget > 0 && (ready[0] || ready[1])) {
    for (int turn = 0; turn < 2; ++turn) {
      const int i = (static_cast<int>(first) + turn) % 2;
      if (!ready[i] || !pipes_[i].valid()) {
        ready[i] = false;
        continue;
      }
      ssize_t n = ::read(pipes_[i].get(), buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) {
        ready[i] = false;
      } else if (n <= 0) {
        pipes_[i].Reset();
      } else {
        last_output_ = now;
        on_output(static_cast<Stream>(i), std::string_view(buffer, static_cast<std::size_t>(n)));
        budget -= std::min(budget, static_cast<std::size_t>(n) + journal::kHeaderBytes);
        // A short read has emptied the pipe; after the process' end the next one is the end of file.
        if (n < static_cast<ssize_t>(sizeof buffer) && !exited_) ready[i] = false;
      }
    }
  }
}

void Command::Exited(int wait_status, Time now) {
  exited_ = true;
  exited_at_ = now;
  wait_status_ = wait_status;
}

std::size_t Command::unread() const {
  std::size_t sum = 0;
  for (const UniqueFd& pipe : pipes_) {
    int bytes = 0;
    if (pipe.valid() && ::ioctl(pipe.get(), FIONREAD, &bytes) == 0) sum += static_cast<std::size_t>(bytes);
  }
  return sum;
}

std::optional<Time> Command::quiet_deadline() const {
  if (!exited_ || done()) return std::nullopt;
  return std::max(exited_at_, last_output_) + kQuiet;
}

void Command::GiveUpPipes() {
  for (UniqueFd& pipe : pipes_) pipe.Reset();
}

int Command::exit_code() const {
  return process::ExitCode(wait_status_);
}
int Command::signal() const {
  return WIFSIGNALED(wait_status_) ? WTERMSIG(wait_status_) : 0;
}

}  // namespace waggle::shim
