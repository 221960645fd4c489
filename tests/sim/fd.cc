// common/base/fd.h over the simulated disk. Linked in place of common/base/fd.cc, so it defines everything
// that one does: a function that is missing here is a link error, never a real file.
#include "common/base/fd.h"

#include <errno.h>
#include <fcntl.h>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "tests/sim/disk.h"

namespace waggle {
namespace {

sim::Disk& disk() {
  return *sim::Disk::current;
}

absl::Status Failed(long result, std::string_view operation, std::string_view subject) {
  errno = static_cast<int>(-result);
  return ErrnoStatus(operation, subject);
}

}  // namespace

void UniqueFd::Reset(int fd) {
  if (fd_ >= 0) disk().Close(fd_);
  fd_ = fd;
}

absl::Status ErrnoStatus(std::string_view operation, std::string_view subject) {
  int error = errno;
  return absl::ErrnoToStatus(error, absl::StrCat(absl::string_view(operation.data(), operation.size()), " ",
                                                 absl::string_view(subject.data(), subject.size())));
}

absl::StatusOr<UniqueFd> Open(const std::string& path, int flags, mode_t) {
  int fd = disk().Open(path, flags);
  if (fd < 0) return Failed(fd, "open", path);
  return UniqueFd(fd);
}

absl::Status WriteAll(int fd, std::string_view data) {
  return PwriteAll(fd, data, disk().Size(fd), "file");
}

absl::Status WriteAll(int fd, std::span<const std::byte> data) {
  return WriteAll(fd, std::string_view(reinterpret_cast<const char*>(data.data()), data.size()));
}

absl::Status PwriteAll(int fd, std::string_view data, std::uint64_t position, std::string_view path) {
  while (!data.empty()) {
    long n = disk().Write(fd, data, position);
    if (n < 0) return Failed(n, "append to", path);
    data.remove_prefix(static_cast<std::size_t>(n));
    position += static_cast<std::uint64_t>(n);
  }
  return absl::OkStatus();
}

absl::Status SyncData(int fd, std::string_view path) {
  int result = disk().Sync(fd);
  return result == 0 ? absl::OkStatus() : Failed(result, "sync", path);
}

absl::Status Truncate(int fd, std::uint64_t size, std::string_view) {
  disk().Truncate(fd, size);
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> Duplicate(const UniqueFd& fd, std::string_view) {
  return UniqueFd(disk().Duplicate(fd.get()));
}

absl::StatusOr<std::uint64_t> FileSize(int fd) {
  return disk().Size(fd);
}

bool FileExists(const std::string& path) {
  return disk().Find(path) != nullptr;
}

absl::Status RemoveFile(const std::string& path) {
  disk().Unlink(path);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path) {
  return disk().List(path);
}

absl::StatusOr<std::size_t> PreadFull(int fd, std::span<std::byte> buffer, off_t offset) {
  return static_cast<std::size_t>(disk().Read(fd, reinterpret_cast<char*>(buffer.data()), buffer.size(),
                                              static_cast<std::uint64_t>(offset)));
}

absl::StatusOr<std::string> ReadFile(const std::string& path, std::size_t max_bytes) {
  const sim::Disk::File* file = disk().Find(path);
  if (file == nullptr) return Failed(-ENOENT, "open", path);
  if (file->data.size() > max_bytes) return absl::ResourceExhaustedError(path);
  return file->data;
}

absl::Status WriteFileDurably(const std::string& path, std::string_view content, mode_t mode) {
  disk().Unlink(path);
  ASSIGN_OR_RETURN(UniqueFd fd, Open(path, O_RDWR | O_CREAT, mode));
  RETURN_IF_ERROR(WriteAll(fd.get(), content));
  RETURN_IF_ERROR(SyncData(fd.get(), path));
  return SyncDirectory(path.substr(0, path.rfind('/')));
}

absl::Status SyncDirectory(const std::string& path) {
  disk().SyncDirectory(path);
  return absl::OkStatus();
}

absl::Status MakeDirectories(const std::string&) {
  return absl::OkStatus();
}

absl::Status MakeDirectoriesDurably(const std::string&) {
  return absl::OkStatus();
}

std::string ExecutableDirectory() {
  return "/bin";
}

}  // namespace waggle
