#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "common/journal/events.h"
#include "common/journal/writer.h"
#include "drone/core/messages.h"
#include "drone/shim/sequence.h"
#include "drone/shim/spool.h"
#include "tests/sim/network.h"
#include "tests/sim/oracle.h"

namespace waggle::sim {

// Leads one attempt as drone/shim/supervisor.cc does, with its own Sequence, Spool and journal writer; the
// commands only take time and print. Owned by its host for the whole run, so that whatever is still due finds
// it.
class Shim {
 public:
  // What it tells the daemon that is connected, and the host.
  struct Listener {
    std::function<void(const drone::Held&)> status;
    std::function<void(Seq)> watermark;
    std::function<void()> exited;
  };

  Shim(World& world, Oracle& oracle, const HostClock& clock, Epoch epoch, JobId job, const JobPlan& plan,
       journal::Location spool, Listener listener);

  void Start();
  // A daemon connected: it is told where things stand.
  void Greet();
  void Grant();
  void Cancel(const std::string& by, bool now);
  // Dead at once, with all it started.
  void Kill();

  bool alive() const { return alive_; }
  bool finished() const { return status_.state == drone::HeldState::kFinished; }
  Process process;

 private:
  void Later(Nanos delay, void (Shim::*what)());
  void Advance();                                      // as far as it goes without waiting
  bool Perform(const shim::Sequence::Action& action);  // false: it has to wait
  void BeginStep(Phase phase, std::size_t index);
  void Print(journal::Kind stream, std::size_t bytes);
  void PrintNext();
  void EndStep();
  void Finish();
  journal::Final MakeFinal();
  void Exit();

  void Add(journal::Kind kind, std::uint32_t command, std::string_view payload);
  void Flush();
  void Fail();
  void Report();
  Time Now() const { return clock_.Local(); }

  World& world_;
  Oracle& oracle_;
  const HostClock& clock_;
  const Epoch epoch_;
  const JobId job_;
  const JobPlan& plan_;
  const Listener listener_;
  Random random_;
  journal::Location location_;

  bool alive_ = true;
  std::unique_ptr<journal::Writer> writer_;
  shim::Sequence sequence_;
  std::optional<shim::Spool> spool_;
  drone::Held status_;
  bool blocked_ = false;  // the spool had no space
  bool awaits_grant_ = false;
  bool final_added_ = false;
  std::uint32_t commands_ = 0;
  std::uint64_t printed_[2] = {0, 0};
  struct Running {
    const StepPlan* step;
    std::uint32_t printed = 0;
    std::int32_t code = 0;
  };
  std::optional<Running> running_;
  std::optional<std::pair<std::string, bool>> early_cancel_;  // it lies in the socket behind the Start frame
};

}  // namespace waggle::sim
