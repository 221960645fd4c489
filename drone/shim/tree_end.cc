#include "drone/shim/tree_end.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "common/process/tree.h"

namespace waggle::shim {
namespace {

using namespace std::chrono_literals;

constexpr Duration kKillAgain = 10ms;      // a tree that forks while it is killed needs another sweep
constexpr Duration kLookAgain = 5ms;       // at a sandbox whose last process may be gone
constexpr Duration kCgroupRemove = 200ms;  // the kernel may count an exited process for a moment

}  // namespace

void ProcessTree::Reap(Time now) {
  for (;;) {
    int status = 0;
    rusage usage{};
    pid_t pid = ::wait4(-1, &status, WNOHANG, &usage);
    if (pid > 0) {
      if (sandbox_ != nullptr && sandbox_->Reaped(pid)) continue;
      on_exit_(pid, status, usage);
      continue;
    }
    if (pid < 0 && errno == EINTR) continue;
    empty_ = pid < 0 || OnlyHolders();  // ECHILD
    break;
  }
  if (empty_ && ending()) {
    took_ += std::max<Duration>(now - began_, 1ns);  // there was something to end, however quickly it went
    stage_ = Stage::kNone;
  }
}

void ProcessTree::End(Time now, Duration interrupt, Duration terminate) {
  if (ending()) return;
  began_ = now;
  terminate_ = terminate;
  next_ = now + interrupt;
  Enter(Stage::kInterrupt, now);
}

void ProcessTree::Kill(Time now) {
  if (!ending()) began_ = now;
  Enter(Stage::kKill, now);
}

void ProcessTree::Enter(Stage stage, Time now) {
  stage_ = stage;
  switch (stage) {
    case Stage::kNone:
      return;
    case Stage::kInterrupt:
      process::SignalTree(::getpid(), SIGINT, Holders());
      break;
    case Stage::kTerminate:
      process::SignalTree(::getpid(), SIGTERM, Holders());
      next_ = now + terminate_;
      break;
    case Stage::kKill: {
      // The sweep counts, the cgroup makes it one step; both, because a job with rights may have left the
      // cgroup.
      process::KillSweep(::getpid(), &killed_, Holders());
      if (cgroup_ != nullptr) {
        cgroup_->Kill().IgnoreError();
        cgroup_killed_ = true;
      }
      if (sandbox_ != nullptr) sandbox_->Close();
      next_ = now + kKillAgain;
      break;
    }
  }
  Reap(now);
}

void ProcessTree::Tick(Time now) {
  if (!ending()) return;
  if (now < next_) {
    if (!Holders().empty()) Reap(now);  // what the holder reaps, nobody tells us
    return;
  }
  Enter(stage_ == Stage::kInterrupt ? Stage::kTerminate : Stage::kKill, now);
}

std::optional<Time> ProcessTree::deadline() const {
  if (!ending()) return std::nullopt;
  return Holders().empty() ? next_ : std::min(next_, BootClock::now() + kLookAgain);
}

std::uint32_t ProcessTree::left() const {
  if (empty_) return 0;
  return static_cast<std::uint32_t>(process::Descendants(::getpid()).size() - Holders().size());
}

std::vector<pid_t> ProcessTree::Holders() const {
  return sandbox_ == nullptr ? std::vector<pid_t>() : sandbox_->Holders();
}

// Exact: a process of the job is below us or below the holder, and one that loses its parent never is
// without a new one.
bool ProcessTree::OnlyHolders() const {
  const std::vector<pid_t> holders = Holders();
  if (holders.empty() || sandbox_->closing()) return false;
  if (process::Children(::getpid()) != std::vector<pid_t>{holders.front()}) return false;
  return holders.size() == 1 || process::Children(holders.back()).empty();
}

void ProcessTree::CloseSandbox(Time now) {
  if (Holders().empty()) return;
  sandbox_->Close();
  while (!Holders().empty() &&
         ::waitid(P_PID, static_cast<id_t>(Holders().front()), nullptr, WEXITED | WNOWAIT) == 0) {
    Reap(now);
  }
}

void ProcessTree::RemoveCgroup() {
  if (cgroup_ == nullptr) return;
  absl::Status removed = cgroup_->Remove(kCgroupRemove);
  if (!removed.ok()) ::fprintf(stderr, "waggle-shim: %s\n", removed.ToString().c_str());
  cgroup_.reset();
}

}  // namespace waggle::shim
