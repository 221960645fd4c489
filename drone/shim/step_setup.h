#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/fd.h"
#include "common/process/spawn.h"
#include "drone/shim/launch.h"
#include "drone/shim/protocol.h"

namespace waggle::shim {

// A step made ready: what to execute and where. With a code it cannot run, and `error` says why.
struct StepSetup {
  LaunchSpec spec;
  UniqueFd directory;     // spec.directory borrows it
  std::int32_t code = 0;  // 127: command not found, 126: no usable working directory
  std::string error;
};

// What people may see of a step: its screen text, else command and arguments.
std::string DisplayOf(const Step& step);

// The whole environment of one step, nothing of the shim's own.
process::Environment EnvironmentOf(const Start& start, const Step& step, Phase phase);

// `script_path` is where the script of a step without arguments is written, for `reader` alone if there is
// one. A status means that the host failed (the script could not be written), not the step.
absl::StatusOr<StepSetup> PrepareStep(const Start& start, const Step& step, Phase phase,
                                      const std::string& script_path, std::optional<uid_t> reader = {});
// A step of the drone's own: nothing that a job may set reaches it.
StepSetup PrepareCheckout(const Start& start);

// Where the child will work. With `itself` it goes there on its own, as its user and by its view of the host:
// what is open here would be a way out of it. False: it cannot, and `setup` says why.
bool EnterDirectory(const std::string& base, const std::string& relative, bool itself, StepSetup* setup);

// Opens `relative` under `base`. NotFound: missing. InvalidArgument: it leaves the base.
absl::StatusOr<UniqueFd> OpenInside(const std::string& base, const std::string& relative);

// Why a program could not be executed, for people.
std::string ExecError(const std::string& program, int error);

}  // namespace waggle::shim
