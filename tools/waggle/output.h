#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace waggle::cli {

// Buffered bytes to one descriptor, which it does not own. One thread. Nothing is changed on the way.
// A reader that went away (EPIPE) ends the process quietly with 141, as SIGPIPE would; any other error is
// kept in status() and later writes are dropped.
class Output {
 public:
  explicit Output(int fd) : fd_(fd) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() { Flush(); }

  void Write(std::string_view bytes);
  void Flush();
  const absl::Status& status() const { return status_; }
  // True before the first byte and after a newline.
  bool at_line_start() const { return last_ == '\n'; }
  int fd() const { return fd_; }

 private:
  void WriteThrough(std::string_view bytes);

  const int fd_;
  std::string buffer_;
  char last_ = '\n';
  absl::Status status_;
};

}  // namespace waggle::cli
