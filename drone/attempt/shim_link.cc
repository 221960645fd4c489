#include "drone/attempt/shim_link.h"

#include <errno.h>
#include <sys/socket.h>

#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/process/tree.h"

namespace waggle::attempt {
namespace {

constexpr std::size_t kReadChunk = 16 * limits::kKiB;
constexpr std::size_t kEnvironMax = 4 * limits::kMiB;

}  // namespace

bool ShimLink::Readable(const std::function<void(const shim::Frame&)>& on_frame) {
  while (fd_.valid()) {
    char chunk[kReadChunk];
    iovec part{chunk, sizeof chunk};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t size = ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return true;
    if (size <= 0) break;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
      if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS) continue;
      ucred sender;
      std::memcpy(&sender, CMSG_DATA(c), sizeof sender);
      peer_ = sender.pid;
    }
    reader_.Feed(std::string_view(chunk, static_cast<std::size_t>(size)));
    while (std::optional<shim::Frame> frame = reader_.Next()) on_frame(*frame);
    if (reader_.failed()) break;
  }
  Close();
  return false;
}

bool ShimLink::Writable() {
  while (fd_.valid() && !out_.empty()) {
    const ssize_t size = ::send(fd_.get(), out_.data(), out_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return true;
    if (size < 0) {
      Close();
      return false;
    }
    out_.erase(0, static_cast<std::size_t>(size));
  }
  return fd_.valid();
}

bool ShimLink::SendEncoded(std::string_view frame) {
  if (!fd_.valid()) return false;
  out_.append(frame);
  if (out_.size() > kPending) {
    Close();
    return false;
  }
  return Writable();
}

bool HasAttemptKey(pid_t pid, std::string_view key) {
  absl::StatusOr<std::string> environment = ReadFile(absl::StrCat("/proc/", pid, "/environ"), kEnvironMax);
  if (!environment.ok()) return false;
  const std::string entry = absl::StrCat(std::string(process::kAttemptVariable), "=", std::string(key));
  const std::string rest = absl::StrCat(std::string(1, '\0'), *environment);
  return absl::StrContains(rest, absl::StrCat(std::string(1, '\0'), entry, std::string(1, '\0')));
}

}  // namespace waggle::attempt
