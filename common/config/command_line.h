#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/config/key.h"
#include "common/config/settings.h"

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace waggle::config {

// What a command line says about settings.
struct Given {
  std::vector<std::pair<const Key*, std::string>> flags;
  std::string file;  // --config
};

// --config and one flag for each key of the table. Values are checked by Settings, not here. `given` must
// outlive the parse.
void AddFlags(const Program& program, CLI::App& app, Given* given);

// What was wrong with the line, and the command whose --help tells more. `root` is what threw.
std::string UsageMessage(const CLI::App& root, const CLI::ParseError& error);

struct DaemonWords {
  std::string_view what, serve, version, example;
};

// A command of a daemon's program besides `serve`.
struct Verb {
  std::string_view name, help;
  std::vector<std::string_view> keys;       // settings it uses: their flags
  std::function<void(CLI::App&)> add;       // its own flags and words
  std::function<int(const Settings&)> run;  // only what it names in `keys` need be set
};

// The whole command line of a daemon: `serve`, `config show [--origin]`, `config keys`, its other verbs,
// --help,
// --version. `serve` gets complete settings. Returns the exit code: 2 for a line that is wrong, 78 for a file
// or a variable.
int RunDaemon(const Program& program, const DaemonWords& words, int argc, char** argv,
              const std::function<int(const Settings&)>& serve, const std::vector<Verb>& verbs = {});

// "error: …" on standard error; returns `code`.
int Fail(int code, const absl::Status& status);

}  // namespace waggle::config
