#include "tools/waggle/output.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "common/base/fd.h"
#include "common/base/limits.h"

namespace waggle::cli {
namespace {

constexpr std::size_t kBuffer = 256 * limits::kKiB;  // one write per batch of a watch
constexpr int kClosedPipe = 141;                     // 128 + SIGPIPE

}  // namespace

void Output::Write(std::string_view bytes) {
  if (bytes.empty()) return;
  last_ = bytes.back();
  if (buffer_.size() + bytes.size() > kBuffer) Flush();
  if (bytes.size() >= kBuffer) {
    WriteThrough(bytes);
  } else {
    buffer_.append(bytes);
  }
}

void Output::Flush() {
  if (buffer_.empty()) return;
  WriteThrough(buffer_);
  buffer_.clear();
}

void Output::WriteThrough(std::string_view bytes) {
  while (!bytes.empty() && status_.ok()) {
    ssize_t n = write(fd_, bytes.data(), bytes.size());
    if (n >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EPIPE) {
      _exit(kClosedPipe);
    } else if (errno == EAGAIN) {  // somebody else made the shared descriptor non-blocking
      pollfd waiting{fd_, POLLOUT, 0};
      poll(&waiting, 1, -1);
    } else if (errno != EINTR) {
      status_ = ErrnoStatus("write", fd_ == STDOUT_FILENO ? "standard output" : "standard error");
    }
  }
}

}  // namespace waggle::cli
