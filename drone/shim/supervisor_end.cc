#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/failpoint.h"
#include "drone/shim/supervisor.h"

// The end of an attempt: nothing of it runs any more, and its final record says what happened.
namespace waggle::shim {
namespace {

using namespace std::chrono_literals;
using journal::Kind;
using journal::kNoCommand;

constexpr Duration kFinishLimit = 1s;  // for a daemon that does not read; the spool has everything anyway
constexpr Duration kReapLimit = 60s;   // a process that outlives KILL for so long hangs in the kernel
constexpr std::size_t kStepNameBytes = 80;

}  // namespace

void Supervisor::Finish() {
  EndLeftovers();
  if (sequence_->reason() == Reason::kCanceled || sequence_->reason() == Reason::kBadConfig ||
      sequence_->reason() == Reason::kSource || sequence_->reason() == Reason::kSpawn ||
      sequence_->reason() == Reason::kPlugin) {
    Add(Kind::kStatus, kNoCommand, sequence_->detail());
  }
  const bool durable = start_->type != JobType::kTest;  // a deploy's end must survive the host
  if (durable) {
    Settle();
    Sync();
  }
  failpoint::Pass("shim.final.decided");
  journal::Final final = MakeFinal();
  Add(Kind::kFinal, kNoCommand, Encode(final));
  Settle();
  failpoint::Pass("shim.final.appended");
  if (durable) Sync();
  status_.state = AttemptState::kFinished;
  status_.finished_wall = final.finished;
  Report();
  connection_.Push();
  PumpUntil([this] { return !connection_.connected() || connection_.idle(); }, now_ + kFinishLimit);
  failpoint::Pass("shim.final.told");
}

void Supervisor::EndLeftovers() {
  tree_.Reap(now_);
  if (!tree_.empty()) tree_.Kill(now_);
  PumpUntil([this] { return tree_.empty(); }, now_ + kReapLimit);
  if (tree_.empty()) tree_.CloseSandbox(now_);
  tree_.RemoveCgroup();
}

std::string Supervisor::StepLabel(Phase phase, std::size_t index) const {
  const Step& step = start_->phases[static_cast<int>(phase)][index];
  const std::string display = DisplayOf(step);
  return absl::StrCat(
      std::string(Name(phase)), "/",
      step.name.empty() ? display.substr(0, std::min(display.find('\n'), kStepNameBytes)) : step.name);
}

journal::Final Supervisor::MakeFinal() {
  journal::Final final;
  final.last = spool_->next();
  final.out = spool_->out_total();
  final.err = spool_->err_total();
  final.test_code = sequence_->test_code();
  final.deploy_code = sequence_->deploy_code();
  final.reason = sequence_->reason();
  final.detail = sequence_->detail();
  if (const auto& failed = sequence_->failed()) {
    final.failed_code = failed->code;
    final.failed_step = StepLabel(failed->phase, failed->step);
  }
  final.processes_left = tree_.left();
  final.processes_killed = tree_.killed();
  final.user_micros = user_micros_;
  final.system_micros = system_micros_;
  final.max_rss_kib = max_rss_kib_;
  final.kill_nanos = static_cast<std::uint64_t>(tree_.ending_took().count());
  final.started = status_.started_wall;
  final.finished = WallNow();
  return final;
}

}  // namespace waggle::shim
