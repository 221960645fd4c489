#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "drone/attempt/poller.h"
#include "drone/core/events.h"
#include "drone/link/credentials.h"

namespace waggle::drone {

// The gRPC client of the drone: one Control and one Bulk stream, each on a connection of its own. Converts
// between messages.h and hive.proto; decides nothing.
//
// Threads: everything here runs on the Poller's thread. gRPC's own threads only copy a message, a write's end
// or the end of a stream into an inbox and ring its eventfd. The inbox is bounded by the streams: the next
// message of a stream is asked for only when the one before was taken out, and each stream ends once.
class Link {
 public:
  struct Facts {         // of this drone, for Hello
    std::string target;  // "unix:/path/queen.sock", or HOST:PORT with credentials
    std::string identity, name, version, host, boot_id;
    std::string data;                    // its file system's free space is a vital sign
    Credentials* credentials = nullptr;  // of a drone on another host; renewed while connected
    std::string place;                   // of the data directory and this boot: a copy of it has another
  };
  using Emit = std::function<void(Event)>;

  static absl::StatusOr<std::unique_ptr<Link>> Create(Facts facts, attempt::Poller* poller, Emit emit);
  ~Link();

  void OpenControl(const Hello& hello);  // replaces what was open
  void CloseControl();                   // no ControlLost follows
  void OpenBulk(SessionId session);
  void CloseBulk();
  void Send(const ControlUp& message);
  // A buffer for the next records; empty, with the memory of earlier ones.
  std::string TakeBuffer();
  void SendRecords(Epoch epoch, std::string packed);

  // Lets what was queued on control go out and ends both streams; waits at most `limit`.
  void Shutdown(Duration limit);

 private:
  struct Impl;
  explicit Link(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace waggle::drone
