#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "common/base/vocabulary.h"
#include "common/config/logging.h"
#include "drone/app/daemon.h"
#include "drone/app/options.h"

namespace {

int Fail(int code, const absl::Status& status) {
  std::fprintf(stderr, "error: %s\n", std::string(status.message()).c_str());
  return code;
}

int Serve(const waggle::drone::ServeFlags& flags) {
  absl::Status logging = waggle::config::SetUpLogging("drone", flags.log_level, flags.log_format);
  if (!logging.ok()) return Fail(waggle::exit_code::kUsage, logging);
  auto options = waggle::drone::Resolve(flags, WAGGLE_VERSION);
  if (!options.ok()) return Fail(waggle::exit_code::kUsage, options.status());
  auto daemon = waggle::drone::Daemon::Create(std::move(*options));
  if (!daemon.ok()) {
    // Another daemon may leave; a data directory that cannot be used needs a person.
    const bool busy = absl::IsAlreadyExists(daemon.status());
    return Fail(busy ? waggle::exit_code::kRuntimeFailure : waggle::exit_code::kBadConfig, daemon.status());
  }
  return (*daemon)->Run();
}

}  // namespace

int main(int argc, char** argv) {
  waggle::drone::Daemon::BlockSignals();
  CLI::App app{"drone: runs Waggle jobs on this host", "drone"};
  app.set_version_flag("--version", "drone " WAGGLE_VERSION);
  app.require_subcommand(1);
  waggle::drone::ServeFlags flags;
  int slots = 0;
  CLI::App* serve = app.add_subcommand("serve", "Connect to a queen and run what it assigns");
  serve
      ->add_option("--queen", flags.queen,
                   "The queen's socket, unix:/path/queen.sock, or the directory that holds it")
      ->required();
  serve->add_option("--data", flags.data, "Directory of this drone; made if missing, one daemon each")
      ->required();
  serve->add_option("--name", flags.name, "Shown name, unique in the hive (default: the host name)");
  CLI::Option* slots_option =
      serve->add_option("--slots", slots, "Jobs at a time (default: one per two cores and 4 GiB of memory)");
  serve->add_option("--speed", flags.speed, "Relative to other drones; higher is chosen first (default: 1)");
  serve
      ->add_option("--label", flags.labels,
                   "K=V that jobs may ask for; may be repeated (os, arch, host are detected)")
      ->allow_extra_args(false);
  serve->add_option("--env", flags.env, "K=V in the environment of every job; may be repeated")
      ->allow_extra_args(false);
  serve->add_option("--log-level", flags.log_level, "error, warn, info, debug or trace (default: info)");
  serve->add_option("--log-format", flags.log_format, "auto, text or json (default: auto)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? waggle::exit_code::kOk : waggle::exit_code::kUsage;
  }
  if (slots_option->count() > 0) flags.slots = slots;
  return Serve(flags);
}
