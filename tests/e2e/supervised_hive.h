#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/history.h"
#include "tests/support/noisy_stream.h"
#include "tests/support/remote_queen.h"

namespace waggle::test {

// A queen and one drone, "bee", under a supervisor: a daemon that ends is started again, as systemd would.
// Every question is repeated until it is answered, so a test only says what should happen, whoever dies
// meanwhile.
class SupervisedHive : public RemoteFixture {
 protected:
  // How a daemon is started. What kills it belongs into `env` or `before`.
  struct Unit {
    Words argv;
    std::map<std::string, std::string> env;  // besides that of the test
    Words before;                            // in front of argv: a tracer
    std::vector<int> expected;               // exit codes with which it may end by itself
    // Called with its exit code before it is started again, and may change how.
    std::function<void(int)> ended;

    std::optional<Child> child = std::nullopt;
    std::vector<int> codes = {};  // of those that ended
  };

  void TearDown() override;

  Unit& Queen() { return units_["queen"]; }
  Unit& Bee() { return units_["drone"]; }
  static constexpr int kSlots = 4;

  void Up(Unit& unit);    // starts it; what it does is Supervise's
  void Kill(Unit& unit);  // KILL, and waits; not counted
  void Stop(Unit& unit);  // TERM to its group; expects exit code 0
  void Supervise();       // starts again what ended
  // As Eventually, with a supervisor.
  bool Until(const std::function<bool()>& condition, Millis patience = kPatience);

  // `waggle …`, repeated until it is answered.
  Outcome Ask(const Words& args);
  Json AskJson(Words args);  // with -o json
  std::uint64_t SubmitOnce(const Json& document);
  Json WaitForEnd(std::uint64_t job);  // its facts

  // The jobs that every crash has to leave whole, and the judgement of them.
  //   bytes: TEST, prints what the byte oracle makes of its key
  //   deploy: TEST_AND_DEPLOY, whose phases leave their mark in the witness
  //   lost: TEST, whose shim is killed in its first attempt, so that the queen seals a log
  struct Jobs {
    std::uint64_t bytes = 0, deploy = 0, lost = 0;
    std::uint64_t printed = 0;  // bytes on standard output
  };
  Jobs SubmitJobs(std::uint64_t printed = 400'000);
  // One verdict each, exact logs, phases no more often than they may, nothing left. `shims_die`: a shim was
  // killed, so a job may have run again and the deploy may be unknown.
  void Judge(const Jobs& jobs, bool shims_die = false);
  std::string Witness() const { return temp_ / "witness"; }

 private:
  void Take(std::uint64_t job, std::vector<HistoryEntry>* history, const Json& facts);
  void ExpectNoisy(std::uint64_t job, const NoisyPlan& plan);
  void ExpectNothingLeft();

  std::map<std::string, Unit> units_;
  std::vector<Child> gone_;
};

}  // namespace waggle::test
