#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>

#include "common/base/clock.h"
#include "common/process/cgroup.h"
#include "drone/sandbox/sandbox.h"

namespace waggle::shim {

// Everything an attempt has started: reaps it, ends it, counts it. The shim is the subreaper, so the tree is
// empty exactly when the shim has no child; a cgroup, where there is one, makes the kill one step. One
// thread, never blocks: the event loop calls Reap() on SIGCHLD and Tick() at deadline().
class ProcessTree {
 public:
  using OnExit = std::function<void(pid_t pid, int wait_status, const rusage& usage)>;

  explicit ProcessTree(OnExit on_exit) : on_exit_(std::move(on_exit)) {}
  // Its holder is none of the job's processes: it is neither signalled nor counted. Killing the tree takes it
  // along, and with it whatever forks faster than we look. REQUIRES: it outlives this object.
  void SetSandbox(sandbox::Sandbox* sandbox) { sandbox_ = sandbox; }
  void SetCgroup(std::unique_ptr<process::Cgroup> cgroup) { cgroup_ = std::move(cgroup); }

  // Where commands are born; −1 = anywhere. Not in a cgroup that was killed once: some kernels (6.18) kill at
  // once what is born in it from outside. What is left then is cleanup, and the process tree follows that as
  // well.
  int cgroup_fd() const { return cgroup_ == nullptr || cgroup_killed_ ? -1 : cgroup_->fd(); }
  void Started() { empty_ = false; }

  // Takes every zombie. `empty()` is exact after it.
  void Reap(Time now);
  bool empty() const { return empty_; }

  // INT to the whole tree, after `interrupt` TERM, after `terminate` more KILL. Over as soon as the tree is
  // empty. A second call changes nothing.
  void End(Time now, Duration interrupt, Duration terminate);
  // KILL at once, repeated until the tree is empty; also cuts an End() short.
  void Kill(Time now);
  bool ending() const { return stage_ != Stage::kNone; }
  void Tick(Time now);
  std::optional<Time> deadline() const;

  // Removes the cgroup; call when empty.
  void RemoveCgroup();
  // Ends what only holds the sandbox; waits for it. Call when empty.
  void CloseSandbox(Time now);

  std::uint32_t killed() const { return static_cast<std::uint32_t>(killed_.size()); }
  std::uint32_t left() const;
  // Total time from a first signal to the empty tree.
  Duration ending_took() const { return took_; }

 private:
  enum class Stage { kNone, kInterrupt, kTerminate, kKill };

  void Enter(Stage stage, Time now);
  std::vector<pid_t> Holders() const;
  bool OnlyHolders() const;

  const OnExit on_exit_;
  std::unique_ptr<process::Cgroup> cgroup_;
  sandbox::Sandbox* sandbox_ = nullptr;
  bool cgroup_killed_ = false;
  bool empty_ = true;
  Stage stage_ = Stage::kNone;
  Time began_, next_;
  Duration terminate_{};
  Duration took_{};
  std::set<pid_t> killed_;
};

}  // namespace waggle::shim
