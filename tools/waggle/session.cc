#include "tools/waggle/session.h"

#include <unistd.h>

#include "common/base/status_macros.h"
#include "common/base/vocabulary.h"
#include "tools/waggle/client.h"
#include "tools/waggle/errors.h"
#include "tools/waggle/keys.h"
#include "waggle/v1/queen.pb.h"

namespace waggle::cli {

Session::Session(GlobalOptions given)
    : options(std::move(given)),
      out(STDOUT_FILENO),
      err(STDERR_FILENO),
      out_style(Style::Detect(options.color, STDOUT_FILENO)),
      err_style(Style::Detect(options.color, STDERR_FILENO)) {}

Session::~Session() = default;

absl::StatusOr<Client*> Session::Connect() {
  if (client_ == nullptr) {
    ASSIGN_OR_RETURN(client_, Client::Connect(options.queen, Logins(LoginDirectory())));
  }
  return client_.get();
}

absl::StatusOr<std::uint64_t> Session::JobId(const Target& target) {
  if (target.kind == Target::Kind::kJob) return target.id;
  ASSIGN_OR_RETURN(Client * client, Connect());
  v1::ListJobsRequest request;
  request.set_limit(1);
  v1::ListJobsResponse newest;
  RETURN_IF_ERROR(client->ListJobs(request, &newest));
  if (newest.jobs().empty()) return absl::NotFoundError("there is no job yet\nnext: waggle submit");
  return newest.jobs(0).id();
}

int Session::Fail(const absl::Status& status) {
  out.Flush();
  err.Write(FormatError(status));
  err.Flush();
  return ExitCodeOf(status, options.mirroring);
}

int Session::FailUsage(const absl::Status& status) {
  out.Flush();
  err.Write(FormatError(status));
  err.Flush();
  return options.mirroring ? exit_code::kWaggleFailed : exit_code::kUsage;
}

int Session::Done(int code) {
  out.Flush();
  err.Flush();
  if (!out.status().ok()) return Fail(out.status());
  return code;
}

}  // namespace waggle::cli
