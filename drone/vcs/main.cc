#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/status_macros.h"
#include "common/base/version.h"
#include "common/base/vocabulary.h"
#include "drone/vcs/checkout.h"
#include "drone/vcs/credentials.h"
#include "drone/vcs/deadline.h"
#include "drone/vcs/mirror.h"
#include "drone/vcs/request.h"
#include "drone/vcs/tree.h"

// waggle-git: the only program that parses repositories. Short-lived and single-threaded; killing it cancels
// the work. stdout is data, stderr is one line per message. Exit codes: 0 done, 1 failed, 2 usage, 3 no such
// reference, commit or file, 124 deadline.
namespace waggle::vcs {
namespace {

absl::StatusOr<std::string> Run(const Request& request) {
  std::optional<Credentials> credentials;
  if (request.credentials) {
    NowDoing("reading the credentials");
    ASSIGN_OR_RETURN(credentials, ReadCredentials(STDIN_FILENO));
  }
  NowDoing(absl::StrCat("opening the mirror of ", request.source.address));
  RETURN_IF_ERROR(StartGit());
  ASSIGN_OR_RETURN(Mirror mirror, Mirror::Open(request.mirrors, request.source,
                                               credentials.has_value() ? &*credentials : nullptr));
  ASSIGN_OR_RETURN(Found found, mirror.Locate(request.wanted));
  switch (request.verb) {
    case Verb::kResolve:
      return absl::StrCat("commit ", Hex(found.commit), "\nbranch ", found.branch, "\n");
    case Verb::kRead:
      NowDoing(absl::StrCat("reading ", Printable(request.path), " from ", request.source.address));
      return ReadFileAt(mirror.repository(), found.commit, request.path, request.max_bytes);
    case Verb::kCheckout:
      NowDoing(absl::StrCat("checkout of ", request.source.address));
      RETURN_IF_ERROR(CheckOut(mirror, request.source, found.commit, request.target, request.own_objects));
      return absl::StrCat("checked out ", Hex(found.commit), "\n");
  }
  return absl::InternalError("unknown verb");
}

// Whoever started us may have blocked or ignored signals; TERM and the deadline must end us at once.
void ResetSignals() {
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGTERM, SIG_DFL);
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGPIPE, SIG_IGN);  // a closed connection is an error with a message
}

int Report(const absl::Status& status) {
  std::string message(status.message());
  std::fprintf(stderr, "error: %s\n", message.c_str());
  return absl::IsNotFound(status) ? exit_code::kNotFound : exit_code::kFailure;
}

int Main(const std::vector<std::string>& arguments) {
  ResetSignals();
  if (arguments.size() == 1 && arguments[0] == "--version") {
    std::printf("waggle-git %s\n", std::string(kVersion).c_str());
    return exit_code::kOk;
  }
  absl::StatusOr<Request> request = ParseRequest(arguments);
  if (!request.ok()) {
    Report(request.status());
    std::fputs(kUsage, stderr);
    return exit_code::kUsage;
  }
  ArmDeadline(request->deadline);
  absl::StatusOr<std::string> output = Run(*request);
  if (!output.ok()) return Report(output.status());
  absl::Status written = WriteAll(STDOUT_FILENO, *output);
  return written.ok() ? exit_code::kOk : Report(written);
}

}  // namespace
}  // namespace waggle::vcs

int main(int argc, char** argv) {
  return waggle::vcs::Main(std::vector<std::string>(argv + 1, argv + argc));
}
