#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/fd.h"
#include "drone/shim/protocol.h"

namespace waggle::attempt {

// The daemon's end of the connection to one shim. Never blocks. What waits to be sent is bounded by its few
// senders: one Start, then at most kPending bytes of grants and cancels; more closes the connection. One
// thread.
class ShimLink {
 public:
  explicit ShimLink(UniqueFd fd) : fd_(std::move(fd)) {}

  int fd() const { return fd_.get(); }
  bool open() const { return fd_.valid(); }
  bool wants_write() const { return !out_.empty(); }
  // Who sent the last bytes, from the kernel; 0 = nothing came yet.
  pid_t peer() const { return peer_; }

  // Reads what is there and gives whole frames. False: the connection has ended or said nonsense; it is
  // closed.
  bool Readable(const std::function<void(const shim::Frame&)>& on_frame);
  bool Writable();
  bool Send(const shim::Frame& frame) { return SendEncoded(shim::EncodeFrame(frame)); }
  bool SendEncoded(std::string_view frame);
  void Close() { fd_.Reset(); }

 private:
  static constexpr std::size_t kPending = 2 * shim::kMaxFrame;

  UniqueFd fd_;
  shim::FrameReader reader_;
  std::string out_;
  pid_t peer_ = 0;
};

// Whether `pid` was started with WAGGLE_ATTEMPT_KEY=`key`.
bool HasAttemptKey(pid_t pid, std::string_view key);

}  // namespace waggle::attempt
