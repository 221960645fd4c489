#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/fd.h"

namespace waggle::attempt {

// One epoll set and one boot-clock timer. One thread. Descriptors are borrowed: remove a watch before closing
// its descriptor. A watch removed during Wait() is not called any more in that round.
class Poller {
 public:
  using Watch = std::uint64_t;  // never reused; 0 = none
  using Callback = std::function<void(std::uint32_t events)>;

  static absl::StatusOr<std::unique_ptr<Poller>> Create();

  absl::StatusOr<Watch> Add(int fd, std::uint32_t events, Callback callback);
  void Change(Watch watch, std::uint32_t events);
  void Remove(Watch watch);

  // Wait() returns at this time at the latest; nullopt: not because of time. CLOCK_BOOTTIME, so suspend
  // counts.
  void WakeAt(std::optional<Time> time);
  // Blocks until something happens, calls the callbacks. True: the time of WakeAt has come (it is cleared).
  absl::StatusOr<bool> Wait();

 private:
  struct Entry {
    int fd = -1;
    Callback callback;
  };

  UniqueFd epoll_, timer_;
  Watch next_ = 1;
  std::optional<Time> wake_;
  std::unordered_map<Watch, Entry> watches_;
};

}  // namespace waggle::attempt
