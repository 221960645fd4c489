// waggle-bench: measures the figures of the release binaries beside it. See tools/bench/README.md.
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/fd.h"
#include "common/base/vocabulary.h"
#include "common/process/tree.h"
#include "tools/bench/bench.h"
#include "tools/bench/floor_server.h"
#include "tools/bench/report.h"

namespace waggle::bench {
namespace {

using namespace std::chrono_literals;

constexpr const char* kBinaries[] = {"queen", "drone", "waggle", "waggle-shim", "waggle-bench-emit"};

int Error(int code, const std::string& what, const std::string& why, const std::string& next) {
  std::cerr << "error: " << what << "\n";
  if (!why.empty()) std::cerr << "  " << why << "\n";
  std::cerr << "  next: " << next << "\n";
  return code;
}

std::string MissingBinary(const std::string& bin) {
  for (const char* name : kBinaries) {
    if (::access((bin + "/" + name).c_str(), X_OK) != 0) return bin + "/" + name;
  }
  return "";
}

struct Options {
  Plan plan;
  std::vector<const Group*> groups;
  std::string json, commit;
  bool quick = false;
};

// Measures and reports. Starts processes and fills `scratch`; whoever calls it cleans up.
int Measure(const Options& options, const std::string& bin, const std::string& scratch) {
  Surroundings here = Here();
  here.commit = options.commit;
  here.quick = options.quick;
  Bench bench(options.plan, bin, scratch);
  for (const Group* group : options.groups) {
    std::cerr << absl::StrJoin(group->ids, " ") << "  " << group->about << std::endl;
    const absl::Status status = group->measure(bench);
    if (status.ok()) continue;
    return Error(exit_code::kRuntimeFailure, "a measurement failed", std::string(status.message()),
                 "look at the part of the system it names; the other figures are not shown");
  }
  here.load_after = LoadAverage();
  // JSON on standard output stands alone there.
  (options.json == "-" ? std::cerr : std::cout) << TextReport(here, bench.figures()) << std::flush;
  if (options.json.empty()) return exit_code::kOk;
  const std::string json = JsonReport(here, bench.figures()).dump(2) + "\n";
  if (options.json == "-") {
    std::cout << json << std::flush;
    return std::cout.good() ? exit_code::kOk : exit_code::kRuntimeFailure;
  }
  std::ofstream file(options.json, std::ios::trunc);
  file << json << std::flush;
  if (file.good()) return exit_code::kOk;
  return Error(exit_code::kRuntimeFailure, absl::StrCat("cannot write ", options.json), std::strerror(errno),
               "name another file with --json");
}

// Waits for the process that measures, or for a signal that ends the bench. The exit code.
int Supervise(pid_t worker, const sigset_t& signals) {
  for (;;) {
    int number = 0;
    if (sigwait(&signals, &number) != 0) continue;
    if (number != SIGCHLD) {
      std::cerr << "\n";
      return Error(128 + number, "interrupted", "", "run it again; nothing is left behind");
    }
    int status = 0;
    for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      if (pid != worker) continue;  // a shim whose drone was killed
      if (WIFEXITED(status)) return WEXITSTATUS(status);
      return Error(exit_code::kRuntimeFailure, absl::StrCat("the bench died by signal ", WTERMSIG(status)),
                   "", "report it with the name of the figure that was shown last");
    }
  }
}

// Measures in a process of its own: whatever happens to that, this one ends everything it started and removes
// what it wrote.
int Run(const Options& options) {
  const std::string bin = ExecutableDirectory();
  if (const std::string missing = MissingBinary(bin); !missing.empty()) {
    return Error(exit_code::kRuntimeFailure, absl::StrCat("there is no ", missing),
                 "the bench measures the binaries beside it", "build them: tools/bench/run does");
  }
  const char* tmp = ::getenv("TMPDIR");
  std::string scratch = absl::StrCat(tmp != nullptr && *tmp != 0 ? tmp : "/tmp", "/waggle-bench-XXXXXX");
  if (::mkdtemp(scratch.data()) == nullptr) {
    return Error(exit_code::kRuntimeFailure, absl::StrCat("cannot make ", scratch), std::strerror(errno),
                 "set TMPDIR to a directory on the disk to measure");
  }
  sigset_t signals;
  sigemptyset(&signals);
  for (int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  int code = exit_code::kRuntimeFailure;
  const absl::Status subreaper = process::BecomeSubreaper();
  const pid_t worker = subreaper.ok() ? ::fork() : -1;
  if (worker == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::_exit(Measure(options, bin, scratch));
  }
  if (worker > 0) {
    code = Supervise(worker, signals);
  } else {
    Error(code, "cannot start", subreaper.ok() ? std::strerror(errno) : std::string(subreaper.message()),
          "look at the limits of this user");
  }
  process::KillDescendants(10s);
  std::error_code ignored;
  std::filesystem::remove_all(scratch, ignored);
  return code;
}

int Main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == kFloorServer) return ServeFloor(argv[2]);
  CLI::App app(
      "Measures Waggle's figures with the release binaries beside it.\n\nExample: waggle-bench B1 B3a");
  std::vector<std::string> names;
  std::string json, commit = "unknown commit";
  int repetitions = 0;
  bool quick = false;
  app.add_option("FIGURE", names, "F1 … F6, B1, B2a, B2b, B3a, B3b, B3c, B4, B5, B13; none: all");
  app.add_option("--json", json, "Also as JSON, to this file; -: standard output");
  app.add_option("--repetitions", repetitions, "Of each figure; 5 unless told")->check(CLI::Range(1, 100));
  app.add_option("--commit", commit, "What the binaries were built from, for the report");
  app.add_flag("--quick", quick, "One small repetition of each: for looking, not for comparing");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    return Error(exit_code::kUsage, e.what(), "", "see waggle-bench --help");
  }
  const absl::StatusOr<std::vector<const Group*>> groups = Select(names);
  if (!groups.ok()) {
    return Error(exit_code::kUsage, std::string(groups.status().message()), "", "see waggle-bench --help");
  }
  if (!json.empty() && json != "-" &&
      !std::ofstream(json, std::ios::app).good()) {  // now, not in four minutes
    return Error(exit_code::kUsage, absl::StrCat("cannot write ", json), std::strerror(errno),
                 "name another file with --json");
  }
  Options options{quick ? QuickPlan() : Plan(), *groups, json, commit, quick};
  if (repetitions != 0) options.plan.repetitions = repetitions;
  return Run(options);
}

}  // namespace
}  // namespace waggle::bench

int main(int argc, char** argv) {
  return waggle::bench::Main(argc, argv);
}
