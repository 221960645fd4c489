#include "drone/shim/step_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/process/tree.h"

namespace waggle::shim {
namespace {

constexpr std::int32_t kCannotRun = 126;
constexpr std::int32_t kNotFound = 127;

struct Free {
  void operator()(char* p) const { ::free(p); }
};

absl::StatusOr<std::string> RealPath(const std::string& path) {
  std::unique_ptr<char, Free> real(::realpath(path.c_str(), nullptr));
  if (real != nullptr) return std::string(real.get());
  if (errno == ENOENT)
    return absl::NotFoundError(absl::StrCat("working directory ", path, " does not exist"));
  absl::Status status = ErrnoStatus("resolve", path);
  return absl::InvalidArgumentError(absl::StrCat("working directory cannot be used: ", status.message()));
}

absl::Status WriteScript(const std::string& path, const std::string& script, std::optional<uid_t> reader) {
  ASSIGN_OR_RETURN(UniqueFd fd, Open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
  if (reader && ::fchown(fd.get(), *reader, *reader) != 0) return ErrnoStatus("give away", path);
  RETURN_IF_ERROR(WriteAll(fd.get(), script));
  return script.ends_with('\n') ? absl::OkStatus() : WriteAll(fd.get(), std::string_view("\n"));
}

std::string PathOf(const process::Environment& env) {
  auto it = env.find("PATH");
  return it == env.end() ? std::string(process::kDefaultPath) : it->second;
}

// Fills the program or the code that says it is missing.
void Resolve(const std::string& path, const std::string& directory, StepSetup* setup) {
  const std::string& name = setup->spec.argv[0];
  if (auto program = process::FindProgram(name, path, directory)) {
    setup->spec.program = *std::move(program);
    return;
  }
  setup->code = kNotFound;
  setup->error =
      absl::StrCat(name, ": command not found; install it on the drone or check PATH (", path, ")");
}

}  // namespace

bool EnterDirectory(const std::string& base, const std::string& relative, bool itself, StepSetup* setup) {
  absl::StatusOr<UniqueFd> directory = OpenInside(base, relative);
  if (!directory.ok()) {
    setup->code = kCannotRun;
    setup->error = std::string(directory.status().message());
    return false;
  }
  if (itself) {
    setup->spec.path = relative.starts_with('/') ? relative : absl::StrCat(base, "/", relative);
    return true;
  }
  setup->directory = *std::move(directory);
  setup->spec.directory = setup->directory.get();
  return true;
}

absl::StatusOr<UniqueFd> OpenInside(const std::string& base, const std::string& relative) {
  ASSIGN_OR_RETURN(std::string root, RealPath(base));
  std::string real = root;
  if (!relative.empty()) {
    ASSIGN_OR_RETURN(real, RealPath(relative.front() == '/' ? relative : absl::StrCat(root, "/", relative)));
  }
  bool inside = real == root || root == "/" || (real.starts_with(root) && real[root.size()] == '/');
  if (!inside) {
    return absl::InvalidArgumentError(
        absl::StrCat("working directory ", relative, " leaves ", root, "; use a path below it"));
  }
  absl::StatusOr<UniqueFd> fd = Open(real, O_RDONLY | O_DIRECTORY);
  if (fd.ok()) return fd;
  return absl::InvalidArgumentError(
      absl::StrCat("working directory cannot be used: ", fd.status().message()));
}

std::string DisplayOf(const Step& step) {
  if (!step.screen.empty()) return step.screen;
  std::string out = step.command;
  for (const std::string& arg : step.args) absl::StrAppend(&out, " ", arg);
  return out;
}

process::Environment EnvironmentOf(const Start& start, const Step& step, Phase phase) {
  process::Environment env = start.env;
  for (const auto& [name, value] : start.plugin_env) env[name] = value;
  for (const auto& [name, value] : step.env) env[name] = value;
  if (!start.plugin_path.empty())
    env["PATH"] = absl::StrCat(absl::StrJoin(start.plugin_path, ":"), ":", PathOf(env));
  // The mark by which the daemon finds the processes of a dead shim is not a step's to change.
  auto mark = start.env.find(std::string(process::kAttemptVariable));
  if (mark != start.env.end()) env[mark->first] = mark->second;
  env["WAGGLE_PHASE"] = std::string(Name(phase));
  return env;
}

absl::StatusOr<StepSetup> PrepareStep(const Start& start, const Step& step, Phase phase,
                                      const std::string& script_path, std::optional<uid_t> reader) {
  StepSetup setup;
  const std::string& base = phase == Phase::kEnvironment ? start.base_directory : start.job_directory;
  if (!EnterDirectory(base, step.cwd, start.sandbox.isolated(), &setup)) return setup;
  process::Environment env = EnvironmentOf(start, step, phase);
  setup.spec.env = process::EnvironmentStrings(env);
  const std::string path = PathOf(env);

  if (!step.args.empty()) {
    setup.spec.argv.push_back(step.command);
    setup.spec.argv.insert(setup.spec.argv.end(), step.args.begin(), step.args.end());
  } else {
    RETURN_IF_ERROR(WriteScript(script_path, step.command, reader));
    const std::string& shell = step.rules.shell;
    if (shell == "bash" || (shell.empty() && process::FindProgram("bash", path))) {
      setup.spec.argv = {"bash", "-euo", "pipefail", script_path};
    } else {
      setup.spec.argv = {"sh", "-eu", script_path};
    }
  }
  std::string directory = step.cwd.starts_with('/') ? step.cwd : absl::StrCat(base, "/", step.cwd);
  Resolve(path, directory, &setup);
  return setup;
}

StepSetup PrepareCheckout(const Start& start) {
  StepSetup setup;
  if (!EnterDirectory(start.base_directory, "", false, &setup)) return setup;
  process::Environment env = {{"PATH", std::string(process::kDefaultPath)},
                              {"HOME", "/nonexistent"},
                              {"LANG", "C.UTF-8"},
                              {"TZ", "UTC"}};
  auto mark = start.env.find(std::string(process::kAttemptVariable));
  if (mark != start.env.end()) env[mark->first] = mark->second;
  setup.spec.argv = start.checkout.argv;
  setup.spec.env = process::EnvironmentStrings(env);
  Resolve(PathOf(env), "/", &setup);
  return setup;
}

std::string ExecError(const std::string& program, int error) {
  if (error == ENOENT) {
    return absl::StrCat(program, ": command not found (it or the interpreter it names is missing)");
  }
  if (error == E2BIG) {
    return absl::StrCat(program,
                        ": its arguments and environment are too long; put the text into a script or file");
  }
  return absl::StrCat(program, ": cannot be executed: ", ::strerror(error));
}

}  // namespace waggle::shim
