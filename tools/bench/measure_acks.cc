// B3c: hundreds of attempts at once, each with a hundred lines a second; how long until a line is
// acknowledged, which is when it is on the queen's disk.
#include <chrono>
#include <deque>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/status_macros.h"
#include "common/journal/record.h"
#include "tools/bench/floors.h"
#include "tools/bench/hive.h"
#include "tools/bench/light_drone.h"

namespace waggle::bench {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLineEvery = 10ms;
constexpr Duration kPatience = 60s;
constexpr Duration kWarmUp = 1s;  // the logs are made in it
constexpr int kSyncs = 200;

// When each line that is not acknowledged yet was written, by attempt. Two threads.
class Outstanding {
 public:
  void Written(std::uint64_t epoch, std::uint64_t seq, Time at, bool counts) {
    absl::MutexLock lock(&mutex_);
    lines_[epoch].push_back({seq, at, counts});
    ++left_;
  }
  void Acked(std::uint64_t epoch, std::uint64_t seq) {
    const Time now = BootClock::now();
    absl::MutexLock lock(&mutex_);
    std::deque<Line>& lines = lines_[epoch];
    for (; !lines.empty() && lines.front().seq <= seq; lines.pop_front(), --left_) {
      if (lines.front().counts) took_.push_back(Seconds(now - lines.front().at) * 1e3);
    }
  }
  // All of them acknowledged: milliseconds of each that counts.
  absl::StatusOr<std::vector<double>> Finish() {
    RETURN_IF_ERROR(Await(
        [this] {
          absl::MutexLock lock(&mutex_);
          return left_ == 0;
        },
        kPatience, "the acknowledgement of all lines"));
    absl::MutexLock lock(&mutex_);
    return took_;
  }

 private:
  struct Line {
    std::uint64_t seq;
    Time at;
    bool counts;
  };
  absl::Mutex mutex_;
  std::map<std::uint64_t, std::deque<Line>> lines_ ABSL_GUARDED_BY(mutex_);
  std::size_t left_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<double> took_ ABSL_GUARDED_BY(mutex_);
};

// One attempt's lines, due every 10 ms from a moment of its own, as the shim writes records: one per line.
struct Writer {
  std::uint64_t epoch = 0, seq = 0, offset = 0;
  Time due;
};

void AppendDue(Writer& writer, Time now, Time counts_from, const std::string& line, Outstanding& outstanding,
               std::string* packed) {
  for (; writer.due <= now; writer.due += kLineEvery) {
    journal::RecordHeader header;
    header.epoch = Epoch(writer.epoch);
    header.seq = Seq(++writer.seq);
    header.offset = writer.offset;
    header.boot_nanos = writer.due.time_since_epoch().count();
    header.command = 0;
    header.kind = journal::Kind::kStdout;
    header.phase = 2;
    journal::EncodeRecord(header, line, packed);
    writer.offset += line.size();
    outstanding.Written(writer.epoch, writer.seq, writer.due, writer.due >= counts_from);
  }
}

absl::StatusOr<std::vector<double>> StreamLines(const Bench& bench) {
  ASSIGN_OR_RETURN(std::unique_ptr<Hive> hive, Hive::Start(bench));
  const int attempts = bench.plan().streaming_attempts;
  Outstanding outstanding;
  ASSIGN_OR_RETURN(
      std::unique_ptr<LightDrone> drone,
      LightDrone::Connect(hive->data() + "/queen.sock", 0, static_cast<std::uint32_t>(attempts),
                          [&](std::uint64_t epoch, std::uint64_t seq) { outstanding.Acked(epoch, seq); }));
  RETURN_IF_ERROR(hive->client().SubmitMany({"true", {}}, attempts).status());
  ASSIGN_OR_RETURN(const std::vector<std::uint64_t> epochs, drone->Take(attempts, kPatience));
  const std::string line = std::string(99, 'x') + "\n";
  const Time start = BootClock::now();
  std::vector<Writer> writers;
  for (std::size_t i = 0; i < epochs.size(); ++i) {
    writers.push_back(
        {epochs[i], 0, 0, start + kLineEvery * static_cast<long>(i) / static_cast<long>(epochs.size())});
  }
  // Round robin, what is due of each in one message, as a drone does: while the stream is full, lines gather.
  const Time end = start + kWarmUp + std::chrono::seconds(bench.plan().streaming_seconds);
  std::string packed;
  while (BootClock::now() < end) {
    for (Writer& writer : writers) {
      packed.clear();
      AppendDue(writer, BootClock::now(), start + kWarmUp, line, outstanding, &packed);
      if (!packed.empty()) RETURN_IF_ERROR(drone->Send(writer.epoch, packed));
    }
  }
  return outstanding.Finish();
}

}  // namespace

absl::Status MeasureAcks(Bench& bench) {
  Figure p99;
  p99.id = "B3c";
  p99.what = absl::StrCat(bench.plan().streaming_attempts, " attempts of 100 lines/s: write to ack, p99");
  p99.unit = "ms";
  p99.floor = "F2 fdatasync";
  p99.goal = 250;
  Figure p50 = p99;
  p50.what = "  of those p50";
  p50.goal.reset();
  for (int i = 0; i < bench.plan().repetitions; ++i) {
    ASSIGN_OR_RETURN(const double sync, MeasureSyncs(bench.scratch(), kSyncs));
    ASSIGN_OR_RETURN(const std::vector<double> took, StreamLines(bench));
    if (took.empty()) return absl::InternalError("no line was acknowledged");
    p50.values.push_back(Percentile(took, 50));
    p99.values.push_back(Percentile(took, 99));
    for (Figure* figure : {&p50, &p99}) figure->floor_values.push_back(sync * 1e3);
  }
  bench.Add(std::move(p99));
  bench.Add(std::move(p50));
  return absl::OkStatus();
}

}  // namespace waggle::bench
