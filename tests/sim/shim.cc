#include "tests/sim/shim.h"

#include <algorithm>

#include "absl/status/status.h"

namespace waggle::sim {
namespace {

using journal::Kind;
using journal::kNoCommand;

constexpr Nanos kRetryFlush = 200 * kMilli;
constexpr std::size_t kSpoolSegment = 4096;  // so that spools of a few records have several
constexpr std::int32_t kTerminated = 143;

shim::Sequence::Plan PlanOf(const JobPlan& job) {
  shim::Sequence::Plan plan{.type = job.type};
  for (int phase = 0; phase < kPhaseCount; ++phase) plan.steps[phase] = job.phases[phase].size();
  return plan;
}

}  // namespace

Shim::Shim(World& world, Oracle& oracle, const HostClock& clock, Epoch epoch, JobId job, const JobPlan& plan,
           journal::Location spool, Listener listener)
    : world_(world),
      oracle_(oracle),
      clock_(clock),
      epoch_(epoch),
      job_(job),
      plan_(plan),
      listener_(std::move(listener)),
      random_(world.plan.seed, "shim", epoch.value()),
      location_(std::move(spool)),
      sequence_(PlanOf(plan)) {
  status_.epoch = epoch;
}

void Shim::Later(Nanos delay, void (Shim::*what)()) {
  world_.After(delay, [this, what] {
    process.Run([this, what] {
      if (alive_) (this->*what)();
    });
  });
}

void Shim::Start() {
  auto writer = journal::Writer::Create(location_, epoch_, kSpoolSegment);
  if (!writer.ok()) return Fail();
  writer_ = *std::move(writer);
  spool_.emplace(epoch_, [this](std::string_view records, Seq last) {
    absl::Status appended = writer_->AppendRaw(records, last);
    if (appended.ok()) oracle_.RecordsSpooled(epoch_, records);
    return appended;
  });
  status_.started = clock_.Wall();
  status_.state = drone::HeldState::kRunning;
  Add(Kind::kComment, kNoCommand, "simulated");
  Flush();
  Report();
  Advance();
  if (early_cancel_ && alive_) Cancel(early_cancel_->first, early_cancel_->second);
}

void Shim::Greet() {
  listener_.status(status_);
  if (spool_) listener_.watermark(spool_->last());
}

void Shim::Advance() {
  while (alive_ && !running_ && !awaits_grant_) {
    if (spool_->pending()) return;  // goes on when there is space
    if (final_added_) return Finish();
    const shim::Sequence::Action action = sequence_.Next();
    if (action.what == shim::Sequence::Do::kFinish) return Finish();
    if (!Perform(action)) return;
  }
}

bool Shim::Perform(const shim::Sequence::Action& action) {
  switch (action.what) {
    case shim::Sequence::Do::kBeginPhase:
      if (action.phase == Phase::kCleanup) status_.state = drone::HeldState::kCleaning;
      spool_->SetPhase(action.phase);
      status_.phase = action.phase;
      Add(Kind::kPhase, kNoCommand, Encode(journal::PhaseEvent{.wall = clock_.Wall()}));
      Flush();
      Report();
      return true;
    case shim::Sequence::Do::kEndPhase:
      Add(Kind::kPhase, kNoCommand,
          Encode(journal::PhaseEvent{.end = true, .code = action.code, .wall = clock_.Wall()}));
      Flush();
      Report();
      return true;
    case shim::Sequence::Do::kAwaitGrant:
      awaits_grant_ = true;
      status_.wants_grant = true;
      Report();
      return false;
    case shim::Sequence::Do::kRunStep:
      BeginStep(action.phase, action.step);
      return false;
    default:
      return true;
  }
}

void Shim::BeginStep(Phase phase, std::size_t index) {
  const StepPlan& step = plan_.phases[static_cast<int>(phase)][index];
  world_.Note(31, "attempt ", epoch_.value(), " of job ", job_.value(), " runs ", std::string(Name(phase)),
              "/", index);
  oracle_.CommandStarted(epoch_, job_, phase);
  Add(Kind::kCommandStart, commands_,
      Encode(journal::CommandStart{.display = "step", .wall = clock_.Wall()}));
  Flush();
  running_ = Running{&step, 0, step.code};
  Later(step.duration / (step.chunks + 1), &Shim::PrintNext);
}

void Shim::PrintNext() {
  if (!running_) return;
  const StepPlan& step = *running_->step;
  if (blocked_) return Later(kRetryFlush, &Shim::PrintNext);  // its pipes are full
  if (running_->printed < step.chunks) {
    ++running_->printed;
    const Kind stream = random_.OneIn(3) ? Kind::kStderr : Kind::kStdout;
    Print(stream, 1 + random_.Below(step.chunk_bytes));
    if (random_.OneIn(4))
      Print(stream == Kind::kStdout ? Kind::kStderr : Kind::kStdout, 1 + random_.Below(60));
    Flush();
    return Later(step.duration / (step.chunks + 1), &Shim::PrintNext);
  }
  if (!step.endless) EndStep();
}

void Shim::Print(Kind stream, std::size_t bytes) {
  std::uint64_t& at = printed_[stream == Kind::kStdout ? 0 : 1];
  std::string text(bytes, '\0');
  for (char& c : text) c = OutputByte(epoch_, stream, at++);
  Add(stream, commands_, text);
}

void Shim::EndStep() {
  if (!running_) return;
  const std::int32_t code = running_->code;
  running_.reset();
  Add(Kind::kCommandEnd, commands_++, Encode(journal::CommandEnd{.exit_code = code, .wall = clock_.Wall()}));
  sequence_.StepDone(code);
  Flush();
  Advance();
}

void Shim::Grant() {
  sequence_.Granted();
  if (!awaits_grant_) return;
  awaits_grant_ = false;
  status_.wants_grant = false;
  status_.state = drone::HeldState::kGranted;
  Report();
  Advance();
}

void Shim::Cancel(const std::string& by, bool now) {
  if (!spool_) {
    early_cancel_ = {by, now};
    return;
  }
  world_.Note(32, "attempt ", epoch_.value(), " is told to cancel");
  if (!sequence_.Stop(Reason::kCanceled, "canceled by " + by)) {
    if (sequence_.reason() != Reason::kCanceled) world_.Sometimes(Rare::cancel_lost_race_to_end);
    return;
  }
  oracle_.CancelTaken(epoch_);
  world_.Sometimes(Rare::canceled_while_running);
  if (awaits_grant_) {
    awaits_grant_ = false;
    status_.wants_grant = false;
    Report();
  }
  if (!running_) return Advance();
  running_->code = kTerminated;
  Later(now ? kMilli : random_.Skewed(kMilli, 20 * kSecond), &Shim::EndStep);
}

void Shim::Finish() {
  const bool durable = plan_.type != JobType::kTest;
  if (!final_added_) {
    if (sequence_.reason() == Reason::kCanceled) Add(Kind::kStatus, kNoCommand, sequence_.detail());
    Flush();
    if (spool_->pending()) return;  // comes back when there is space
    if (durable && !writer_->Sync().ok()) return Fail();
    Add(Kind::kFinal, kNoCommand, Encode(MakeFinal()));
    final_added_ = true;
    Flush();
    if (spool_->pending()) return;
  }
  if (durable && !writer_->Sync().ok()) return Fail();
  status_.state = drone::HeldState::kFinished;
  world_.Note(33, "attempt ", epoch_.value(), " is finished");
  Report();
  Later(random_.Skewed(100 * kMicro, kSecond), &Shim::Exit);
}

journal::Final Shim::MakeFinal() {
  journal::Final final;
  final.last = spool_->next();
  final.out = spool_->out_total();
  final.err = spool_->err_total();
  final.test_code = sequence_.test_code();
  final.deploy_code = sequence_.deploy_code();
  final.reason = sequence_.reason();
  final.detail = sequence_.detail();
  if (sequence_.failed()) final.failed_code = sequence_.failed()->code;
  final.started = status_.started;
  final.finished = status_.finished = clock_.Wall();
  return final;
}

void Shim::Exit() {
  alive_ = false;
  listener_.exited();
}

void Shim::Kill() {
  if (!alive_) return;
  process.Reset();
  Exit();
}

// The spool cannot be written: the attempt ends without a final record.
void Shim::Fail() {
  Exit();
}

void Shim::Add(Kind kind, std::uint32_t command, std::string_view payload) {
  spool_->Add(kind, command, payload, Now());
}

void Shim::Flush() {
  if (!alive_ || !spool_->pending()) return;
  absl::Status flushed = spool_->Flush();
  if (flushed.ok()) {
    listener_.watermark(spool_->last());
    if (std::exchange(blocked_, false)) Later(0, &Shim::Advance);
  } else if (absl::IsResourceExhausted(flushed)) {
    blocked_ = true;
    world_.Sometimes(Rare::spool_full_blocked_job);
    Later(kRetryFlush, &Shim::Flush);
  } else {
    Fail();
  }
}

void Shim::Report() {
  ++status_.counter;
  status_.last = spool_->last();
  status_.test_code = sequence_.test_code();
  status_.deploy_code = sequence_.deploy_code();
  listener_.status(status_);
}

}  // namespace waggle::sim
