#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/limits.h"

namespace waggle::queen {

struct QueenConfig {
  std::string data;  // directory; made if missing
  Duration lease = limits::kLease;
  bool serial_branches = true;  // runs of one branch go one after the other
};

// The whole queen in one data directory: store, logs, core, services on DATA/queen.sock.
class Queen {
 public:
  // Recovers and serves. FailedPrecondition: the directory is in use, or the database is of a newer version.
  static absl::StatusOr<std::unique_ptr<Queen>> Start(const QueenConfig& config);
  // Ends streams with a word, finishes what was taken, stops all threads. Running jobs go on under their
  // drones.
  ~Queen();

  const std::string& address() const;

 private:
  struct Parts;
  explicit Queen(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace waggle::queen
