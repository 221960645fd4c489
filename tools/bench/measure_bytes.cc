// B3a a large log of short lines with a watcher, and B4 the memory it takes; B3b many small writes; B3c large
// writes.
#include <atomic>
#include <chrono>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/fd.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "tools/bench/floors.h"
#include "tools/bench/hive.h"

namespace waggle::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kLine = 100, kWrite = 64 * limits::kKiB;
constexpr std::uint64_t kFloorBytes = std::uint64_t{256} << 20;
constexpr Duration kPatience = 300s;

// What waggle-bench-emit fills lines of `line` bytes with.
std::string Pattern(std::size_t line, std::size_t size) {
  std::string pattern;
  while (pattern.size() < size) {
    const std::size_t at = pattern.size() % line;
    pattern.push_back(at + 1 == line ? '\n' : static_cast<char>('a' + at % 26));
  }
  return pattern;
}

// Boot-clock seconds of the first write and after the last.
absl::StatusOr<std::pair<double, double>> ReadStamp(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 4096));
  const std::vector<std::string> words = absl::StrSplit(text, absl::ByAnyChar(" \n"));
  std::int64_t begin = 0, end = 0;
  if (words.size() < 2 || !absl::SimpleAtoi(words[0], &begin) || !absl::SimpleAtoi(words[1], &end)) {
    return absl::DataLossError("the writer left no times");
  }
  return std::make_pair(static_cast<double>(begin) * 1e-9, static_cast<double>(end) * 1e-9);
}

double Now() {
  return Seconds(BootClock::now().time_since_epoch());
}

// The most memory the shims of a drone had while this lived.
class ShimPeak {
 public:
  explicit ShimPeak(pid_t drone)
      : thread_([this, drone] {
          while (!stop_) {
            for (pid_t shim : ChildrenOf(drone)) peak_ = std::max(peak_.load(), MemoryKiB(shim, "VmHWM"));
            std::this_thread::sleep_for(20ms);
          }
        }) {}
  ~ShimPeak() { Stop(); }
  long Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    return peak_;
  }

 private:
  std::atomic<bool> stop_ = false;
  std::atomic<long> peak_ = 0;  // KiB
  std::thread thread_;
};

JobText Fill(const Bench& bench, std::uint64_t bytes, std::size_t write, std::size_t line,
             const std::string& stamp) {
  return {bench.Binary("waggle-bench-emit"),
          {"fill", absl::StrCat(bytes), absl::StrCat(write), absl::StrCat(line), stamp}};
}

// Watches a job of `fill` to its end, comparing every byte.
absl::Status WatchExactly(Hive& hive, std::uint64_t job, std::uint64_t bytes, std::size_t line) {
  const std::string pattern = Pattern(line, limits::kRecordPayload + line);
  std::uint64_t seen = 0;
  bool exact = true;
  ASSIGN_OR_RETURN(
      const WatchEnded ended, hive.client().Watch(job, [&](std::string_view data, std::uint64_t offset) {
        exact =
            exact && offset == seen && data == std::string_view(pattern).substr(offset % line, data.size());
        seen += data.size();
        return true;
      }));
  if (ended.passed && exact && seen == bytes) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("the watcher of job ", job, " saw ", seen, " of ", bytes,
                                          " bytes, ", exact ? "exact" : "not exact", "; the job is ",
                                          ended.state));
}

Figure Peak(const char* what, double first_light, double goal) {
  Figure figure;
  figure.id = "B4";
  figure.what = what;
  figure.unit = "MiB";
  figure.first_light = first_light;
  figure.goal = goal;
  return figure;
}

double MiB(long kib) {
  return static_cast<double>(kib) / 1024;
}

}  // namespace

absl::Status MeasureLargeLog(Bench& bench) {
  const std::uint64_t bytes = bench.plan().log_bytes;
  Figure rate{.id = "B3a",
              .what = "100-byte lines to store and one watcher",
              .unit = "MB/s",
              .floor = "F5",
              .better = Figure::Better::kHigher,
              .first_light = 70,
              .goal = 250};
  Figure queen = Peak("queen, peak in that log", 64, 40), drone = Peak("drone, peak in that log", 64, 24),
         shim = Peak("shim, peak in that log", 8, 4);
  for (int i = 0; i < bench.plan().repetitions; ++i) {
    ASSIGN_OR_RETURN(const double floor, MeasureAppend(bench.scratch(), kFloorBytes));
    ASSIGN_OR_RETURN(std::unique_ptr<Hive> hive, Hive::Start(bench));
    RETURN_IF_ERROR(hive->AddDrones(1, 1));
    ShimPeak shim_peak(hive->drone(0).pid());
    const std::string stamp = hive->directory() + "/stamp";
    ASSIGN_OR_RETURN(const std::uint64_t job,
                     hive->client().Submit(Fill(bench, bytes, kWrite, kLine, stamp)));
    RETURN_IF_ERROR(WatchExactly(*hive, job, bytes, kLine));
    const double end = Now();  // the verdict is in: the queen has checked the whole log
    ASSIGN_OR_RETURN(const auto times, ReadStamp(stamp));
    rate.values.push_back(static_cast<double>(bytes) / 1e6 / (end - times.first));
    rate.floor_values.push_back(floor);
    shim.values.push_back(MiB(shim_peak.Stop()));
    queen.values.push_back(MiB(MemoryKiB(hive->queen().pid(), "VmHWM")));
    drone.values.push_back(MiB(MemoryKiB(hive->drone(0).pid(), "VmHWM")));
    if (i == 0) RETURN_IF_ERROR(hive->client().Verify(job, bytes));
  }
  for (Figure* figure : {&rate, &queen, &drone, &shim}) bench.Add(std::move(*figure));
  return absl::OkStatus();
}

