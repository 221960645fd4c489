#include "drone/attempt/shim_host.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "common/base/failpoint.h"
#include "common/base/status_macros.h"
#include "common/process/tree.h"
#include "drone/attempt/pidfd.h"
#include "drone/shim/host.h"

namespace waggle::attempt {
namespace {

using namespace std::chrono_literals;

constexpr Duration kEnds = 1s;  // its socket is closed, so it is about to

bool Await(int fd, Duration limit) {
  pollfd ready{fd, POLLIN, 0};
  int n = 0;
  do {
    n = ::poll(&ready, 1, static_cast<int>(limit / 1ms));
  } while (n < 0 && errno == EINTR);
  return n > 0;
}

bool SendWith(int socket, std::string text, int listener, int log) {
  iovec part{text.data(), text.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(2 * sizeof(int));
  const int fds[2] = {listener, log};
  ::memcpy(CMSG_DATA(rights), fds, sizeof fds);
  return ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(text.size());
}

}  // namespace

bool ShimHost::Version::operator==(const Version& other) const {
  return device == other.device && inode == other.inode && size == other.size &&
         changed.tv_sec == other.changed.tv_sec && changed.tv_nsec == other.changed.tv_nsec;
}

ShimHost::ShimHost(std::string program, std::string directories, std::string identity, Duration answers)
    : program_(std::move(program)),
      directories_(std::move(directories)),
      identity_(std::move(identity)),
      answers_(answers) {}

ShimHost::~ShimHost() {
  Close();
}

ShimHost::Version ShimHost::Installed() const {
  struct stat info;
  if (::stat(program_.c_str(), &info) != 0) return {};
  return {info.st_dev, info.st_ino, info.st_size, info.st_mtim};
}

absl::StatusOr<process::Process> ShimHost::Start(const std::string& directory, const std::string& key,
                                                 int listener, int log) {
  if (pid() != 0 && !(Installed() == version_)) Close();
  if (pid() != 0) {
    absl::StatusOr<process::Process> shim = Ask(directory, key, listener, log);
    if (!absl::IsUnavailable(shim.status())) return shim;
    Close();  // somebody ended it; a new one may answer
  }
  RETURN_IF_ERROR(Launch(log));
  absl::StatusOr<process::Process> shim = Ask(directory, key, listener, log);
  if (!absl::IsUnavailable(shim.status())) return shim;
  const std::string how = Close();
  if (how.empty()) return shim;
  return absl::UnavailableError(absl::StrCat(program_, " ended at once: it ", how));
}

absl::Status ShimHost::Launch(int log) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return ErrnoStatus("make a socket for", program_);
  }
  socket_ = UniqueFd(ends[0]);
  const UniqueFd other(ends[1]);
  version_ = Installed();
  process::SpawnOptions options;
  options.argv = {program_, "--host", shim::HostDirectory(directories_)};
  options.env = process::Environment{{"PATH", std::string(process::kDefaultPath)},
                                     {std::string(process::kAttemptVariable), shim::HostKey(identity_)}};
  if (!failpoint::Armed().empty()) options.env->emplace(failpoint::kVariable, failpoint::Armed());
  options.stderr_fd = log;
  options.extra = process::SpawnOptions::ExtraFd{other.get(), shim::kHostFd};
  ASSIGN_OR_RETURN(host_, process::Spawn(options));
  return absl::OkStatus();
}

std::string ShimHost::Close() {
  socket_.Reset();
  if (!host_.pidfd.valid()) return "";
  const bool ended = Await(host_.pidfd.get(), kEnds);
  if (!ended) ::pidfd_send_signal(host_.pidfd.get(), SIGKILL, nullptr, 0);
  siginfo_t info{};
  const bool known = ::waitid(P_PIDFD, static_cast<id_t>(host_.pidfd.get()), &info, WEXITED) == 0;
  host_ = process::Process();
  if (!ended || !known) return "";
  if (info.si_code == CLD_EXITED) return absl::StrCat("exited with code ", info.si_status);
  return absl::StrCat("was killed by signal ", info.si_status, " (", ::strsignal(info.si_status), ")");
}

absl::StatusOr<process::Process> ShimHost::Ask(const std::string& directory, const std::string& key,
                                               int listener, int log) {
  const absl::Status gone = absl::UnavailableError(absl::StrCat(program_, " is gone"));
  if (!SendWith(socket_.get(), shim::HostRequest(directory, key), listener, log)) return gone;
  if (!Await(socket_.get(), answers_)) {
    ::pidfd_send_signal(host_.pidfd.get(), SIGKILL, nullptr, 0);
    Close();
    return absl::DeadlineExceededError(
        absl::StrCat(program_, " did not answer for ", answers_ / 1ms, " ms, so it was killed"));
  }
  shim::HostReply reply;
  if (::recv(socket_.get(), &reply, sizeof reply, MSG_DONTWAIT) != static_cast<ssize_t>(sizeof reply))
    return gone;
  if (reply.pid <= 0) return absl::ErrnoToStatus(reply.error, absl::StrCat("start a copy of ", program_));
  process::Process shim;
  shim.pid = reply.pid;
  shim.pidfd = UniqueFd(::pidfd_open(shim.pid, 0));  // our child, not reaped yet: the number is its own
  if (!shim.pidfd.valid()) return ErrnoStatus("watch a copy of", program_);
  return shim;
}

}  // namespace waggle::attempt
