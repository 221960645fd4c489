#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"

namespace waggle::queen::http {

// Kinds of what was not served.
enum class Refused : std::uint8_t {
  kAddressFull,    // a connection above what an address may have
  kServerFull,     // a connection above what the port may have
  kNoDescriptors,  // a connection could not be accepted for want of descriptors or memory
  kHandshake,      // no TLS, no TLS 1.3, no http/1.1, or gone during the handshake
  kSlow,           // one of Waits was used up by the client
  kTooLarge,       // 413, 414, 431
  kMalformed,      // what is no request we understand
  kNoRoute,        // 404, 405
  kNoAnswer,       // a handler dropped its answer or took too long
};
inline constexpr std::size_t kRefusedKinds = 9;

// Counts what was refused and logs it: one line per kind in kQuiet at most, since strangers decide how often
// it happens. Thread-safe.
class Tally {
 public:
  static constexpr auto kQuiet = std::chrono::seconds(10);

  explicit Tally(std::string port) : port_(std::move(port)) {}  // "http"
  // `detail` must be safe to log: of our own words.
  void Count(Refused kind, std::string_view peer, std::string_view detail);
  std::uint64_t count(Refused kind) const;
  void CountRequest() { ++requests_; }
  std::uint64_t requests() const { return requests_; }

 private:
  struct Line {
    Time next{};  // not before
    std::uint64_t untold = 0;
  };
  const std::string port_;
  std::array<std::atomic<std::uint64_t>, kRefusedKinds> counts_{};
  std::atomic<std::uint64_t> requests_{0};  // handed to a handler
  absl::Mutex mutex_;
  std::array<Line, kRefusedKinds> lines_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace waggle::queen::http
