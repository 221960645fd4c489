#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/fd.h"
#include "tools/waggle/address.h"

namespace grpc {
class Channel;
}
namespace waggle::v1 {
class CancelJobRequest;
class GetJobRequest;
class Job;
class ListDronesResponse;
class ListJobsRequest;
class ListJobsResponse;
class OutlineRequest;
class OutlineResponse;
class SubmitJobRequest;
class SubmitRunRequest;
class SubmitRunResponse;
class VerifyRequest;
class VerifyResponse;
}  // namespace waggle::v1

namespace waggle::cli {

// One channel to the queen and her calls, each with a deadline. Errors are hers, code and message unchanged;
// Unavailable and DeadlineExceeded when she does not answer. Calls may come from any thread.
class Client {
 public:
  // Returns within 5 s. Unavailable: nobody listens there; PermissionDenied: the socket is not ours to use.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(const Address& address);

  absl::Status SubmitRun(const v1::SubmitRunRequest& request, v1::SubmitRunResponse* response);
  absl::Status SubmitJob(const v1::SubmitJobRequest& request, v1::Job* response);
  absl::Status GetJob(const v1::GetJobRequest& request, v1::Job* response);
  absl::Status ListJobs(const v1::ListJobsRequest& request, v1::ListJobsResponse* response);
  absl::Status CancelJob(const v1::CancelJobRequest& request, v1::Job* response);
  absl::Status Outline(const v1::OutlineRequest& request, v1::OutlineResponse* response);
  absl::Status Verify(const v1::VerifyRequest& request, v1::VerifyResponse* response);
  absl::Status ListDrones(v1::ListDronesResponse* response);

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

 private:
  Client() = default;

  UniqueFd directory_;  // of the socket, when its path is too long for an address; must outlive the channel
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace waggle::cli
