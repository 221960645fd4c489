#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/fd.h"

namespace waggle::bench {

double Seconds(Duration d);

// Looks again every few milliseconds until the condition holds. DeadlineExceeded names `what`.
absl::Status Await(const std::function<bool()>& condition, Duration patience, std::string_view what,
                   Duration every = std::chrono::milliseconds(2));

// CPU time a process used, and that of its children it waited for, and their children.
struct CpuTime {
  double own = 0, children = 0;  // seconds
};
// Zero for a process that is gone. ParseCpuTime takes the text of /proc/PID/stat.
CpuTime ParseCpuTime(std::string_view stat, long ticks_per_second);
CpuTime CpuOf(pid_t pid);

// A field of /proc/PID/status in KiB, "VmRSS" or "VmHWM"; 0: gone.
long ParseMemoryKiB(std::string_view status, std::string_view field);
long MemoryKiB(pid_t pid, std::string_view field);

// Pids of the direct children.
std::vector<pid_t> ChildrenOf(pid_t pid);
// Processes with this text in their arguments, and not zombies.
std::vector<pid_t> ProcessesWith(std::string_view argument);

// A program that was started by the bench and is killed with it. One thread.
class Program {
 public:
  Program() = default;
  // Outputs are appended to the file `log`.
  static absl::StatusOr<Program> Start(const std::vector<std::string>& argv, const std::string& log,
                                       const std::map<std::string, std::string>& env = {});
  Program(Program&& other) noexcept { *this = std::move(other); }
  Program& operator=(Program&& other) noexcept;
  ~Program() { Kill(); }

  pid_t pid() const { return pid_; }
  bool running() const;
  void Signal(int signal) const;
  void Kill();  // and waits
  // Its exit code; DeadlineExceeded.
  absl::StatusOr<int> Wait(Duration patience);

 private:
  pid_t pid_ = -1;
  UniqueFd pidfd_;
};

}  // namespace waggle::bench
