// B2a from submit to the first line at a watcher; B2b from a line's write to a watcher.
#include <chrono>
#include <fstream>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "tools/bench/floors.h"
#include "tools/bench/hive.h"

namespace waggle::bench {
namespace {

using namespace std::chrono_literals;

constexpr int kPings = 300, kSpawns = 100;
constexpr int kWarmUp = 5;          // jobs and lines that are not counted: caches, first use of libraries
constexpr int kCommandStarts = 20;  // of the command line
constexpr Duration kRest = 5ms;     // between jobs, so that the system is idle again
constexpr Duration kPatience = 30s;

// Seconds to the first line and to the end of one job.
struct Echo {
  double first_line = 0, end = 0;
};

absl::StatusOr<Echo> RunEcho(Hive& hive) {
  Echo echo;
  const Time start = BootClock::now();
  ASSIGN_OR_RETURN(const std::uint64_t job, hive.client().Submit({"echo hello", {}}));
  ASSIGN_OR_RETURN(const WatchEnded ended, hive.client().Watch(job, [&](std::string_view, std::uint64_t) {
    if (echo.first_line == 0) echo.first_line = Seconds(BootClock::now() - start);
    return true;
  }));
  echo.end = Seconds(BootClock::now() - start);
  if (!ended.passed) return absl::InternalError(absl::StrCat("job ", job, " is ", ended.state));
  return echo;
}

// Milliseconds of one run of a program of ours.
absl::StatusOr<double> RunCommand(const Bench& bench, Hive& hive, std::vector<std::string> args) {
  args.insert(args.begin(), bench.Binary("waggle"));
  const Time start = BootClock::now();
  ASSIGN_OR_RETURN(Program program,
                   Program::Start(args, hive.directory() + "/waggle.log",
                                  {{"WAGGLE_QUEEN", hive.data()}, {"HOME", hive.directory()}}));
  ASSIGN_OR_RETURN(const int code, program.Wait(kPatience));
  if (code != 0) return absl::InternalError(absl::StrCat("waggle ", args[1], " left with ", code));
  return Seconds(BootClock::now() - start) * 1e3;
}

Figure Latency(const char* id, const char* what, const char* floor) {
  Figure figure;
  figure.id = id;
  figure.what = what;
  figure.unit = "ms";
  figure.floor = floor;
  return figure;
}

// Milliseconds from the write of each line to its arrival.
absl::StatusOr<std::vector<double>> RunTicks(const Bench& bench, Hive& hive, int lines) {
  ASSIGN_OR_RETURN(const std::uint64_t job, hive.client().Submit({bench.Binary("waggle-bench-emit"),
                                                                  {"ticks", absl::StrCat(lines), "10"}}));
  std::vector<double> took;
  std::string pending;
  ASSIGN_OR_RETURN(
      const WatchEnded ended, hive.client().Watch(job, [&](std::string_view data, std::uint64_t) {
        const std::int64_t now = BootClock::now().time_since_epoch().count();
        pending.append(data);
        for (std::size_t end; (end = pending.find('\n')) != std::string::npos; pending.erase(0, end + 1)) {
          std::int64_t written = 0;
          if (absl::SimpleAtoi(pending.substr(0, end), &written))
            took.push_back(static_cast<double>(now - written) * 1e-6);
        }
        return true;
      }));
  if (!ended.passed || took.size() != static_cast<std::size_t>(lines)) {
    return absl::InternalError(
        absl::StrCat(took.size(), " of ", lines, " lines came; the job is ", ended.state));
  }
  took.erase(took.begin(), took.begin() + std::min(kWarmUp, lines - 1));
  return took;
}

}  // namespace

absl::Status MeasureSubmitLatency(Bench& bench) {
  Figure p50 = Latency("B2a", "submit to first line, p50", "F1 alone + 4 x F3"), p99 = p50, end50 = p50,
         end99 = p50, start = p50, submit = p50;
  p50.first_light = 10, p50.goal = 5;
  p99.what = "submit to first line, p99", p99.first_light = 20, p99.goal = 9;
  end50.what = "submit to finished, p50", end99.what = "submit to finished, p99";
  start.what = "waggle --version", submit.what = "waggle submit --watch, whole";
  ASSIGN_OR_RETURN(std::unique_ptr<Hive> hive, Hive::Start(bench));
  RETURN_IF_ERROR(hive->AddDrones(1, 2));
  const std::string document = hive->directory() + "/echo.json";
  std::ofstream(document) << R"({"type":"TEST","test":[{"command":"echo hello"}]})";
  for (int i = 0; i < kWarmUp; ++i) RETURN_IF_ERROR(RunEcho(*hive).status());
  for (int i = 0; i < bench.plan().repetitions; ++i) {
    // The least that is needed: one process started, and four messages, each a one-way trip and an answer's.
    ASSIGN_OR_RETURN(std::unique_ptr<RpcFloor> rpc, RpcFloor::Start(bench));
    ASSIGN_OR_RETURN(const double ping, rpc->PingPong(kPings));
    ASSIGN_OR_RETURN(const double spawn, MeasureSpawnLatency(kSpawns));
    rpc.reset();
    std::vector<double> first, ends, starts, submits;
    for (int n = 0; n < bench.plan().echoes; ++n) {
      ASSIGN_OR_RETURN(const Echo echo, RunEcho(*hive));
      first.push_back(echo.first_line * 1e3);
      ends.push_back(echo.end * 1e3);
      std::this_thread::sleep_for(kRest);
    }
    for (int n = 0; n < kCommandStarts; ++n) {
      ASSIGN_OR_RETURN(starts.emplace_back(), RunCommand(bench, *hive, {"--version"}));
      ASSIGN_OR_RETURN(submits.emplace_back(),
                       RunCommand(bench, *hive, {"submit", "--watch", "--job", document}));
    }
    p50.values.push_back(Percentile(first, 50));
    p99.values.push_back(Percentile(first, 99));
    end50.values.push_back(Percentile(ends, 50));
    end99.values.push_back(Percentile(ends, 99));
    start.values.push_back(Median(starts));
    submit.values.push_back(Median(submits));
    for (Figure* figure : {&p50, &p99, &end50, &end99, &start, &submit}) {
      figure->floor_values.push_back((spawn + 4 * ping) * 1e3);
    }
  }
  for (Figure* figure : {&p50, &p99, &end50, &end99, &start, &submit}) bench.Add(std::move(*figure));
  return absl::OkStatus();
}

absl::Status MeasureLineLatency(Bench& bench) {
  Figure p50 = Latency("B2b", "line every 10 ms: write to watcher, p50", "F3 ping-pong"), p99 = p50;
  p50.first_light = 5, p50.goal = 0.6;
  p99.what = "line every 10 ms: write to watcher, p99", p99.first_light = 20, p99.goal = 3;
  ASSIGN_OR_RETURN(std::unique_ptr<Hive> hive, Hive::Start(bench));
  RETURN_IF_ERROR(hive->AddDrones(1, 1));
  for (int i = 0; i < bench.plan().repetitions; ++i) {
    ASSIGN_OR_RETURN(std::unique_ptr<RpcFloor> rpc, RpcFloor::Start(bench));
    ASSIGN_OR_RETURN(const double ping, rpc->PingPong(kPings));
    rpc.reset();
    ASSIGN_OR_RETURN(const std::vector<double> took, RunTicks(bench, *hive, bench.plan().ticks));
    p50.values.push_back(Percentile(took, 50));
    p99.values.push_back(Percentile(took, 99));
    for (Figure* figure : {&p50, &p99}) figure->floor_values.push_back(ping * 1e3);
  }
  for (Figure* figure : {&p50, &p99}) bench.Add(std::move(*figure));
  return absl::OkStatus();
}

}  // namespace waggle::bench
