#include <signal.h>
#include <spdlog/spdlog.h>

#include <cstring>
#include <filesystem>
#include <string>

#include "common/base/version.h"
#include "common/base/vocabulary.h"
#include "common/config/command_line.h"
#include "common/config/logging.h"
#include "common/rpc/channel.h"
#include "queen/app/admin.h"
#include "queen/app/keys.h"
#include "queen/app/queen.h"

namespace {

using waggle::config::Fail;

// Waits for INT or TERM; both stop the queen cleanly. They are blocked in every thread, so only this sees
// them.
int WaitForSignal(const sigset_t& signals) {
  int signal = 0;
  while (sigwait(&signals, &signal) != 0) {
  }
  return signal;
}

int Serve(const waggle::config::Settings& settings) {
  absl::Status logging =
      waggle::config::SetUpLogging("queen", settings.Get("log.level"), settings.Get("log.format"));
  if (!logging.ok()) return Fail(waggle::exit_code::kBadConfig, logging);
  waggle::queen::QueenConfig config;
  config.data = std::filesystem::absolute(settings.Get("data")).lexically_normal().string();
  config.listen = settings.Get("listen");
  config.http = settings.Get("http");
  config.connections_per_address = static_cast<std::size_t>(settings.GetWhole("connections_per_address"));
  if (settings.Get("grpc_memory") != waggle::queen::kAuto)
    config.grpc_memory_mib = static_cast<std::size_t>(settings.GetWhole("grpc_memory"));
  config.public_name = settings.Get("public_name");
  config.peer_certificate =
      std::chrono::duration_cast<std::chrono::seconds>(settings.GetDuration("peer_certificate"));
  config.lease = settings.GetDuration("lease");
  config.keep_logs = settings.GetDuration("retention.logs");
  config.serial_branches = settings.Get("scheduler.branch_runs") == waggle::queen::kSerial;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  auto queen = waggle::queen::Queen::Start(config);
  if (!queen.ok()) {
    return Fail(absl::IsInvalidArgument(queen.status()) ? waggle::exit_code::kBadConfig
                                                        : waggle::exit_code::kRuntimeFailure,
                queen.status());
  }
  spdlog::info("queen {} ready on {}", waggle::kVersion, (*queen)->address());
  int signal = WaitForSignal(signals);
  spdlog::info("{}: the queen stops; running jobs go on under their drones", strsignal(signal));
  return waggle::exit_code::kOk;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string version = "queen " + std::string(waggle::kVersion);
  const waggle::config::DaemonWords words{
      "The central service of Waggle: schedules jobs over drones, keeps their logs.",
      "Run the queen until INT or TERM", version, "queen serve --data /var/lib/queen"};
  waggle::rpc::OnlyTls13();
  return waggle::config::RunDaemon(waggle::queen::kProgram, words, argc, argv, Serve,
                                   waggle::queen::AdminVerbs());
}
