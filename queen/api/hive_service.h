#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "queen/api/core_port.h"
#include "queen/logs/log_store.h"

namespace grpc {
class Service;
}

namespace waggle::queen {

class PeerCheck;

// The drone side of the queen: Control and Bulk streams. Converts and hands over; what a drone may do is the
// core's and the log store's decision. Thread-safe.
class HiveService {
 public:
  struct Timing {
    Duration lease = limits::kLease;
    Duration heartbeat_busy = limits::kHeartbeatBusy;
    Duration heartbeat_idle = limits::kHeartbeatIdle;
  };

  // `check` outlives it.
  HiveService(CorePort& core, const PeerCheck& check, Timing timing);
  ~HiveService();

  grpc::Service* service();
  // Before the first call is served. The service does not own the store.
  void UseLogs(LogStore* logs);

  // Effects of the core, on the writer thread.
  void Send(ConnectionId connection, const ToDrone& message, std::string document);
  void Close(ConnectionId connection, const absl::Status& status);
  void EndSession(SessionId session);

  // From the log store, on shard threads.
  void Acked(SessionId session, Epoch epoch, Seq seq);
  void ResumeFrom(SessionId session, Epoch epoch, Seq seq);
  void Fenced(SessionId session, Epoch epoch);

  void CloseAll(const absl::Status& status);

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace waggle::queen
