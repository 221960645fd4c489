#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// All that journals and log stores ask of a disk goes through this header: the simulation (tests/sim) links a
// disk of its own in place of fd.cc.
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

// All of `data` at `position`; what was written of it before an error stays. `path` is for the message.
absl::Status PwriteAll(int fd, std::string_view data, std::uint64_t position, std::string_view path);

// fdatasync(2). An error is final for the process: never retried, nothing behind it is durable.
absl::Status SyncData(int fd, std::string_view path);

absl::Status Truncate(int fd, std::uint64_t size, std::string_view path);

// A second descriptor of the same open file, for a thread that may outlive the first.
absl::StatusOr<UniqueFd> Duplicate(const UniqueFd& fd, std::string_view path);

absl::StatusOr<std::uint64_t> FileSize(int fd);
bool FileExists(const std::string& path);
// Unlinks; OK when there is nothing.
absl::Status RemoveFile(const std::string& path);
// Names in a directory without "." and "..", in no order.
absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path);

// Reads up to buffer.size() bytes at `offset`; fewer only at end of file. Returns the count.
absl::StatusOr<std::size_t> PreadFull(int fd, std::span<std::byte> buffer, off_t offset);

// What is left of `fd`, up to its end; refused as below. `name` stands in errors.
absl::StatusOr<std::string> ReadToEnd(int fd, std::string_view name, std::size_t max_bytes);
// The whole file, refused with ResourceExhausted above `max_bytes`.
absl::StatusOr<std::string> ReadFile(const std::string& path, std::size_t max_bytes);

// Writes beside the target, syncs, renames over it, syncs the directory: a reader sees the old or the new
// content.
absl::Status WriteFileDurably(const std::string& path, std::string_view content, mode_t mode = 0600);

// Makes the entries of a directory durable.
absl::Status SyncDirectory(const std::string& path);

// mkdir -p with mode 0700 for what is created.
absl::Status MakeDirectories(const std::string& path);
// The same, and the entries of those it made are on the disk.
absl::Status MakeDirectoriesDurably(const std::string& path);

// The directory that holds the running executable: helpers are looked for there.
std::string ExecutableDirectory();

}  // namespace waggle
