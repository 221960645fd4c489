#include "common/base/vocabulary.h"
#include "common/config/command_line.h"
#include "common/config/logging.h"
#include "common/process/tree.h"
#include "common/rpc/channel.h"
#include "drone/app/control_verbs.h"
#include "drone/app/daemon.h"
#include "drone/app/enrol.h"
#include "drone/app/keys.h"
#include "drone/app/options.h"
#include "drone/app/plugins_verb.h"

namespace {

using waggle::config::Fail;

int Serve(const waggle::config::Settings& settings) {
  absl::Status logging =
      waggle::config::SetUpLogging("drone", settings.Get("log.level"), settings.Get("log.format"));
  if (!logging.ok()) return Fail(waggle::exit_code::kBadConfig, logging);
  auto options = waggle::drone::Resolve(settings, WAGGLE_VERSION);
  if (!options.ok()) return Fail(waggle::exit_code::kBadConfig, options.status());
  auto daemon = waggle::drone::Daemon::Create(std::move(*options));
  if (!daemon.ok()) {
    // Another daemon may leave and a slow host recover; a data directory that cannot be used needs a person.
    if (absl::IsInvalidArgument(daemon.status())) return Fail(waggle::exit_code::kUsage, daemon.status());
    const bool passes = absl::IsAlreadyExists(daemon.status()) || absl::IsUnavailable(daemon.status());
    return Fail(passes ? waggle::exit_code::kRuntimeFailure : waggle::exit_code::kBadConfig, daemon.status());
  }
  return (*daemon)->Run();
}

}  // namespace

int main(int argc, char** argv) {
  waggle::process::HideFromOthers();
  waggle::drone::Daemon::BlockSignals();
  const waggle::config::DaemonWords words{
      "The worker of Waggle: runs jobs on this host.", "Connect to a queen and run what she assigns",
      "drone " WAGGLE_VERSION, "drone serve --queen /var/lib/queen --data /var/lib/drone --label site=lab"};
  waggle::rpc::OnlyTls13();
  std::vector<waggle::config::Verb> verbs = waggle::drone::ControlVerbs();
  verbs.push_back(waggle::drone::EnrolVerb());
  verbs.push_back(waggle::drone::PluginsVerb());
  return waggle::config::RunDaemon(waggle::drone::kProgram, words, argc, argv, Serve, verbs);
}
