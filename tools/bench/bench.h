#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/bench/figure.h"

namespace waggle::bench {

// How much of everything. The defaults fit five minutes on two cores.
struct Plan {
  int repetitions = 5;
  int jobs = 2'000;                                  // B1, B5
  int echoes = 200;                                  // B2a
  int ticks = 300;                                   // B2b: lines, one each 10 ms
  std::uint64_t log_bytes = std::uint64_t{1} << 30;  // B3a, B3c, B4
  std::uint64_t small_writes_bytes = 10'000'000;     // B3b
  int streaming_attempts = 500;                      // B3c: ack
  int streaming_seconds = 4;
  int light_drones = 100;  // B4
  int fleet = 20;          // B13
};
Plan QuickPlan();

// What a measurement needs and where it puts what it found. One thread.
class Bench {
 public:
  Bench(const Plan& plan, std::string bin, std::string scratch)
      : plan_(plan), bin_(std::move(bin)), scratch_(std::move(scratch)) {}

  const Plan& plan() const { return plan_; }
  std::string Binary(std::string_view name) const { return bin_ + "/" + std::string(name); }
  const std::string& scratch() const { return scratch_; }  // a directory, removed at the end
  void Add(Figure figure) { figures_.push_back(std::move(figure)); }
  const std::vector<Figure>& figures() const { return figures_; }

 private:
  const Plan plan_;
  const std::string bin_, scratch_;
  std::vector<Figure> figures_;
};

// One group of figures that are measured together.
struct Group {
  std::vector<std::string> ids;  // of its figures, as people name them: "B1", "B5"
  const char* about;
  std::function<absl::Status(Bench&)> measure;
};
const std::vector<Group>& Groups();

// Groups that give the named figures, each once, in the order of Groups(). Everything for no name.
// InvalidArgument: there is no such figure.
absl::StatusOr<std::vector<const Group*>> Select(const std::vector<std::string>& names);

// One per file.
absl::Status MeasureFloors(Bench& bench);         // F1 … F6
absl::Status MeasureThroughput(Bench& bench);     // B1, B5
absl::Status MeasureSubmitLatency(Bench& bench);  // B2a
absl::Status MeasureLineLatency(Bench& bench);    // B2b
absl::Status MeasureLargeLog(Bench& bench);       // B3a, B4
absl::Status MeasureSmallWrites(Bench& bench);    // B3b
absl::Status MeasureLargeWrites(Bench& bench);    // B3c
absl::Status MeasureAcks(Bench& bench);           // B3c
absl::Status MeasureMemory(Bench& bench);         // B4
absl::Status MeasureFaults(Bench& bench);         // B13

}  // namespace waggle::bench
