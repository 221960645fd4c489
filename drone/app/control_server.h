#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "drone/attempt/poller.h"
#include "drone/core/view.h"

namespace waggle::drone {

// What somebody on this host asks of the running daemon: proto/waggle/v1/drone.proto, checked.
struct LocalRequest {
  enum class What : std::uint8_t { kStatus, kPause, kResume, kDrain, kStop, kResize } what = What::kStatus;
  std::string reason;          // kPause
  Duration length{};           // kPause; 0 = until somebody resumes
  std::uint32_t capacity = 0;  // kResize
};

struct LocalStatus {
  std::string name, version, host, data, queen;
  View view;
};

// Serves DATA/drone.sock (0600). gRPC's threads take requests in; they are answered on the Poller's thread,
// in order, between the events of the drone. At most kWaiting of them wait, more are refused.
class ControlServer {
 public:
  using Answer = std::function<absl::StatusOr<LocalStatus>(const LocalRequest&)>;  // on the Poller's thread
  static constexpr std::size_t kWaiting = 64;  // people and scripts of one host

  // Listens from here on. No other thread of this process may make files meanwhile: the socket's mode is
  // that of the process.
  static absl::StatusOr<std::unique_ptr<ControlServer>> Create(const std::string& data,
                                                               attempt::Poller* poller, Answer answer);
  // Refuses what waits, and lets answers on their way out within a second.
  ~ControlServer();

 private:
  struct Impl;
  explicit ControlServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace waggle::drone
