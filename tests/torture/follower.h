#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "tests/support/noisy_stream.h"
#include "tests/torture/tally.h"

namespace waggle::v1 {
class Batch;
}

namespace waggle::test {

// What a job is to print.
struct Printed {
  NoisyPlan out, err;
};

// Reads a job's log like any watcher and compares it with the byte oracle, record by record: over cuts,
// restarts of the queen and new attempts, each of which prints the same from its beginning. One thread.
class Follower {
 public:
  // `target` as for OpenChannel. `who` is for the texts of violations.
  Follower(std::string target, std::uint64_t job, Printed printed, std::string who, Tally* tally);

  // Until the end of the job, reconnecting as long as `go_on` says; false: it said no.
  bool Follow(const std::function<bool()>& go_on);
  // Once what is stored of an attempt (0: the current one); false: the queen could not be asked.
  bool ReadStored(std::uint32_t attempt);

  // Of the last attempt, at the end: compares what came. A log that is whole has all of both streams; of one
  // that was given up a beginning.
  void Judge(bool whole);
  const std::string& state() const { return state_; }  // "passed", …; "" before the end

 private:
  enum class Turn { kEnded, kCut, kBad };
  Turn Watch(std::uint32_t attempt, bool follow);
  bool Take(const v1::Batch& batch);
  void Begin(std::uint64_t epoch);
  bool Bad(const std::string& what);

  const std::string target_;
  const std::uint64_t job_;
  const Printed printed_;
  const std::string who_;
  Tally* const tally_;
  std::uint64_t epoch_ = 0, seq_ = 0;  // the last record taken
  std::optional<NoisyChecker> out_, err_;
  std::string state_;
  bool bad_ = false;
};

}  // namespace waggle::test
