#include <signal.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <string>

#include "common/base/version.h"
#include "common/base/vocabulary.h"
#include "common/config/logging.h"
#include "queen/app/queen.h"

namespace {

// Waits for INT or TERM; both stop the queen cleanly. They are blocked in every thread, so only this sees
// them.
int WaitForSignal(const sigset_t& signals) {
  int signal = 0;
  while (sigwait(&signals, &signal) != 0) {
  }
  return signal;
}

std::string Error(const absl::Status& status) {
  std::string text = "error: " + std::string(status.message());
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 3)
    text.replace(at, 1, "\n  ");
  return text;
}

int Serve(waggle::queen::QueenConfig config, const std::string& level) {
  absl::Status logging = waggle::config::SetUpLogging("queen", level);
  if (!logging.ok()) {
    std::fprintf(stderr, "%s\n", Error(logging).c_str());
    return waggle::exit_code::kUsage;
  }
  config.data = std::filesystem::absolute(config.data).lexically_normal().string();
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  auto queen = waggle::queen::Queen::Start(config);
  if (!queen.ok()) {
    std::fprintf(stderr, "%s\n", Error(queen.status()).c_str());
    return absl::IsInvalidArgument(queen.status()) ? waggle::exit_code::kBadConfig
                                                   : waggle::exit_code::kRuntimeFailure;
  }
  spdlog::info("queen {} ready on {}", waggle::kVersion, (*queen)->address());
  int signal = WaitForSignal(signals);
  spdlog::info("{}: the queen stops; running jobs go on under their drones", strsignal(signal));
  return waggle::exit_code::kOk;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "The central service of Waggle: schedules jobs over drones, keeps their logs.\n\n"
      "Example: queen serve --data /var/lib/queen");
  app.set_version_flag("--version", std::string("queen ") + std::string(waggle::kVersion));
  app.require_subcommand(1);
  waggle::queen::QueenConfig config;
  std::string level = "info";
  double lease_seconds = std::chrono::duration<double>(waggle::limits::kLease).count();
  CLI::App* serve = app.add_subcommand("serve", "Run the queen until INT or TERM");
  serve->add_option("--data", config.data, "Directory for everything the queen keeps; made if missing")
      ->required()
      ->envname("WAGGLE_QUEEN_DATA");
  serve
      ->add_option("--lease", lease_seconds, "Seconds of silence after which a drone's attempts are given up")
      ->check(CLI::Range(1.0, 3600.0))
      ->envname("WAGGLE_QUEEN_LEASE")
      ->capture_default_str();
  serve->add_option("--log-level", level, "error, warn, info, debug, trace")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    app.exit(e);
    return waggle::exit_code::kUsage;
  }
  config.lease = std::chrono::duration_cast<waggle::Duration>(std::chrono::duration<double>(lease_seconds));
  return Serve(config, level);
}
