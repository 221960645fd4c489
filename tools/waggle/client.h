#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/rpc/unix_socket.h"
#include "tools/waggle/address.h"
#include "tools/waggle/logins.h"

namespace grpc {
class Channel;
}
namespace waggle::v1 {
class CancelJobRequest;
class CancelRunRequest;
class GetJobRequest;
class GetRunRequest;
class DrainRequest;
class Drone;
class ForgetRequest;
class Job;
class ListDronesResponse;
class ListJobsRequest;
class ListJobsResponse;
class ListRunsRequest;
class ListRunsResponse;
class OutlineRequest;
class OutlineResponse;
class RetryJobRequest;
class RetryRunRequest;
class Run;
class SubmitJobRequest;
class SubmitRunRequest;
class SubmitRunResponse;
class UndrainRequest;
class VerifyRequest;
class VerifyResponse;
}  // namespace waggle::v1

namespace waggle::cli {

// One channel to the queen and her calls, each with a deadline. Errors are hers, code and message unchanged;
// Unavailable and DeadlineExceeded when she does not answer. Calls may come from any thread.
class Client {
 public:
  // Returns within 5 s, from another host within 10. Unavailable: nobody listens there; PermissionDenied: the
  // socket is not ours to use, or it is another queen; Unauthenticated: `logins` has none that could be used.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(const Address& address, const Logins& logins);

  absl::Status SubmitRun(const v1::SubmitRunRequest& request, v1::SubmitRunResponse* response);
  absl::Status SubmitJob(const v1::SubmitJobRequest& request, v1::Job* response);
  absl::Status GetJob(const v1::GetJobRequest& request, v1::Job* response);
  absl::Status ListJobs(const v1::ListJobsRequest& request, v1::ListJobsResponse* response);
  absl::Status CancelJob(const v1::CancelJobRequest& request, v1::Job* response);
  absl::Status RetryJob(const v1::RetryJobRequest& request, v1::Job* response);
  absl::Status GetRun(const v1::GetRunRequest& request, v1::Run* response);
  absl::Status ListRuns(const v1::ListRunsRequest& request, v1::ListRunsResponse* response);
  absl::Status RetryRun(const v1::RetryRunRequest& request, v1::Run* response);
  absl::Status CancelRun(const v1::CancelRunRequest& request, v1::Run* response);
  absl::Status Outline(const v1::OutlineRequest& request, v1::OutlineResponse* response);
  absl::Status Verify(const v1::VerifyRequest& request, v1::VerifyResponse* response);
  absl::Status DrainDrone(const v1::DrainRequest& request, v1::Drone* response);
  absl::Status UndrainDrone(const v1::UndrainRequest& request, v1::Drone* response);
  absl::Status Forget(const v1::ForgetRequest& request, v1::Drone* response);
  absl::Status ListDrones(v1::ListDronesResponse* response);

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

 private:
  explicit Client(const Logins& logins) : logins_(logins) {}
  absl::Status ConnectSocket(const Address& address);
  absl::Status ConnectRemote(const Address& address);
  // Of a call. The first that succeeds is the occasion to renew the login.
  absl::Status Ended(const absl::Status& status);

  const Logins logins_;
  std::optional<Login> login_;             // over TLS
  std::atomic<bool> renewed_ = false;      // or tried to
  std::optional<rpc::UnixSocket> socket_;  // hers, on this host; outlives the channel
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace waggle::cli
