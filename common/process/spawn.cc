#include "common/process/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
#include <sys/pidfd.h>  // glibc 2.36 forgot the C linkage
}

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace waggle::process {
namespace {

absl::string_view View(std::string_view s) {
  return absl::string_view(s.data(), s.size());
}

bool IsExecutableFile(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

absl::Status CheckDirectory(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) {
    absl::Status status = ErrnoStatus("use", path);
    return absl::FailedPreconditionError(
        absl::StrCat("working directory ", path, " cannot be used: ", status.message()));
  }
  if (!S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat("working directory ", path, " is not a directory"));
  }
  return absl::OkStatus();
}

// Frees what posix_spawn_*_init made; a failing add (no memory) is remembered and reported once.
class Actions {
 public:
  Actions() {
    error_ = ::posix_spawn_file_actions_init(&actions_);
    if (error_ == 0) error_ = ::posix_spawnattr_init(&attributes_);
  }
  ~Actions() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;

  void Check(int error) {
    if (error_ == 0) error_ = error;
  }
  int error() const { return error_; }
  posix_spawn_file_actions_t* actions() { return &actions_; }
  posix_spawnattr_t* attributes() { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
  int error_ = 0;
};

void SetSignalsAndSession(bool new_session, Actions& spawn) {
  sigset_t all, none;
  sigfillset(&all);
  sigdelset(&all, SIGKILL);
  sigdelset(&all, SIGSTOP);
  sigemptyset(&none);
  spawn.Check(::posix_spawnattr_setsigdefault(spawn.attributes(), &all));
  spawn.Check(::posix_spawnattr_setsigmask(spawn.attributes(), &none));
  short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
  if (new_session) flags |= POSIX_SPAWN_SETSID;
  spawn.Check(::posix_spawnattr_setflags(spawn.attributes(), flags));
}

// Copies of the descriptors above every target number, so that no dup2 overwrites a source still needed.
absl::Status MapDescriptors(const SpawnOptions& options, std::array<UniqueFd, 4>& copies, Actions& spawn) {
  const int extra_target = options.extra ? options.extra->target : 2;
  const std::array<int, 4> sources = {options.stdin_fd, options.stdout_fd, options.stderr_fd,
                                      options.extra ? options.extra->source : -1};
  for (int i = 0; i < 4; ++i) {
    if (i == 3 && !options.extra) break;
    const int target = i == 3 ? extra_target : i;
    if (sources[i] < 0) {
      spawn.Check(::posix_spawn_file_actions_addopen(spawn.actions(), target, "/dev/null",
                                                     i == 0 ? O_RDONLY : O_WRONLY, 0));
      continue;
    }
    copies[i].Reset(::fcntl(sources[i], F_DUPFD_CLOEXEC, extra_target + 1));
    if (!copies[i].valid()) return ErrnoStatus("duplicate", absl::StrCat("descriptor ", sources[i]));
    spawn.Check(::posix_spawn_file_actions_adddup2(spawn.actions(), copies[i].get(), target));
  }
  for (int fd = 3; fd < extra_target; ++fd)
    spawn.Check(::posix_spawn_file_actions_addclose(spawn.actions(), fd));
  spawn.Check(::posix_spawn_file_actions_addclosefrom_np(spawn.actions(), extra_target + 1));
  return absl::OkStatus();
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (const std::string& s : strings) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

std::string PathOf(const SpawnOptions& options) {
  if (options.env) {
    auto it = options.env->find("PATH");
    return it == options.env->end() ? std::string(kDefaultPath) : it->second;
  }
  const char* path = ::getenv("PATH");
  return path == nullptr ? std::string(kDefaultPath) : path;
}

}  // namespace

std::vector<std::string> EnvironmentStrings(const Environment& env) {
  std::vector<std::string> out;
  out.reserve(env.size());
  for (const auto& [name, value] : env) out.push_back(absl::StrCat(name, "=", value));
  return out;
}

std::optional<std::string> FindProgram(std::string_view program, std::string_view path,
                                       std::string_view directory) {
  if (program.empty()) return std::nullopt;
  auto absolute = [&](std::string_view p) {
    if (p.starts_with('/') || directory.empty()) return std::string(p);
    return absl::StrCat(View(directory), "/", View(p));
  };
  if (program.find('/') != std::string_view::npos) {
    std::string candidate = absolute(program);
    struct stat info;
    if (::stat(candidate.c_str(), &info) != 0) return std::nullopt;
    return candidate;  // whether it may be executed is execve's to say: "not executable" is not "not found"
  }
  while (true) {
    std::size_t colon = path.find(':');
    std::string_view entry = path.substr(0, colon);
    std::string candidate = absolute(absl::StrCat(entry.empty() ? "." : View(entry), "/", View(program)));
    if (IsExecutableFile(candidate)) return candidate;
    if (colon == std::string_view::npos) return std::nullopt;
    path.remove_prefix(colon + 1);
  }
}

absl::StatusOr<Process> Spawn(const SpawnOptions& options) {
  if (options.argv.empty()) return absl::InvalidArgumentError("spawn: argv is empty");
  if (options.extra && options.extra->target < 3) {
    return absl::InvalidArgumentError("spawn: the extra descriptor must have a number of at least 3");
  }
  if (!options.cwd.empty()) RETURN_IF_ERROR(CheckDirectory(options.cwd));
  std::optional<std::string> program = FindProgram(options.argv[0], PathOf(options), options.cwd);
  if (!program) {
    return absl::NotFoundError(
        absl::StrCat("program ", options.argv[0], " was not found; install it or check PATH"));
  }

  Actions spawn;
  std::array<UniqueFd, 4> copies;
  RETURN_IF_ERROR(MapDescriptors(options, copies, spawn));
  SetSignalsAndSession(options.new_session, spawn);
  if (!options.cwd.empty()) {
    spawn.Check(::posix_spawn_file_actions_addchdir_np(spawn.actions(), options.cwd.c_str()));
  }
  if (spawn.error() != 0) return absl::ErrnoToStatus(spawn.error(), "prepare spawn");

  std::vector<std::string> env_strings;
  std::vector<char*> env_pointers;
  if (options.env) {
    env_strings = EnvironmentStrings(*options.env);
    env_pointers = Pointers(env_strings);
  }
  std::vector<char*> argv = Pointers(options.argv);
  Process process;
  int error = ::posix_spawn(&process.pid, program->c_str(), spawn.actions(), spawn.attributes(), argv.data(),
                            options.env ? env_pointers.data() : environ);
  if (error != 0) {
    // Both were there a moment ago: a directory removed since is told from a missing interpreter.
    if (error == ENOENT && !options.cwd.empty()) RETURN_IF_ERROR(CheckDirectory(options.cwd));
    return absl::ErrnoToStatus(error, absl::StrCat("start ", *program));
  }
  process.pidfd.Reset(::pidfd_open(process.pid, 0));
  if (!process.pidfd.valid()) {
    absl::Status status = ErrnoStatus("pidfd_open", options.argv[0]);
    ::kill(process.pid, SIGKILL);
    ::waitpid(process.pid, nullptr, 0);
    return status;
  }
  return process;
}

int ExitCode(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

}  // namespace waggle::process
