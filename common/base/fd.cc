#include "common/base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace waggle {

void UniqueFd::Reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

absl::Status ErrnoStatus(std::string_view operation, std::string_view subject) {
  int error = errno;
  return absl::ErrnoToStatus(error, absl::StrCat(absl::string_view(operation.data(), operation.size()), " ",
                                                 absl::string_view(subject.data(), subject.size())));
}

absl::StatusOr<UniqueFd> Open(const std::string& path, int flags, mode_t mode) {
  int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0) return ErrnoStatus("open", path);
  return UniqueFd(fd);
}

absl::Status WriteAll(int fd, std::span<const std::byte> data) {
  while (!data.empty()) {
    ssize_t n = ::write(fd, data.data(), data.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus("write", "file");
    }
    data = data.subspan(static_cast<std::size_t>(n));
  }
  return absl::OkStatus();
}

absl::Status WriteAll(int fd, std::string_view data) {
  return WriteAll(fd, std::as_bytes(std::span(data.data(), data.size())));
}

absl::Status PwriteAll(int fd, std::string_view data, std::uint64_t position, std::string_view path) {
  while (!data.empty()) {
    ssize_t n = ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(position));
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus("append to", path);
    }
    data.remove_prefix(static_cast<std::size_t>(n));
    position += static_cast<std::uint64_t>(n);
  }
  return absl::OkStatus();
}

absl::Status SyncData(int fd, std::string_view path) {
  if (::fdatasync(fd) == 0) return absl::OkStatus();
  // Whatever the reason, what was written may be gone: never ResourceExhausted, which invites to try again.
  return absl::DataLossError(ErrnoStatus("sync", path).message());
}

absl::Status Truncate(int fd, std::uint64_t size, std::string_view path) {
  return ::ftruncate(fd, static_cast<off_t>(size)) == 0 ? absl::OkStatus() : ErrnoStatus("truncate", path);
}

absl::StatusOr<UniqueFd> Duplicate(const UniqueFd& fd, std::string_view path) {
  int copy = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return ErrnoStatus("duplicate", path);
  return UniqueFd(copy);
}

absl::StatusOr<std::uint64_t> FileSize(int fd) {
  struct stat info;
  if (::fstat(fd, &info) != 0) return ErrnoStatus("stat", "file");
  return static_cast<std::uint64_t>(info.st_size);
}

bool FileExists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

absl::Status RemoveFile(const std::string& path) {
  return ::unlink(path.c_str()) == 0 || errno == ENOENT ? absl::OkStatus() : ErrnoStatus("remove", path);
}

absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path) {
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return ErrnoStatus("list", path);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(directory)) {
    std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(directory);
  return names;
}

absl::StatusOr<std::size_t> PreadFull(int fd, std::span<std::byte> buffer, off_t offset) {
  std::size_t done = 0;
  while (done < buffer.size()) {
    ssize_t n = ::pread(fd, buffer.data() + done, buffer.size() - done, offset + static_cast<off_t>(done));
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus("read", "file");
    }
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

absl::StatusOr<std::string> ReadToEnd(int fd, std::string_view name, std::size_t max_bytes) {
  const absl::string_view shown(name.data(), name.size());
  std::string content;
  char chunk[16384];
  for (;;) {
    ssize_t n = ::read(fd, chunk, sizeof chunk);
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus("read", name);
    }
    if (n == 0) return content;
    if (content.size() + static_cast<std::size_t>(n) > max_bytes) {
      return absl::ResourceExhaustedError(absl::StrCat(shown, " is larger than ", max_bytes, " bytes"));
    }
    content.append(chunk, static_cast<std::size_t>(n));
  }
}

absl::StatusOr<std::string> ReadFile(const std::string& path, std::size_t max_bytes) {
  ASSIGN_OR_RETURN(UniqueFd fd, Open(path, O_RDONLY));
  return ReadToEnd(fd.get(), path, max_bytes);
}

absl::Status WriteFileDurably(const std::string& path, std::string_view content, mode_t mode) {
  std::string temporary = absl::StrCat(path, ".new");
  ::unlink(temporary.c_str());  // what a crash left has its own content and mode
  {
    ASSIGN_OR_RETURN(UniqueFd fd, Open(temporary, O_WRONLY | O_CREAT | O_EXCL, mode));
    RETURN_IF_ERROR(WriteAll(fd.get(), content));
    if (::fdatasync(fd.get()) != 0) return ErrnoStatus("sync", temporary);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return ErrnoStatus("rename", temporary);
  std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return SyncDirectory(".");
  return SyncDirectory(slash == 0 ? "/" : path.substr(0, slash));
}

absl::Status SyncDirectory(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd fd, Open(path, O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) != 0) return ErrnoStatus("sync", path);
  return absl::OkStatus();
}

// The usual case, that it is there, takes one call.
static absl::Status MakeDirectories(const std::string& path, bool durable) {
  std::size_t slash = path.rfind('/');
  std::string parent = slash == std::string::npos ? "" : path.substr(0, slash);
  int made = ::mkdir(path.c_str(), 0700);
  if (made != 0 && errno == ENOENT && !parent.empty()) {
    RETURN_IF_ERROR(MakeDirectories(parent, durable));
    made = ::mkdir(path.c_str(), 0700);
  }
  if (made == 0) return durable ? SyncDirectory(parent.empty() ? "." : parent) : absl::OkStatus();
  if (errno != EEXIST) return ErrnoStatus("create directory", path);
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) return ErrnoStatus("stat", path);
  if (!S_ISDIR(info.st_mode)) return absl::FailedPreconditionError(absl::StrCat(path, " is not a directory"));
  return absl::OkStatus();
}

absl::Status MakeDirectories(const std::string& path) {
  return MakeDirectories(path, /*durable=*/false);
}

absl::Status MakeDirectoriesDurably(const std::string& path) {
  return MakeDirectories(path, /*durable=*/true);
}

std::string ExecutableDirectory() {
  char buffer[PATH_MAX];
  ssize_t n = ::readlink("/proc/self/exe", buffer, sizeof buffer);
  if (n <= 0) return ".";
  std::string path(buffer, static_cast<std::size_t>(n));
  return path.substr(0, path.rfind('/'));
}

}  // namespace waggle
