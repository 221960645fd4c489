#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "common/base/failpoint.h"
#include "common/base/version.h"
#include "common/process/tree.h"
#include "drone/sandbox/bubblewrap.h"
#include "drone/shim/host.h"
#include "drone/shim/probe.h"
#include "drone/shim/supervisor.h"

namespace {

// Descriptors 0 to 2 must be taken, or a pipe of the job would land on one of them.
void FillStandardDescriptors() {
  int fd = 0;
  do {
    fd = ::open("/dev/null", O_RDWR);
  } while (fd >= 0 && fd <= 2);
  if (fd > 2) ::close(fd);
}

bool IsListening(int fd) {
  int listening = 0;
  socklen_t size = sizeof listening;
  return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening != 0;
}

// From here on a shim of one attempt, however it came about.
int Lead(const std::string& directory) {
  if (!IsListening(waggle::shim::kListenFd)) {
    ::fprintf(
        stderr,
        "waggle-shim: descriptor 3 is not a listening socket; a drone starts this program, not a person\n");
    return waggle::exit_code::kUsage;
  }
  FillStandardDescriptors();
  ::fcntl(waggle::shim::kListenFd, F_SETFD, FD_CLOEXEC);
  ::fcntl(waggle::shim::kListenFd, F_SETFL, O_NONBLOCK);
  ::signal(SIGPIPE, SIG_IGN);
  absl::Status subreaper = waggle::process::BecomeSubreaper();
  if (!subreaper.ok()) {
    ::fprintf(stderr, "waggle-shim: %s\n", subreaper.ToString().c_str());
    return waggle::exit_code::kRuntimeFailure;
  }
  return waggle::shim::Supervisor(directory, waggle::shim::kListenFd).Run();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && ::strcmp(argv[1], "--version") == 0) {
    ::printf("waggle-shim %s\n", std::string(waggle::kVersion).c_str());
    return waggle::exit_code::kOk;
  }
  waggle::process::HideFromOthers();
  if (argc == 2 && ::strcmp(argv[1], "--hold") == 0) waggle::sandbox::Hold();
  if (argc >= 2 && ::strcmp(argv[1], "--probe") == 0) {
    return waggle::shim::RunProbe(std::vector<std::string>(argv + 2, argv + argc));
  }
  if (const absl::Status armed = waggle::failpoint::ArmFromEnvironment(); !armed.ok()) {
    ::fprintf(stderr, "waggle-shim: %s\n", armed.ToString().c_str());
    return waggle::exit_code::kUsage;
  }
  const bool one = argc == 3 && ::strcmp(argv[1], "--lead") == 0;
  const bool many = argc == 3 && ::strcmp(argv[1], "--host") == 0;
  if ((!one && !many) || argv[2][0] != '/') {
    ::fprintf(
        stderr,
        "usage: waggle-shim --lead ATTEMPT_DIR (absolute), started by a drone with its listening socket as "
        "descriptor 3\n"
        "       waggle-shim --host ATTEMPT_DIR, kept by a drone to be copied for each attempt\n");
    return waggle::exit_code::kUsage;
  }
  return many ? waggle::shim::RunHost(argv, Lead) : Lead(argv[2]);
}
