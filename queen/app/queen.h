#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/limits.h"
#include "queen/http/limits.h"

namespace waggle::queen {

struct QueenConfig {
  std::string data;  // directory; made if missing
  Duration lease = limits::kLease;
  std::chrono::milliseconds keep_logs{0};  // after their end; 0 = for ever
  bool serial_branches = true;             // runs of one branch go one after the other
  // For other hosts, "ADDRESS:PORT" each; "" = none. Where peers work and where they enrol.
  std::string listen, http;
  std::size_t connections_per_address = http::kConnectionsPerAddress;  // to the former
  std::size_t grpc_memory_mib = 0;  // for what arrives over gRPC; 0 = a quarter of the host's
  std::string public_name;          // what others call her host; "" = the host's name
  std::chrono::seconds peer_certificate = std::chrono::hours(720);  // its validity
};

// The whole queen in one data directory: store, logs, core, services on DATA/queen.sock and, for peers with a
// certificate of hers, on a TLS port.
class Queen {
 public:
  // Recovers and serves. FailedPrecondition: the directory is in use, or the database is of a newer version.
  static absl::StatusOr<std::unique_ptr<Queen>> Start(const QueenConfig& config);
  // Ends streams with a word, finishes what was taken, stops all threads. Running jobs go on under their
  // drones.
  ~Queen();

  // Where she listens, for people: "unix:/…/queen.sock, grpc 0.0.0.0:7874, https 0.0.0.0:7875".
  const std::string& address() const;

 private:
  struct Parts;
  explicit Queen(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace waggle::queen
