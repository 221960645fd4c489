#pragma once

#include <functional>
#include <optional>
#include <string>

#include "common/base/fd.h"
#include "drone/shim/protocol.h"

namespace waggle::shim {

// The daemon's end of the attempt socket: accepts, reads frames, sends what is new. Never blocks. What waits
// to be sent is bounded: one frame in flight, the newest Status and the newest Watermark; older unsent ones
// say nothing that the newest does not. A bad frame or an error ends the connection, never the attempt. One
// thread.
class Connection {
 public:
  // Gives false for a frame that a daemon must not send now: the connection is closed.
  using OnFrame = std::function<bool(Frame&)>;

  Connection(int listen_fd, OnFrame on_frame);

  int listen_fd() const { return listen_fd_; }
  int fd() const { return fd_.get(); }  // −1: no daemon
  bool connected() const { return fd_.valid(); }
  bool wants_write() const { return !out_.empty(); }
  bool idle() const { return out_.empty() && !status_ && !watermark_; }

  void Accept();  // listen_fd is readable; a new connection replaces the old one
  void Readable();

  // Remembered for every later connection; the next Push() sends it.
  void Send(const Status& status);
  void Send(const Watermark& watermark);
  void Push();

 private:
  void Close(const char* why);

  const int listen_fd_;
  const OnFrame on_frame_;
  UniqueFd fd_;
  FrameReader reader_;
  std::string out_;  // the rest of what was begun
  std::optional<Status> status_;
  std::optional<Watermark> watermark_;
  std::optional<Status> last_status_;
  Watermark last_watermark_;
};

}  // namespace waggle::shim
