#include "drone/shim/supervisor.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/failpoint.h"
#include "common/base/limits.h"
#include "common/process/cgroup.h"
#include "common/process/tree.h"

namespace waggle::shim {
namespace {

using namespace std::chrono_literals;
using journal::Kind;
using journal::kNoCommand;

constexpr Duration kStartLimit = 30s;  // the daemon connects at once; longer means that it is gone
constexpr Duration kFailureReap = 10s;
constexpr std::int32_t kCannotRun = 126;
constexpr std::int32_t kCommandNotFound = 127;
constexpr std::string_view kBudgetUsedUp = "the spool budget of the drone was used up";
constexpr std::string_view kDiskFull = "the drone's disk was full";

std::uint64_t Micros(const timeval& t) {
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(t.tv_usec);
}

}  // namespace

Supervisor::Supervisor(std::string directory, int listen_fd)
    : directory_(std::move(directory)),
      connection_(listen_fd, [this](Frame& frame) { return OnFrame(frame); }),
      tree_([this](pid_t pid, int status, const rusage& usage) { OnExit(pid, status, usage); }) {}

int Supervisor::Run() {
  if (!MakeLoop()) return exit_code::kRuntimeFailure;
  connection_.Send(status_);  // what a daemon is told before the Start: accepted
  PumpUntil([this] { return start_.has_value(); }, now_ + kStartLimit);
  if (!start_) {
    ::fprintf(stderr, "waggle-shim: no Start frame came within 30 s; the daemon is gone, nothing was run\n");
    return exit_code::kRuntimeFailure;
  }
  failpoint::Pass("shim.start.received");
  ApplyDefaults();
  if (!Open()) return exit_code::kStorageFailure;
  if (!start_->plugins.fault.empty()) sequence_->Stop(Reason::kBadConfig, start_->plugins.fault);
  if (MakeSandbox()) MakeDirectories();
  for (;;) {
    Sequence::Action action = sequence_->Next();
    if (action.what == Sequence::Do::kFinish) break;
    Perform(action);
    if (retry_flush_) Settle();
  }
  Finish();
  return 0;
}

void Supervisor::ApplyDefaults() {
  auto use = [](std::chrono::nanoseconds& value, std::chrono::nanoseconds fallback) {
    if (value.count() == 0) value = fallback;
  };
  use(start_->wall, limits::kWallLimit);
  use(start_->silence, limits::kSilenceLimit);
  use(start_->cleanup, limits::kCleanupLimit);
  use(start_->interrupt, limits::kCancelInterrupt);
  use(start_->terminate, limits::kCancelTerminate);
  use(start_->plugins.limit, limits::kPluginLimit);
  if (start_->log_bytes == 0) start_->log_bytes = limits::kLogPerJob;
  if (start_->spool_segment == 0) start_->spool_segment = limits::kSpoolSegment;
}

bool Supervisor::Open() {
  auto writer = journal::Writer::Create({directory_, std::string(kSpoolPrefix)}, start_->epoch,
                                        start_->spool_segment, /*syncs=*/start_->type != JobType::kTest);
  if (!writer.ok()) {
    ::fprintf(stderr, "waggle-shim: the spool cannot be made: %s\n", writer.status().ToString().c_str());
    return false;
  }
  writer_ = *std::move(writer);
  budget_.emplace(start_->attempts, start_->spool_budget);
  spool_ = std::make_unique<Spool>(
      start_->epoch, [this](std::string_view records, Seq last) { return AppendToSpool(records, last); });
  auto cgroup =
      process::Cgroup::Create(process::AttemptCgroup(start_->env[std::string(process::kAttemptVariable)]));
  if (cgroup.ok()) tree_.SetCgroup(*std::move(cgroup));

  started_ = now_;
  status_.started_wall = WallNow();
  status_.epoch = start_->epoch;
  status_.state = AttemptState::kRunning;
  Add(Kind::kComment, kNoCommand, start_->header);
  Report();
  return true;
}

void Supervisor::Perform(const Sequence::Action& action) {
  switch (action.what) {
    case Sequence::Do::kBeginPhase:
      return BeginPhase(action.phase);
    case Sequence::Do::kCheckout:
      return RunCheckout();
    case Sequence::Do::kAwaitGrant:
      return AwaitGrant();
    case Sequence::Do::kRunPlugins:
      return RunPlugins(action.phase);
    case Sequence::Do::kRunStep:
      return RunStep(action.phase, action.step);
    case Sequence::Do::kEndPhase:
      return EndPhase(action);
    case Sequence::Do::kFinish:
      return;
  }
}

void Supervisor::BeginPhase(Phase phase) {
  if (phase == Phase::kCleanup) {
    // What a cancel or limit is ending must be gone first: cleanup has the place for itself.
    PumpUntil([this] { return !tree_.ending(); });
    MakeJobDirectory().IgnoreError();  // a failed checkout left none
    in_cleanup_ = true;
    cleanup_started_ = now_;
    status_.state = AttemptState::kCleaning;
  }
  spool_->SetPhase(phase);
  status_.phase = static_cast<std::uint8_t>(phase);
  Add(Kind::kPhase, kNoCommand, Encode(journal::PhaseEvent{.wall = WallNow()}));
  Report();
}

void Supervisor::EndPhase(const Sequence::Action& action) {
  if (action.ran_nothing) {
    journal::Warning warning;
    warning.title = absl::StrCat("nothing ran in the ", std::string(Name(action.phase)), " phase");
    warning.description = "The job's type asks for this phase, but it has no step.";
    Add(Kind::kWarning, kNoCommand, Encode(warning));
  }
  journal::PhaseEvent event{
      .end = true, .code = action.code, .ran_nothing = action.ran_nothing, .wall = WallNow()};
  if (action.next) event.next = std::string(Name(*action.next));
  Add(Kind::kPhase, kNoCommand, Encode(event));
  Report();
}

void Supervisor::AwaitGrant() {
  status_.wants_grant = true;
  Report();
  PumpUntil([this] { return sequence_->granted() || sequence_->stopped(); });
  status_.wants_grant = false;
  if (sequence_->granted()) status_.state = AttemptState::kGranted;
  failpoint::Pass("shim.grant.received");
  Report();
}

// A script has to be written first: that waits for space as the job's output does.
absl::StatusOr<StepSetup> Supervisor::PrepareWithSpace(const Step& step, Phase phase) {
  const std::string script = absl::StrCat(directory_, sandbox_->isolated() ? sandbox::kSteps : "/tmp",
                                          "/step-", command_number_, ".sh");
  const bool decided = Decided();
  const Time patience = now_ + kSpacePatience;
  for (;;) {
    auto setup = PrepareStep(*start_, step, phase, script, sandbox_->user());
    if (!absl::IsResourceExhausted(setup.status()) || (decided && now_ >= patience)) return setup;
    Flush();
    PumpUntil([&] { return Decided() != decided || cleanup_ended_; }, now_ + kRetryFlush);
    if (Decided() != decided || cleanup_ended_) return setup;
  }
}

void Supervisor::RunStep(Phase phase, std::size_t index) {
  const Step& step = start_->phases[static_cast<int>(phase)][index];
  command_number_ = next_command_++;
  silent_ = step.silent;
  rules_ = step.rules;
  withheld_bytes_ = 0;
  const Time began = now_ = BootClock::now();
  Add(Kind::kCommandStart, command_number_,
      Encode(journal::CommandStart{.name = step.name,
                                   .display = DisplayOf(step),
                                   .plugin = step.plugin,
                                   .silent = step.silent,
                                   .wall = WallNow()}));

  journal::CommandEnd end;
  auto setup = PrepareWithSpace(step, phase);
  if (!setup.ok()) {
    end.error = absl::StrCat("the drone could not prepare the command: ", setup.status().message());
    end.exit_code = kCannotRun;
    sequence_->Stop(Reason::kSpawn, end.error);
  } else {
    end.exit_code = RunPrepared(*std::move(setup), step, &end);
  }
  DeclareDropped();
  if (silent_)
    Add(Kind::kComment, command_number_, absl::StrCat("output withheld: ", withheld_bytes_, " bytes"));
  end.duration_nanos = static_cast<std::uint64_t>((now_ - began).count());
  end.wall = WallNow();
  Add(Kind::kCommandEnd, command_number_, Encode(end));
  command_.reset();
  command_number_ = kNoCommand;
  silent_ = false;
  rules_ = {};
  const bool allowed = step.rules.allow_failure && end.exit_code != 0;
  if (allowed) TellAllowed(phase, index, end.exit_code);
  sequence_->StepDone(allowed ? 0 : end.exit_code);
}

void Supervisor::TellAllowed(Phase phase, std::size_t index, std::int32_t code) {
  journal::Warning warning;
  warning.title = absl::StrCat(StepLabel(phase, index), " failed with exit ", code);
  warning.description = "Its failure is allowed; the job goes on.";
  Add(Kind::kWarning, kNoCommand, Encode(warning));
}

std::int32_t Supervisor::RunPrepared(StepSetup setup, const Step& step, journal::CommandEnd* end) {
  Flush();  // the start is visible while the command runs
  end->error = setup.error;
  if (setup.code != 0) return setup.code;
  const std::string directory = setup.spec.path;
  absl::StatusOr<Command> command = StartCommand(std::move(setup.spec));
  if (!command.ok()) {
    end->error = absl::StrCat("the drone could not start the command: ", command.status().message());
    sequence_->Stop(Reason::kSpawn, end->error);
    return kCannotRun;
  }
  if (command->no_directory()) {
    end->error =
        absl::StrCat("working directory ", directory, " cannot be used: ", ::strerror(command->exec_error()));
    return kCannotRun;
  }
  if (command->exec_error() != 0) {
    end->error = ExecError(step.command, command->exec_error());
    return command->exec_error() == ENOENT ? kCommandNotFound : kCannotRun;
  }
  command_ = *std::move(command);
  pace_.Reset();
  tree_.Started();
  failpoint::Pass("shim.command.started");
  const bool stopped_before = sequence_->stopped();
  PumpUntil([this] { return command_->done(); });
  failpoint::Pass("shim.command.ended");
  end->signal = command_->signal();
  end->user_micros = Micros(command_->usage().ru_utime);
  end->system_micros = Micros(command_->usage().ru_stime);
  end->max_rss_kib = static_cast<std::uint64_t>(command_->usage().ru_maxrss);
  if (!stopped_before && sequence_->stopped()) end->error = sequence_->detail();
  return command_->exit_code();
}

void Supervisor::OnExit(pid_t pid, int wait_status, const rusage& usage) {
  user_micros_ += Micros(usage.ru_utime);
  system_micros_ += Micros(usage.ru_stime);
  max_rss_kib_ = std::max(max_rss_kib_, static_cast<std::uint64_t>(usage.ru_maxrss));
  if (!command_ || command_->pid() != pid) return;
  command_->SetUsage(usage);
  command_->Exited(wait_status, now_);
}

void Supervisor::OnOutput(Stream stream, std::string_view bytes) {
  if (silent_) {
    withheld_bytes_ += bytes.size();
    return;
  }
  if (command_number_ == kNoCommand && !plugin_) {
    // The checkout's words are the drone's, not the job's: they are told beside the output, never as part of
    // it.
    last_line_.Feed(bytes, [this](std::string_view line) {
      if (!in_reserve_) Add(Kind::kComment, kNoCommand, line);
    });
    return;
  }
  if (OverBudget()) return Drop(stream, bytes.size(), kBudgetUsedUp);
  const bool drops = dropped_bytes_[0] + dropped_bytes_[1] > 0;
  if (drops && !in_reserve_) DeclareDropped();
  if (in_reserve_ &&
      (drops || writer_->position() + spool_->pending_bytes() + bytes.size() + journal::kHeaderBytes >
                    kOutputInReserve)) {
    return Drop(stream, bytes.size(), over_budget_ ? kBudgetUsedUp : kDiskFull);
  }
  if (log_full_) return;
  output_added_ = true;
  const std::uint64_t room = start_->log_bytes - std::min(start_->log_bytes, spool_->output_bytes());
  Add(stream == Stream::kOut ? Kind::kStdout : Kind::kStderr, command_number_, bytes.substr(0, room));
  if (bytes.size() <= room) return;

  log_full_ = true;
  std::string sentence =
      absl::StrCat("the log reached its limit of ", start_->log_bytes, " bytes; the job was ended");
  Add(Kind::kStatus, command_number_, sentence);
  sequence_->Stop(Reason::kLogLimit, sentence);
  if (in_cleanup_) sequence_->StopCleanup();
  tree_.Kill(now_);
}

void Supervisor::Add(Kind kind, std::uint32_t command, std::string_view payload) {
  spool_->Add(kind, command, payload, now_);
}

void Supervisor::Sync() {
  absl::Status synced = writer_->Sync();
  if (!synced.ok()) Fail(synced);
}

void Supervisor::Report() {
  ++status_.counter;
  status_.last = spool_->last().value();
  status_.test_code = sequence_->test_code();
  status_.deploy_code = sequence_->deploy_code();
  connection_.Send(status_);
  Tell(status_.wants_grant);
}

void Supervisor::Fail(const absl::Status& status) {
  ::fprintf(stderr, "waggle-shim: the spool cannot be written, the attempt is ended: %s\n",
            status.ToString().c_str());
  process::KillDescendants(kFailureReap);
  tree_.RemoveCgroup();
  ::_exit(exit_code::kStorageFailure);
}

}  // namespace waggle::shim
