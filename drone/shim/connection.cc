#include "drone/shim/connection.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

namespace waggle::shim {

Connection::Connection(int listen_fd, OnFrame on_frame)
    : listen_fd_(listen_fd), on_frame_(std::move(on_frame)) {}

void Connection::Accept() {
  UniqueFd fd(::accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd.valid()) return;  // it went away again
  fd_ = std::move(fd);
  reader_ = FrameReader();
  out_.clear();
  status_ = last_status_;
  if (last_watermark_.last > 0) watermark_ = last_watermark_;
  Push();
}

void Connection::Readable() {
  char chunk[16384];
  while (fd_.valid()) {
    ssize_t n = ::recv(fd_.get(), chunk, sizeof chunk, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return Close(nullptr);
    reader_.Feed(std::string_view(chunk, static_cast<std::size_t>(n)));
    while (std::optional<Frame> frame = reader_.Next()) {
      if (!on_frame_(*frame)) return Close("the daemon sent a frame that has no place here");
    }
    if (reader_.failed()) return Close("the daemon sent a frame this shim does not understand");
    // A partial read emptied the socket: the next one comes with the next wake-up.
    if (n < static_cast<ssize_t>(sizeof chunk)) return;
  }
}

void Connection::Send(const Status& status) {
  last_status_ = status;
  status_ = status;
}

void Connection::Send(const Watermark& watermark) {
  last_watermark_ = watermark;
  watermark_ = watermark;
}

void Connection::Push() {
  if (!fd_.valid()) {
    status_.reset();
    watermark_.reset();
    return;
  }
  for (;;) {
    if (out_.empty()) {
      if (status_) out_ += EncodeFrame(*status_);
      if (watermark_) out_ += EncodeFrame(*watermark_);
      status_.reset();
      watermark_.reset();
      if (out_.empty()) return;
    }
    ssize_t n = ::send(fd_.get(), out_.data(), out_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) return Close(nullptr);
    out_.erase(0, static_cast<std::size_t>(n));
  }
}

void Connection::Close(const char* why) {
  if (why != nullptr) ::fprintf(stderr, "waggle-shim: %s; connection closed, the attempt goes on\n", why);
  fd_.Reset();
  out_.clear();
  status_.reset();
  watermark_.reset();
}

}  // namespace waggle::shim
