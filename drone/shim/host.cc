#include "drone/shim/host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <sched.h>

#include <csignal>
#include <optional>

#include "common/base/version.h"
#include "common/process/cgroup.h"
#include "common/process/tree.h"
#include "drone/shim/protocol.h"

namespace waggle::shim {
namespace {

constexpr std::size_t kDigits = 20;  // of the highest epoch
constexpr char kRoom = '.';

struct Request {
  std::string directory, key;
  int listener = -1, log = -1;
};

// nullopt: the drone is gone, or what it says makes no sense.
std::optional<Request> Receive() {
  char text[kHostRequestBytes];
  iovec part{text, sizeof text};
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t size = 0;
  do {
    size = ::recvmsg(kHostFd, &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  const cmsghdr* rights = CMSG_FIRSTHDR(&message);
  if (size <= 0 || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || rights == nullptr ||
      rights->cmsg_type != SCM_RIGHTS || rights->cmsg_len != CMSG_LEN(2 * sizeof(int))) {
    return std::nullopt;
  }
  int fds[2];
  ::memcpy(fds, CMSG_DATA(rights), sizeof fds);
  const std::string_view said(text, static_cast<std::size_t>(size));
  const std::size_t zero = said.find('\0');
  if (zero == std::string_view::npos) return std::nullopt;
  return Request{std::string(said.substr(0, zero)), std::string(said.substr(zero + 1)), fds[0], fds[1]};
}

// Over what the kernel shows of the host. Not longer than that.
bool Overwrite(char* shown, std::string_view text) {
  const std::size_t room = ::strlen(shown);
  if (text.size() > room) return false;
  ::memcpy(shown, text.data(), text.size());
  ::memset(shown + text.size(), 0, room - text.size());
  return true;
}

char* MarkInEnvironment() {
  const std::string name = std::string(process::kAttemptVariable) + "=";
  for (char** entry = ::environ; *entry != nullptr; ++entry) {
    if (::strncmp(*entry, name.c_str(), name.size()) == 0) return *entry + name.size();
  }
  return nullptr;
}

// In the copy: what posix_spawn and exec would have done.
bool BecomeShim(const Request& request, char** argv, char* mark) {
  ::setsid();
  if (!Overwrite(argv[1], "--lead") || !Overwrite(argv[2], request.directory) ||
      !Overwrite(mark, request.key)) {
    ::dprintf(request.log, "waggle-shim: the host has no room for the name of %s\n",
              request.directory.c_str());
    return false;
  }
  if (::dup2(request.log, STDERR_FILENO) < 0 || ::chdir(request.directory.c_str()) != 0) {
    ::dprintf(request.log, "waggle-shim: %s: %s\n", request.directory.c_str(), ::strerror(errno));
    return false;
  }
  // The numbers may overlap: a copy of the socket first, out of the way.
  const int listener = ::dup(request.listener);
  if (listener < 0 || ::dup2(listener, kListenFd) < 0) return false;
  ::syscall(SYS_close_range, static_cast<unsigned>(kListenFd) + 1, ~0U, 0U);
  return true;
}

}  // namespace

std::string HostRequest(std::string_view directory, std::string_view key) {
  std::string text(directory);
  text += '\0';
  text += key;
  return text;
}

std::string HostDirectory(std::string_view parent) {
  return std::string(parent) + "/" + std::string(kDigits, kRoom);
}

std::string HostKey(std::string_view identity) {
  return std::string(identity) + "-" + std::string(kDigits, kRoom);
}

int RunHost(char** argv, const std::function<int(const std::string& directory)>& lead) {
  char* const mark = MarkInEnvironment();
  if (mark == nullptr) {
    ::fprintf(stderr, "waggle-shim: a drone starts a host, not a person\n");
    return exit_code::kUsage;
  }
  process::Cgroup::OwnDirectory().status().IgnoreError();  // what it looks up once, it does for all copies
  while (std::optional<Request> request = Receive()) {
    HostReply reply;
    const long pid = ::syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
      return BecomeShim(*request, argv, mark) ? lead(request->directory) : exit_code::kRuntimeFailure;
    if (pid < 0) reply.error = errno;
    reply.pid = static_cast<pid_t>(pid);
    ::close(request->listener);
    ::close(request->log);
    if (::send(kHostFd, &reply, sizeof reply, MSG_NOSIGNAL) < 0) break;
  }
  return exit_code::kOk;
}

}  // namespace waggle::shim
