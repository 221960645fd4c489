#include "drone/shim/plugin_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/limits.h"
#include "common/process/tree.h"

namespace waggle::shim {
namespace {

constexpr std::int32_t kNotFound = 127;

// Texts end up in records, which hold 64 KiB.
constexpr std::size_t kShownBytes = 32 * limits::kKiB;

void Shorten(std::string* text, std::size_t most) {
  if (text->size() <= most) return;
  text->resize(most);
  text->append("…");
}

// A program without arguments is a script of one word: steps tell the two apart by their arguments.
Step ToStep(plugins::AskCommand&& asked, const std::string& plugin) {
  Step step;
  step.name = std::move(asked.name);
  step.command = std::move(asked.run);
  step.screen = std::move(asked.screen);
  step.cwd = std::move(asked.cwd);
  step.env = std::move(asked.env);
  step.env.erase(std::string(process::kAttemptVariable));
  step.silent = asked.silent;
  step.plugin = plugin;
  if (asked.argv.size() == 1) {
    if (step.screen.empty()) step.screen = asked.argv[0];
    step.command = absl::StrCat("exec '", absl::StrReplaceAll(asked.argv[0], {{"'", "'\\''"}}), "'");
  } else if (!asked.argv.empty()) {
    step.command = asked.argv[0];
    step.args.assign(asked.argv.begin() + 1, asked.argv.end());
  }
  Shorten(&step.name, limits::kNameBytes);
  if (step.screen.empty() && DisplayOf(step).size() > kShownBytes) step.screen = DisplayOf(step);
  Shorten(&step.screen, kShownBytes);
  return step;
}

}  // namespace

absl::StatusOr<PluginRun> PluginRun::Open(std::string plugin, std::string greeting, OnMessage on_message) {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
    return ErrnoStatus("make", "socket pair");
  PluginRun run;
  run.fd_.Reset(fds[0]);
  run.child_.Reset(fds[1]);
  ::fcntl(fds[0], F_SETFL, O_NONBLOCK);
  run.plugin_ = std::move(plugin);
  run.out_ = std::move(greeting);
  run.on_message_ = std::move(on_message);
  return run;
}

short PluginRun::events() const {
  return static_cast<short>(POLLIN | (out_.empty() ? 0 : POLLOUT));
}

void PluginRun::Ready(short revents) {
  if ((revents & POLLOUT) != 0 && !out_.empty()) {
    const ssize_t n = ::send(fd_.get(), out_.data(), out_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) out_.erase(0, static_cast<std::size_t>(n));
    if (n < 0 && errno != EAGAIN && errno != EINTR) out_.clear();  // it does not want to know
  }
  if ((revents & (POLLIN | POLLHUP | POLLERR)) != 0) ReadSome();
}

bool PluginRun::ReadSome() {
  char buffer[16 * limits::kKiB];
  if (!fd_.valid() || failed()) return false;
  const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return errno == EINTR;
  if (n <= 0) {
    fd_.Reset();
    return false;
  }
  std::vector<plugins::Message> messages;
  const absl::Status read = channel_.Feed(std::string_view(buffer, static_cast<std::size_t>(n)), &messages);
  Take(read, messages);
  return !failed();
}

void PluginRun::Take(const absl::Status& read, std::vector<plugins::Message>& messages) {
  for (plugins::Message& message : messages) {
    if (auto* env = std::get_if<plugins::SetEnv>(&message)) {
      for (auto& [name, value] : env->env) asked_.env[name] = std::move(value);
    } else if (auto* path = std::get_if<plugins::AddPath>(&message)) {
      for (std::string& directory : path->directories) asked_.path.push_back(std::move(directory));
    } else if (auto* command = std::get_if<plugins::AskCommand>(&message)) {
      if (asked_.steps.size() >= limits::kCommandsPerJob) {
        fault_ = absl::StrCat("it asked for more than ", limits::kCommandsPerJob, " commands");
        return;
      }
      asked_.steps.push_back(ToStep(std::move(*command), plugin_));
    } else {
      if (auto* warn = std::get_if<plugins::Warn>(&message)) {
        Shorten(&warn->title, limits::kReasonBytes);
        Shorten(&warn->description, kShownBytes);
      }
      on_message_(message);
    }
  }
  if (!read.ok()) fault_ = absl::StrCat("it does not keep to the protocol: ", read.message());
}

void PluginRun::End() {
  while (ReadSome()) {
  }
  fd_.Reset();
  if (failed()) return;
  std::vector<plugins::Message> messages;
  const absl::Status read = channel_.Close(&messages);
  Take(read, messages);
}

StepSetup PreparePlugin(const Start& start, const PluginUse& use, Phase phase) {
  StepSetup setup;
  const std::string& base = phase == Phase::kEnvironment ? start.base_directory : start.job_directory;
  if (!EnterDirectory(base, "", start.sandbox.isolated(), &setup)) return setup;
  process::Environment env = EnvironmentOf(start, Step(), phase);
  for (const auto& [name, value] : use.variables) env[name] = value;
  env["WAGGLE_PLUGIN"] = use.name;
  env["WAGGLE_PLUGIN_FD"] = absl::StrCat(kChannelFd);
  setup.spec.env = process::EnvironmentStrings(env);
  setup.spec.program = use.program;
  setup.spec.argv = {use.program, std::string(Name(phase))};
  if (::access(use.program.c_str(), X_OK) != 0) {
    setup.code = kNotFound;
    setup.error = absl::StrCat("its program ", use.program, " cannot be executed: ", ::strerror(errno));
  }
  return setup;
}

std::string GreetingOf(const Start& start, const PluginUse& use, Phase phase, std::string data) {
  return plugins::Encode(plugins::Greeting{.plugin = use.name,
                                           .phase = std::string(Name(phase)),
                                           .config = use.config,
                                           .job = start.plugins.job,
                                           .data = std::move(data),
                                           .env = EnvironmentOf(start, Step(), phase)});
}

}  // namespace waggle::shim
