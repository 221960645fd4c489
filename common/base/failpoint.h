#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"

// Places where a test ends a real process: at every border between "stored" and "said", so that no order of
// the two is left to chance. Off unless the environment of the process says otherwise:
//
//   WAGGLE_FAILPOINT=NAME:N:kill[:FILE]
//
// kills it (SIGKILL) when NAME is passed for the N-th time, N from 1. FILE is made just before that; while it
// is there nothing is killed, so that a supervisor may start the process again with the same environment, and
// of the many copies of a shim one dies. The drone hands the variable on to its shims, never to a job.
namespace waggle::failpoint {

inline constexpr char kVariable[] = "WAGGLE_FAILPOINT";

// Every point, by the process that passes it and what was done last. Each name stands in exactly one Pass()
// (tools/check_failpoints) and has a scenario of its own (tests/e2e/crash_points_test.cc).
inline constexpr std::array kNames = std::to_array<std::string_view>({
    "queen.batch.stepped",       // decided, not stored
    "queen.batch.stored",        // and nothing said of it
    "queen.effect.released",     // one effect of a batch, the others not
    "queen.assign.stored",       // not sent
    "queen.grant.stored",        // not sent
    "queen.verdict.stored",      // not sent to the drone
    "queen.records.appended",    // not synced
    "queen.records.synced",      // not acknowledged
    "queen.final.synced",        // the core does not know that the log is complete
    "queen.final.posted",        // it does; the verdict is not stored
    "queen.seal.decided",        // the last records of a log that is given up are not written
    "queen.seal.written",        // not synced
    "queen.recovery.row",        // one row is in hand, not decoded
    "queen.recovery.loaded",     // rows are read, no log is
    "queen.recovery.log",        // one log is cut and posted
    "queen.retention.marked",    // expired logs, no file of them is deleted
    "queen.retention.deleted",   // the files are, the store does not know
    "queen.enrolment.stored",    // the invitation is used up, no certificate is signed
    "queen.enrolment.signed",    // the answer is not sent
    "drone.epoch.raised",        // nothing of the attempt is there
    "drone.work.taken",          // the spare has no name yet
    "drone.attempt.named",       // its directory is there, no shim
    "drone.shim.launched",       // it was told nothing
    "drone.start.sent",          // to the shim; the queen was told nothing
    "drone.control.sent",        // one message: Hello, Accept, Status, …
    "drone.records.sent",        // one batch
    "drone.grant.received",      // the shim does not know
    "drone.grant.sent",          // it does
    "drone.ack.received",        // nothing is trimmed
    "drone.segment.trimmed",     // the queen has what was in it
    "drone.shim.gone",           // its end is known, nobody was told
    "drone.delete.begun",        // the verdict is with the queen, everything is there
    "drone.delete.work",         // the work directory is gone, the attempt is not
    "drone.recovery.found",      // one attempt, not yet in a Hello
    "drone.enrolment.answered",  // the certificate is here, not stored
    "drone.enrolment.stored",    // the pending key is still there
    "shim.start.received",       // nothing is in the spool
    "shim.records.appended",     // the drone does not know
    "shim.grant.received",       // the deploy has not begun
    "shim.command.started",      // it runs, nothing of it is in the spool but its start
    "shim.command.ended",        // its end is not in the spool
    "shim.final.decided",        // not in the spool
    "shim.final.appended",       // not synced, the drone does not know
    "shim.final.told",           // the shim is about to exit
});

// A name of the table; any other does not compile.
class Point {
 public:
  consteval Point(const char* name) : index_(IndexOf(name)) {}
  constexpr int index() const { return index_; }

 private:
  static consteval int IndexOf(std::string_view name) {
    for (std::size_t i = 0; i < kNames.size(); ++i) {
      if (kNames[i] == name) return static_cast<int>(i);
    }
    throw "no such failpoint: add it to kNames";
  }
  int index_;
};

namespace internal {
inline std::atomic<int> armed{-1};  // index of the one point that counts; -1: none
void Hit();
}  // namespace internal

// Any thread. Without the variable: one load and one comparison.
inline void Pass(Point point) {
  if (internal::armed.load(std::memory_order_relaxed) == point.index()) [[unlikely]]
    internal::Hit();
}

// Before the first Pass(), while there is one thread. InvalidArgument: what is wrong with `spec`; "" disarms.
absl::Status Arm(std::string_view spec);
absl::Status ArmFromEnvironment();
// What this process was armed with, for its children; "" = nothing.
const std::string& Armed();

}  // namespace waggle::failpoint
