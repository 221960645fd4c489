#pragma once

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace waggle {

// Owns one file descriptor; closes it. Closing never counts as syncing.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }
  ~UniqueFd() { Reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }
  void Reset(int fd = -1);

 private:
  int fd_ = -1;
};

// "operation path: strerror (errno)", with the canonical code of errno.
absl::Status ErrnoStatus(std::string_view operation, std::string_view subject);

// open(2) with O_CLOEXEC. Errors: NotFound, PermissionDenied, ResourceExhausted (ENOSPC, EMFILE), Internal.
absl::StatusOr<UniqueFd> Open(const std::string& path, int flags, mode_t mode = 0600);

// Writes all of `data` or fails; short writes are continued, EINTR retried.
absl::Status WriteAll(int fd, std::span<const std::byte> data);
absl::Status WriteAll(int fd, std::string_view data);

// Reads up to buffer.size() bytes at `offset`; fewer only at end of file. Returns the count.
absl::StatusOr<std::size_t> PreadFull(int fd, std::span<std::byte> buffer, off_t offset);

// The whole file, refused with ResourceExhausted above `max_bytes`.
absl::StatusOr<std::string> ReadFile(const std::string& path, std::size_t max_bytes);

// Writes beside the target, syncs, renames over it, syncs the directory: a reader sees the old or the new
// content.
absl::Status WriteFileDurably(const std::string& path, std::string_view content, mode_t mode = 0600);

// Makes the entries of a directory durable.
absl::Status SyncDirectory(const std::string& path);

// mkdir -p with mode 0700 for what is created.
absl::Status MakeDirectories(const std::string& path);

// The directory that holds the running executable: helpers are looked for there.
std::string ExecutableDirectory();

}  // namespace waggle
