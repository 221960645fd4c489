#include "tools/waggle/client.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "tools/waggle/remote.h"
#include "waggle/v1/queen.grpc.pb.h"

namespace waggle::cli {
namespace {

using namespace std::chrono_literals;

constexpr auto kConnectDeadline = 5s;
constexpr auto kCallDeadline = 30s;
constexpr auto kLongCallDeadline = 10min;  // a fetch of the repository, or the reading of a whole log
constexpr std::chrono::milliseconds kAgainFor = 10s, kAgainFirst = 100ms;
constexpr int kReceiveBytes = 16 * static_cast<int>(limits::kMiB);

// Knocks before gRPC, which would only retry until the deadline.
absl::Status Knock(const Address& address, const rpc::UnixSocket& socket) {
  const absl::Status there = socket.Knock();
  if (there.ok()) return there;
  if (absl::IsPermissionDenied(there)) {
    return absl::PermissionDeniedError(absl::StrCat(
        "you may not use the queen's socket ", address.socket, "\nits file permissions decide who may; ",
        "the address comes from ", address.origin, "\nnext: ask her administrator for access"));
  }
  std::error_code ignored;
  const bool file = std::filesystem::exists(address.socket, ignored) &&
                    !std::filesystem::is_socket(address.socket, ignored);
  return Unreachable(address, file ? "it is no socket" : std::string(there.message()));
}

absl::Status ToAbsl(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

template <typename Stub, typename Request, typename Response>
absl::Status Call(const std::unique_ptr<Stub>& stub,
                  grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                  const Request& request, Response* response,
                  std::chrono::milliseconds deadline = kCallDeadline) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + deadline);
  return ToAbsl(((*stub).*method)(&context, request, response));
}

// Repeats a call with a key while the queen stops, starts or is cut off in the middle of it.
absl::Status Again(const std::function<absl::Status()>& call) {
  const auto deadline = std::chrono::steady_clock::now() + kAgainFor;
  for (auto wait = kAgainFirst;; wait *= 2) {
    absl::Status status = call();
    if (!absl::IsUnavailable(status) || std::chrono::steady_clock::now() + wait > deadline) return status;
    std::this_thread::sleep_for(wait);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(const Address& address, const Logins& logins) {
  std::unique_ptr<Client> client(new Client(logins));
  RETURN_IF_ERROR(address.remote.empty() ? client->ConnectSocket(address) : client->ConnectRemote(address));
  return client;
}

absl::Status Client::ConnectRemote(const Address& address) {
  ASSIGN_OR_RETURN(login_, UsableLogin(logins_, address));
  ASSIGN_OR_RETURN(channel_, ConnectTls(*login_, address));
  return absl::OkStatus();
}

absl::Status Client::ConnectSocket(const Address& address) {
  absl::StatusOr<rpc::UnixSocket> socket = rpc::UnixSocket::At(address.socket);
  if (!socket.ok()) return Unreachable(address, std::string(socket.status().message()));
  RETURN_IF_ERROR(Knock(address, *socket));
  socket_ = *std::move(socket);

  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kReceiveBytes);
  auto millis = [](auto d) { return static_cast<int>(std::chrono::milliseconds(d).count()); };
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, millis(limits::kBackoffMin));
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, millis(limits::kBackoffMin));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, millis(limits::kBackoffMax));
  channel_ = grpc::CreateCustomChannel(socket_->Target(), grpc::InsecureChannelCredentials(), arguments);
  if (!channel_->WaitForConnected(std::chrono::system_clock::now() + kConnectDeadline)) {
    return Unreachable(address, "what listens there does not answer as a queen within 5 s");
  }
  return absl::OkStatus();
}

absl::Status Client::Ended(const absl::Status& status) {
  if (status.ok() && login_ && !renewed_.exchange(true)) RenewIfDue(*login_, logins_, channel_);
  return status;
}

absl::Status Client::SubmitRun(const v1::SubmitRunRequest& request, v1::SubmitRunResponse* response) {
  return Ended(Again([&] {
    return Call(v1::Runs::NewStub(channel_), &v1::Runs::Stub::Submit, request, response, kLongCallDeadline);
  }));
}
absl::Status Client::SubmitJob(const v1::SubmitJobRequest& request, v1::Job* response) {
  return Ended(
      Again([&] { return Call(v1::Jobs::NewStub(channel_), &v1::Jobs::Stub::Submit, request, response); }));
}
absl::Status Client::GetJob(const v1::GetJobRequest& request, v1::Job* response) {
  return Ended(Call(v1::Jobs::NewStub(channel_), &v1::Jobs::Stub::Get, request, response));
}
absl::Status Client::ListJobs(const v1::ListJobsRequest& request, v1::ListJobsResponse* response) {
  return Ended(Call(v1::Jobs::NewStub(channel_), &v1::Jobs::Stub::List, request, response));
}
absl::Status Client::CancelJob(const v1::CancelJobRequest& request, v1::Job* response) {
  return Ended(Call(v1::Jobs::NewStub(channel_), &v1::Jobs::Stub::Cancel, request, response));
}
absl::Status Client::RetryJob(const v1::RetryJobRequest& request, v1::Job* response) {
  return Ended(Call(v1::Jobs::NewStub(channel_), &v1::Jobs::Stub::Retry, request, response));
}
absl::Status Client::GetRun(const v1::GetRunRequest& request, v1::Run* response) {
  return Ended(Call(v1::Runs::NewStub(channel_), &v1::Runs::Stub::Get, request, response));
}
absl::Status Client::ListRuns(const v1::ListRunsRequest& request, v1::ListRunsResponse* response) {
  return Ended(Call(v1::Runs::NewStub(channel_), &v1::Runs::Stub::List, request, response));
}
absl::Status Client::RetryRun(const v1::RetryRunRequest& request, v1::Run* response) {
  return Ended(Call(v1::Runs::NewStub(channel_), &v1::Runs::Stub::Retry, request, response));
}
absl::Status Client::CancelRun(const v1::CancelRunRequest& request, v1::Run* response) {
  return Ended(Call(v1::Runs::NewStub(channel_), &v1::Runs::Stub::Cancel, request, response));
}
absl::Status Client::Outline(const v1::OutlineRequest& request, v1::OutlineResponse* response) {
  return Ended(Call(v1::Logs::NewStub(channel_), &v1::Logs::Stub::Outline, request, response));
}
absl::Status Client::Verify(const v1::VerifyRequest& request, v1::VerifyResponse* response) {
  return Ended(
      Call(v1::Logs::NewStub(channel_), &v1::Logs::Stub::Verify, request, response, kLongCallDeadline));
}
absl::Status Client::DrainDrone(const v1::DrainRequest& request, v1::Drone* response) {
  return Ended(Call(v1::Fleet::NewStub(channel_), &v1::Fleet::Stub::Drain, request, response));
}
absl::Status Client::UndrainDrone(const v1::UndrainRequest& request, v1::Drone* response) {
  return Ended(Call(v1::Fleet::NewStub(channel_), &v1::Fleet::Stub::Undrain, request, response));
}
absl::Status Client::Forget(const v1::ForgetRequest& request, v1::Drone* response) {
  return Ended(Call(v1::Fleet::NewStub(channel_), &v1::Fleet::Stub::Forget, request, response));
}
absl::Status Client::ListDrones(v1::ListDronesResponse* response) {
  return Ended(Call(v1::Fleet::NewStub(channel_), &v1::Fleet::Stub::List, v1::ListDronesRequest(), response));
}

}  // namespace waggle::cli
