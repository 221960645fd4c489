#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "drone/shim/launch.h"

namespace waggle::shim {

enum class Stream : std::uint8_t { kOut = 0, kErr = 1 };

// One process of a job with its two output pipes, or both on one. It is done when the process was reaped and
// both pipes have reached their end. A background child may hold a pipe for ever: a pipe that stays quiet for
// kQuiet after the process' end is given up. One thread; the event loop polls fd() and reports exits.
class Command {
 public:
  static constexpr Duration kQuiet = std::chrono::seconds(1);

  using OnOutput = std::function<void(Stream, std::string_view)>;

  // Starts it; `spec` holds everything but the descriptors. With `joined` stderr and stdout are one pipe,
  // kErr. ResourceExhausted: no process or pipe to be had. Unavailable: it does
  // not get into its sandbox. A program that cannot be executed is exec_error().
  static absl::StatusOr<Command> Start(LaunchSpec spec, int in, bool joined, Time now);

  int exec_error() const { return exec_error_; }
  // exec_error() is about the working directory.
  bool no_directory() const { return no_directory_; }
  pid_t pid() const { return pid_; }
  int fd(Stream stream) const { return pipes_[static_cast<int>(stream)].get(); }

  // Reads what is there, bounded, alternating between the pipes from `first` on; of those that are ready
  // only.
  void Read(bool out_ready, bool err_ready, Stream first, Time now, const OnOutput& on_output);
  void Exited(int wait_status, Time now);

  bool exited() const { return exited_; }
  std::size_t unread() const;  // bytes in its pipes
  bool done() const { return exited_ && !pipes_[0].valid() && !pipes_[1].valid(); }
  // When the quiet pipes are to be given up; nullopt while the process runs or no pipe is open.
  std::optional<Time> quiet_deadline() const;
  void GiveUpPipes();

  Time started() const { return started_; }
  Time last_output() const { return last_output_; }  // its start, before the first byte
  void TouchOutput(Time now) { last_output_ = now; }
  int exit_code() const;  // 128 + signal
  int signal() const;
  const rusage& usage() const { return usage_; }
  void SetUsage(const rusage& usage) { usage_ = usage; }

 private:
  Command() = default;

  pid_t pid_ = -1;
  std::array<UniqueFd, 2> pipes_;
  int exec_error_ = 0;
  bool no_directory_ = false;
  bool exited_ = false;
  int wait_status_ = 0;
  rusage usage_{};
  Time started_, last_output_, exited_at_;
};

}  // namespace waggle::shim