absl::Status MeasureSmallWrites(Bench& bench) {
  const std::uint64_t bytes = bench.plan().small_writes_bytes;
  Figure took{.id = "B3b",
              .what = "job of 10-byte writes against cat > file",
              .unit = "s",
              .floor = "cat > file",
              .judged = Figure::Judged::kRatio,
              .first_light = 1.5,
              .goal = 1.1};
  ASSIGN_OR_RETURN(std::unique_ptr<Hive> hive, Hive::Start(bench));
  RETURN_IF_ERROR(hive->AddDrones(1, 1));
  for (int i = 0; i < bench.plan().repetitions; ++i) {
    const std::string stamp = absl::StrCat(hive->directory(), "/stamp", i);
    const std::string command = absl::StrCat(bench.Binary("waggle-bench-emit"), " fill ", bytes, " 10 10 ",
                                             stamp, " | cat > ", hive->directory(), "/cat");
    ASSIGN_OR_RETURN(Program cat, Program::Start({"sh", "-c", command}, hive->directory() + "/cat.log"));
    ASSIGN_OR_RETURN(const int code, cat.Wait(kPatience));
    if (code != 0) return absl::InternalError("the writer into cat failed");
    ASSIGN_OR_RETURN(const auto floor, ReadStamp(stamp));
    ASSIGN_OR_RETURN(const std::uint64_t job, hive->client().Submit(Fill(bench, bytes, 10, 10, stamp)));
    RETURN_IF_ERROR(hive->client().WaitPassed(job, kPatience));
    ASSIGN_OR_RETURN(const auto times, ReadStamp(stamp));
    took.values.push_back(times.second - times.first);
    took.floor_values.push_back(floor.second - floor.first);
    if (i == 0) RETURN_IF_ERROR(hive->client().Verify(job, bytes));
  }
  bench.Add(std::move(took));
  return absl::OkStatus();
}

absl::Status MeasureLargeWrites(Bench& bench) {
  const std::uint64_t bytes = bench.plan().log_bytes;
  Figure rate{.id = "B3c",
              .what = "64 KiB writes without newlines to store",
              .unit = "MB/s",
              .floor = "min(F3, F5)",
              .better = Figure::Better::kHigher,
              .judged = Figure::Judged::kRatio,
              .first_light = 0.08,
              .goal = 0.25};
  for (int i = 0; i < bench.plan().repetitions; ++i) {
    ASSIGN_OR_RETURN(std::unique_ptr<RpcFloor> rpc, RpcFloor::Start(bench));
    ASSIGN_OR_RETURN(const double stream, rpc->Stream(kFloorBytes));
    rpc.reset();
    ASSIGN_OR_RETURN(const double append, MeasureAppend(bench.scratch(), kFloorBytes));
    ASSIGN_OR_RETURN(std::unique_ptr<Hive> hive, Hive::Start(bench));
    RETURN_IF_ERROR(hive->AddDrones(1, 1));
    const std::string stamp = hive->directory() + "/stamp";
    ASSIGN_OR_RETURN(const std::uint64_t job, hive->client().Submit(Fill(bench, bytes, kWrite, 0, stamp)));
    RETURN_IF_ERROR(hive->client().WaitPassed(job, kPatience));
    const double end = Now();
    ASSIGN_OR_RETURN(const auto times, ReadStamp(stamp));
    rate.values.push_back(static_cast<double>(bytes) / 1e6 / (end - times.first));
    rate.floor_values.push_back(std::min(stream, append));
    if (i == 0) RETURN_IF_ERROR(hive->client().Verify(job, bytes));
  }
  bench.Add(std::move(rate));
  return absl::OkStatus();
}

}  // namespace waggle::bench
