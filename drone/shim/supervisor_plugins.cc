#include <signal.h>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/process/tree.h"
#include "drone/shim/supervisor.h"

// Plugins of a phase: they run one after the other before its first command; what they ask for counts when
// they have ended well.
namespace waggle::shim {
namespace {

using namespace std::chrono_literals;
using journal::Kind;
using journal::kNoCommand;

constexpr std::int32_t kBroken = 1;  // the code of a phase whose plugin did not end by itself
constexpr std::int32_t kCannotRun = 126;

}  // namespace

void Supervisor::RunPlugins(Phase phase) {
  std::vector<Step> asked;
  for (const PluginUse& use : start_->plugins.uses) {
    if ((use.phases >> static_cast<int>(phase) & 1) == 0) continue;
    if (in_cleanup_ ? cleanup_ended_ : sequence_->halted()) break;
    const PluginFault fault = RunPlugin(use, phase, &asked);
    if (fault.code == 0) continue;
    const std::string sentence = absl::StrCat("the plugin ", use.name, " failed in the ",
                                              std::string(Name(phase)), " phase: ", fault.why);
    if (!in_cleanup_) {
      sequence_->PluginFailed(fault.code, sentence);
      break;
    }
    journal::Warning warning{use.name, absl::StrCat("the plugin ", use.name, " failed"), fault.why, true};
    Add(Kind::kWarning, kNoCommand, Encode(warning));
  }
  std::vector<Step>& steps = start_->phases[static_cast<int>(phase)];
  sequence_->PluginsAsked(asked.size());
  steps.insert(steps.begin(), std::make_move_iterator(asked.begin()), std::make_move_iterator(asked.end()));
}

Supervisor::PluginFault Supervisor::RunPlugin(const PluginUse& use, Phase phase, std::vector<Step>* steps) {
  now_ = BootClock::now();
  StepSetup setup = PreparePlugin(*start_, use, phase);
  if (setup.code != 0) return {setup.code, setup.error};
  auto run = PluginRun::Open(use.name, GreetingOf(*start_, use, phase, plugin_data_.AsJson()),
                             [this, &use](plugins::Message& m) { OnPluginMessage(use.name, m); });
  if (!run.ok()) return {kCannotRun, std::string(run.status().message())};
  setup.spec.channel = run->child_fd();
  auto command = StartCommand(std::move(setup.spec));
  if (!command.ok()) {  // the drone's fault, not the plugin's
    const std::string why =
        absl::StrCat("the drone could not start the plugin ", use.name, ": ", command.status().message());
    sequence_->Stop(Reason::kSpawn, why);
    return {kCannotRun, why};
  }
  if (command->no_directory()) return {kCannotRun, "it cannot get into the job's directory"};
  if (command->exec_error() != 0) return {kCannotRun, ExecError(use.program, command->exec_error())};
  run->Started();
  command_ = *std::move(command);
  plugin_ = *std::move(run);
  pace_.Reset();
  tree_.Started();
  // What it prints is of no command: it stands with the one before, or before the first.
  command_number_ = next_command_ == 0 ? kNoCommand : next_command_ - 1;
  PluginFault fault = AwaitPlugin(start_->plugins.limit);
  DeclareDropped();
  command_.reset();
  command_number_ = kNoCommand;
  PluginRun::Asked asked = std::move(plugin_->asked());
  plugin_.reset();
  if (fault.code != 0) return fault;
  for (auto& [name, value] : asked.env) {
    if (name != process::kAttemptVariable) start_->plugin_env[name] = std::move(value);
  }
  for (std::string& directory : asked.path) {
    start_->plugin_path.push_back(directory.starts_with('/')
                                      ? std::move(directory)
                                      : absl::StrCat(start_->job_directory, "/", directory));
  }
  steps->insert(steps->end(), std::make_move_iterator(asked.steps.begin()),
                std::make_move_iterator(asked.steps.end()));
  return {};
}

// A plugin that cannot write because the spool has no space is not slow.
Supervisor::PluginFault Supervisor::AwaitPlugin(Duration limit) {
  const bool stopped_before = sequence_->stopped();
  auto over = [this] { return command_->done() || plugin_->failed(); };
  do {
    PumpUntil(over, now_ + limit);
  } while (!over() && retry_flush_);
  const bool late = !over();
  if (!command_->done()) {
    if (!command_->exited()) {
      ::kill(-command_->pid(), SIGKILL);
      ::kill(command_->pid(), SIGKILL);  // it may have left its group
    }
    PumpUntil([this] { return command_->done(); });
  }
  plugin_->End();
  if (!stopped_before && sequence_->stopped()) return {kBroken, "it was ended with the job"};
  if (late)
    return {kBroken, absl::StrCat("it did not end within its limit of ",
                                  static_cast<double>(limit / 1ms) / 1000, " s")};
  // How it ended says more than what it left half said.
  if (const int signal = command_->signal(); signal != 0 && !plugin_->failed()) {
    return {command_->exit_code(), absl::StrCat("it was killed by signal ", signal)};
  }
  if (command_->exit_code() != 0 && !plugin_->failed()) {
    return {command_->exit_code(), absl::StrCat("it ended with code ", command_->exit_code())};
  }
  if (plugin_->failed()) return {kBroken, plugin_->fault()};
  return {};
}

void Supervisor::OnPluginMessage(const std::string& plugin, plugins::Message& message) {
  auto comment = [&](std::string_view text) {
    Add(Kind::kComment, command_number_, absl::StrCat(plugin, ": ", std::string(text)));
  };
  if (auto* said = std::get_if<plugins::Comment>(&message)) {
    comment(said->text);
  } else if (auto* warn = std::get_if<plugins::Warn>(&message)) {
    journal::Warning warning{plugin, std::move(warn->title), std::move(warn->description), warn->major};
    Add(Kind::kWarning, command_number_, Encode(warning));
  } else if (auto* data = std::get_if<plugins::Data>(&message)) {
    const std::string record = Encode(journal::PluginEvent{plugin, plugins::DataStore::Event(plugin, *data)});
    absl::Status applied = record.size() > limits::kRecordPayload
                               ? absl::ResourceExhaustedError(absl::StrCat(
                                     "more than ", limits::kRecordPayload, " bytes in one value"))
                               : plugin_data_.Apply(plugin, *data);
    if (!applied.ok()) return comment(absl::StrCat("data was ignored: ", applied.message()));
    Add(Kind::kPlugin, command_number_, record);
  }
}

}  // namespace waggle::shim
