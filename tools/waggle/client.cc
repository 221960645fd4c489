#include "tools/waggle/client.h"

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string_view>
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
constexpr std::size_t kSocketPathBytes = sizeof(sockaddr_un::sun_path) - 1;

// gRPC reads a target as a URI and decodes it.
std::string Target(std::string_view path) {
  std::string target = "unix:";
  for (char c : path) {
    bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                 std::string_view("/-._~").find(c) != std::string_view::npos;
    if (plain) {
      target.push_back(c);
    } else {
      absl::StrAppend(&target, "%", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    }
  }
  return target;
}

// Knocks with a bare connect(2), because its errno says why; gRPC would only retry until the deadline.
absl::Status Knock(const Address& address, const std::string& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.data(), path.size());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus("socket", path);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 || errno == EAGAIN) {
    return absl::OkStatus();  // EAGAIN: her backlog is full, so she is there
  }
  int error = errno;
  if (error == EACCES || error == EPERM) {
    return absl::PermissionDeniedError(absl::StrCat(
        "you may not use the queen's socket ", address.socket, "\nits file permissions decide who may; ",
        "the address comes from ", address.origin, "\nnext: ask her administrator for access"));
  }
  std::error_code ignored;
  if (error == ECONNREFUSED && !std::filesystem::is_socket(path, ignored))
    return Unreachable(address, "it is no socket");
  return Unreachable(address, error == ECONNREFUSED ? "nobody listens there" : std::strerror(error));
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
  std::string path = address.socket;
  if (path.size() > kSocketPathBytes) {
    std::filesystem::path full(path);
    directory_.Reset(open(full.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!directory_.valid()) return Unreachable(address, std::strerror(errno));
    path = absl::StrCat("/proc/self/fd/", directory_.get(), "/", full.filename().string());
    if (path.size() > kSocketPathBytes) return Unreachable(address, "the file name is too long for a socket");
  }
  RETURN_IF_ERROR(Knock(address, path));

  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kReceiveBytes);
  auto millis = [](auto d) { return static_cast<int>(std::chrono::milliseconds(d).count()); };
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, millis(limits::kBackoffMin));
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, millis(limits::kBackoffMin));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, millis(limits::kBackoffMax));
  channel_ = grpc::CreateCustomChannel(Target(path), grpc::InsecureChannelCredentials(), arguments);
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
absl::Status Client::ListDrones(v1::ListDronesResponse* response) {
  return Ended(Call(v1::Fleet::NewStub(channel_), &v1::Fleet::Stub::List, v1::ListDronesRequest(), response));
}

}  // namespace waggle::cli
