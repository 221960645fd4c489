#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"

namespace waggle::bench {

// A drone that is nothing but its two streams: it takes assignments and runs nothing, so that hundreds of
// them, or one with hundreds of attempts, cost the bench little. Calls come from one thread; acknowledgements
// are reported from another.
class LightDrone {
 public:
  using OnAck = std::function<void(std::uint64_t epoch, std::uint64_t seq)>;

  // Returns when the queen has welcomed it and its bulk stream is open.
  static absl::StatusOr<std::unique_ptr<LightDrone>> Connect(const std::string& socket, int number,
                                                             std::uint32_t capacity, OnAck on_ack);
  ~LightDrone();

  // Accepts so many assignments and says that they run. Their epochs.
  absl::StatusOr<std::vector<std::uint64_t>> Take(int count, Duration patience);
  // Whole records (common/journal/record.h). Blocks while the stream is full.
  absl::Status Send(std::uint64_t epoch, const std::string& packed);

 private:
  struct Impl;
  explicit LightDrone(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace waggle::bench
