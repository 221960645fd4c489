#include "drone/app/hooks.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/process/spawn.h"

namespace waggle::drone {
namespace {

constexpr std::size_t kOutput = 64 * limits::kKiB;

process::Environment OwnEnvironment() {
  process::Environment env;
  for (char** entry = ::environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::size_t equals = text.find('=');
    if (equals != std::string::npos) env[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return env;
}

}  // namespace

void RunHook(std::string_view when, const std::string& command, const std::string& drone,
             const std::string& data) {
  if (command.empty()) return;
  process::SpawnOptions options;
  options.argv = {"/bin/sh", "-c", command};
  options.env = OwnEnvironment();
  (*options.env)["WAGGLE_DRONE"] = drone;
  (*options.env)["WAGGLE_DATA"] = data;
  (*options.env)["WAGGLE_HOOK"] = std::string(when);
  const absl::StatusOr<process::Captured> ended = process::RunCaptured(options, "", kHookLimit, kOutput);
  if (!ended.ok()) {
    spdlog::warn("the {} hook failed: {}; the drone goes on", when, std::string(ended.status().message()));
    return;
  }
  for (const std::string* text : {&ended->out, &ended->err}) {
    for (absl::string_view line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
      spdlog::info("{} hook: {}", when, Quoted(std::string_view(line.data(), line.size())));
    }
  }
  if (ended->exit_code != 0) {
    spdlog::warn("the {} hook failed with code {}; the drone goes on", when, ended->exit_code);
  }
}

}  // namespace waggle::drone
