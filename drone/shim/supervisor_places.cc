#include <stdio.h>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/process/tree.h"
#include "drone/sandbox/own.h"
#include "drone/shim/supervisor.h"

// Where an attempt lives and what keeps it there: its sandbox, its directories, its source.
namespace waggle::shim {
namespace {

using journal::Kind;
using journal::kNoCommand;

constexpr std::int32_t kCannotRun = 126;

}  // namespace

bool Supervisor::MakeSandbox() {
  const sandbox::Places places{directory_, start_->base_directory,
                               start_->env[std::string(process::kAttemptVariable)]};
  sandbox_ = sandbox::Make(start_->sandbox, places);
  tree_.SetSandbox(sandbox_.get());
  if (!start_->sandbox.warning.empty()) {
    Add(Kind::kWarning, kNoCommand,
        Encode(journal::Warning{.title = "the job is not isolated from its host",
                                .description = start_->sandbox.warning}));
  }
  absl::Status made = sandbox_->Prepare(start_->epoch.value());
  if (made.ok()) made = sandbox_->Begin();
  if (made.ok()) return true;
  sequence_->Stop(Reason::kSpawn,
                  absl::StrCat("the job's isolation (", std::string(Name(start_->sandbox.mode)),
                               ") cannot be made: ", made.message()));
  return false;
}

// The checkout makes the job's directory itself: into an empty place.
void Supervisor::MakeDirectories() {
  auto check = [this](const absl::Status& made) {
    if (made.ok()) return;
    sequence_->Stop(Reason::kSpawn,
                    absl::StrCat("the attempt's directories cannot be made: ", made.message()));
  };
  check(waggle::MakeDirectories(directory_ + "/tmp"));
  // In a sandbox, what the job asks for is not made with our rights.
  auto tmp = start_->env.find("TMPDIR");
  if (!sandbox_->isolated() && tmp != start_->env.end() && !tmp->second.empty())
    check(waggle::MakeDirectories(tmp->second));
  if (start_->checkout.argv.empty()) check(MakeJobDirectory());
}

absl::Status Supervisor::MakeJobDirectory() {
  RETURN_IF_ERROR(waggle::MakeDirectories(start_->job_directory));
  if (!sandbox_->user()) return absl::OkStatus();
  return sandbox::OwnDirectory(start_->job_directory, sandbox_->user());
}

// It was made where no process of the job gets, because the helper has our rights.
absl::Status Supervisor::TakeCheckout() {
  if (!sandbox_->isolated()) return MakeJobDirectory();
  const std::string made = directory_ + std::string(kCheckout);
  if (sandbox_->user()) RETURN_IF_ERROR(sandbox::OwnTree(made, *sandbox_->user()));
  if (::rename(made.c_str(), start_->job_directory.c_str()) != 0)
    return ErrnoStatus("put the checkout at", start_->job_directory);
  return absl::OkStatus();
}

void Supervisor::RunCheckout() {
  Add(Kind::kComment, kNoCommand, start_->checkout.comment);
  Flush();
  StepSetup setup = PrepareCheckout(*start_);
  auto input = process::MemoryFile(start_->checkout.input);
  std::int32_t code = setup.code;
  std::string detail = setup.error;
  if (!input.ok()) {
    code = kCannotRun;
    detail = std::string(input.status().message());
  } else if (code == 0) {
    command_number_ = kNoCommand;
    setup.spec.cgroup = tree_.cgroup_fd();
    auto command = Command::Start(setup.spec, input->get(), /*joined=*/true, now_);
    if (!command.ok() || command->exec_error() != 0) {
      code = kCannotRun;
      detail = command.ok() ? ExecError(setup.spec.program, command->exec_error())
                            : std::string(command.status().message());
    } else {
      command_ = *std::move(command);
      pace_.Reset();
      tree_.Started();
      PumpUntil([this] { return command_->done(); });
      code = command_->exit_code();
      detail = last_line_.Take();
      if (detail.empty()) detail = absl::StrCat("the checkout ended with code ", code);
      command_.reset();
    }
  }
  start_->checkout.input.clear();  // a credential is kept no longer than needed
  sequence_->CheckoutDone(code, detail);
  if (code != 0) return;
  absl::Status made = TakeCheckout();
  if (!made.ok()) sequence_->CheckoutDone(kCannotRun, std::string(made.message()));
}

absl::StatusOr<Command> Supervisor::StartCommand(LaunchSpec spec) {
  ASSIGN_OR_RETURN(const sandbox::Entry entry, sandbox_->Open());
  if (sandbox_->isolated()) spec.enter = &entry;
  spec.cgroup = tree_.cgroup_fd();
  return Command::Start(std::move(spec), null_fd_.get(), /*joined=*/false, now_);
}

}  // namespace waggle::shim
