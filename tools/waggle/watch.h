#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace waggle::v1 {
class Batch;
class Job;
}  // namespace waggle::v1

namespace waggle::cli {

class Client;

inline constexpr std::uint64_t kFromNow = ~std::uint64_t{0};

// One job to follow.
struct WatchSpec {
  std::uint64_t job = 0;
  std::uint32_t attempt = 0;    // 0 = the current one and later ones
  std::uint64_t from_line = 0;  // 0 = the first byte; kFromNow = nothing of what is stored already
  bool follow = true;           // false: only what is stored now
  bool late = false;            // what its drone brought behind the verdict `unknown`
};

// Receives what a watch brings, all from the thread that called Watch(). `stream` is the index into the
// specs.
class WatchSink {
 public:
  virtual ~WatchSink() = default;
  // New records only, in order, each exactly once over all reconnects. False: enough of this one.
  virtual bool OnBatch(std::size_t stream, const v1::Batch& batch) = 0;
  virtual void OnState(std::size_t stream, const v1::Job& job) = 0;
  // The end of the watch of this one.
  virtual void OnEnd(std::size_t stream, const v1::Job& job) = 0;
  // A line about the connection, for people.
  virtual void OnNotice(std::string_view line) = 0;
  // Called after each event was handed over: the moment to flush. Not OK ends the watch with that status.
  virtual absl::Status Flush() = 0;
};

// Follows all specs at once until each ended. A broken or silent stream is resumed behind the last record
// received, for ever, with a back-off of 50 ms doubling to 1 s. Returns the queen's status if she refuses one
// of them for good.
absl::Status Watch(Client& client, const std::vector<WatchSpec>& specs, WatchSink& sink);

}  // namespace waggle::cli
