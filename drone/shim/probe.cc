#include "drone/shim/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/status_macros.h"
#include "common/process/spawn.h"
#include "drone/sandbox/own.h"
#include "drone/sandbox/sandbox.h"
#include "drone/shim/launch.h"

namespace waggle::shim {
namespace {

std::string_view WhatFailed(Launched::Stage stage) {
  switch (stage) {
    case Launched::Stage::kEnter:
      return "no process gets into the sandbox";
    case Launched::Stage::kDirectory:
      return "the job's user cannot reach the data directory; every directory above it must let others "
             "through (o+x)";
    case Launched::Stage::kExec:
      break;
  }
  return "/bin/true cannot be executed";
}

// A directory in the place of an attempt, gone with this object.
class Room {
 public:
  static absl::StatusOr<std::unique_ptr<Room>> Make(const std::string& parent) {
    std::string path = parent + "/probe-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) return ErrnoStatus("make a directory in", parent);
    return std::unique_ptr<Room>(new Room(path));
  }
  ~Room() {
    for (const char* name : {"/tmp", "/home", "/steps", "/base"}) ::rmdir((path_ + name).c_str());
    for (const char* name : {"/passwd", "/group"}) ::unlink((path_ + name).c_str());
    ::rmdir(path_.c_str());
  }
  const std::string& path() const { return path_; }

 private:
  explicit Room(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

absl::Status RunTrue(sandbox::Sandbox& sandbox, const std::string& directory) {
  RETURN_IF_ERROR(sandbox.Prepare(0));
  ASSIGN_OR_RETURN(const sandbox::Entry entry, sandbox.Open());
  ASSIGN_OR_RETURN(const UniqueFd null, Open("/dev/null", O_RDWR));
  LaunchSpec spec;
  spec.program = "/bin/true";
  spec.argv = {"true"};
  spec.env = {"PATH=" + std::string(process::kDefaultPath)};
  spec.enter = &entry;
  spec.path = directory;
  spec.in = spec.out = spec.err = null.get();
  const Launched launched = Launch(spec);
  if (launched.fork_error != 0) return absl::ErrnoToStatus(launched.fork_error, "start a process");
  if (launched.exec_error != 0) {
    const std::string_view what = WhatFailed(launched.stage);
    return absl::ErrnoToStatus(launched.exec_error, absl::string_view(what.data(), what.size()));
  }
  int status = 0;
  while (::waitpid(launched.pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (status == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("/bin/true ended with code ", process::ExitCode(status)));
}

absl::Status Probe(const std::vector<std::string>& arguments) {
  sandbox::Plan plan;
  const std::optional<Isolation> mode = arguments.size() == 4 ? ParseIsolation(arguments[0]) : std::nullopt;
  if (!mode || *mode == Isolation::kAuto || !absl::SimpleAtoi(arguments[2], &plan.first_user)) {
    return absl::InvalidArgumentError("usage: waggle-shim --probe MODE DIR USER PROGRAM");
  }
  plan.mode = *mode;
  plan.last_user = plan.first_user == 0 ? 0 : plan.first_user + 15;  // some may be taken
  plan.program = arguments[3];
  ASSIGN_OR_RETURN(std::unique_ptr<Room> room, Room::Make(arguments[1]));
  const std::string base = room->path() + "/base";
  RETURN_IF_ERROR(MakeDirectories(base));
  std::unique_ptr<sandbox::Sandbox> sandbox = sandbox::Make(plan, {room->path(), base, "probe"});
  return RunTrue(*sandbox, base);
}

}  // namespace

int RunProbe(const std::vector<std::string>& arguments) {
  const absl::Status works = Probe(arguments);
  if (works.ok()) return 0;
  ::printf("%s\n", std::string(works.message()).c_str());
  return 1;
}

}  // namespace waggle::shim
