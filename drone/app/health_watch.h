#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "drone/attempt/poller.h"

namespace waggle::drone {

// Whether a health document says that this drone should leave: `down`, or a JSON object whose "state" is
// "down". Anything else does not.
bool SaysDown(std::string_view document);

// Looks at a document somewhere every few seconds, on a thread of its own, and calls `down` once on the
// Poller's thread when it says so. A document that cannot be had says nothing.
class HealthWatch {
 public:
  static constexpr Duration kEvery = std::chrono::seconds(5);
  static constexpr Duration kDeadline = std::chrono::seconds(2);  // for one look

  // `place`: an http:// URL or an absolute path.
  static absl::StatusOr<std::unique_ptr<HealthWatch>> Create(std::string place, attempt::Poller* poller,
                                                             std::function<void()> down);
  ~HealthWatch();  // waits for a look under way

 private:
  struct Impl;
  explicit HealthWatch(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace waggle::drone
