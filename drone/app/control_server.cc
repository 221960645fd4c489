#include "drone/app/control_server.h"

#include <grpcpp/grpcpp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "common/rpc/unix_socket.h"
#include "drone/link/convert.h"
#include "waggle/v1/drone.grpc.pb.h"

namespace waggle::drone {
namespace {

constexpr std::chrono::hours kLongestPause(24 * 365);
constexpr int kReceive = 64 * static_cast<int>(limits::kKiB);
constexpr std::chrono::seconds kGoodbye(1);

void Fill(const LocalStatus& status, v1::LocalStatus* out) {
  out->set_name(status.name);
  out->set_version(status.version);
  out->set_host(status.host);
  out->set_data(status.data);
  out->set_pid(::getpid());
  out->set_queen(status.queen);
  const View& view = status.view;
  out->set_connected(view.connected);
  out->set_trouble(ValidText(view.trouble));
  out->set_capacity(view.capacity);
  out->set_running(view.running);
  out->set_draining(view.draining);
  out->set_stopping(view.stopping);
  if (view.pause) {
    out->mutable_pause()->set_reason(ValidText(view.pause->reason));
    out->mutable_pause()->set_until(view.pause->until_wall);
  }
  if (view.queens_drain) {
    out->mutable_queens_drain()->set_by(ValidText(view.queens_drain->by));
    out->mutable_queens_drain()->set_reason(ValidText(view.queens_drain->reason));
    out->mutable_queens_drain()->set_deadline(view.queens_drain->deadline);
  }
  for (const View::Job& job : view.jobs) {
    v1::LocalJob* to = out->add_jobs();
    to->set_id(job.job.value());
    ToProto(job.held, to->mutable_attempt());
    to->set_undelivered(job.undelivered);
  }
}

grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

struct Waiting {
  LocalRequest request;
  v1::LocalStatus* response = nullptr;
  grpc::ServerUnaryReactor* reactor = nullptr;
};

// Any thread puts in, the loop takes out.
class Inbox {
 public:
  explicit Inbox(int bell) : bell_(bell) {}

  void Put(const Waiting& waiting) {
    grpc::Status refused;
    {
      absl::MutexLock lock(&mutex_);
      if (closed_) {
        refused = {grpc::StatusCode::UNAVAILABLE, "the drone leaves"};
      } else if (waiting_.size() >= ControlServer::kWaiting) {
        refused = {grpc::StatusCode::RESOURCE_EXHAUSTED, "too many requests wait\nnext: try again"};
      } else {
        waiting_.push_back(waiting);
      }
    }
    if (!refused.ok()) return waiting.reactor->Finish(refused);
    const std::uint64_t one = 1;
    (void)!::write(bell_, &one, sizeof one);
  }
  std::vector<Waiting> Take() {
    absl::MutexLock lock(&mutex_);
    return std::exchange(waiting_, {});
  }
  std::vector<Waiting> Close() {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
    return std::exchange(waiting_, {});
  }

 private:
  const int bell_;
  absl::Mutex mutex_;
  std::vector<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

class Service : public v1::LocalDrone::CallbackService {
 public:
  explicit Service(Inbox* inbox) : inbox_(inbox) {}

  grpc::ServerUnaryReactor* Status(grpc::CallbackServerContext* context, const v1::LocalStatusRequest*,
                                   v1::LocalStatus* response) override {
    return Ask(context, {LocalRequest::What::kStatus}, response);
  }
  grpc::ServerUnaryReactor* Pause(grpc::CallbackServerContext* context, const v1::LocalPauseRequest* request,
                                  v1::LocalStatus* response) override {
    const std::chrono::milliseconds length(request->length_ms());
    if (length < length.zero() || length > kLongestPause) {
      return Refuse(context, "length_ms: 0 or at most a year");
    }
    if (request->reason().size() > limits::kReasonBytes || FindBadByte(request->reason(), true)) {
      return Refuse(context, "reason: at most 4 KiB of text without control characters");
    }
    return Ask(context, {LocalRequest::What::kPause, request->reason(), length}, response);
  }
  grpc::ServerUnaryReactor* Resume(grpc::CallbackServerContext* context, const v1::LocalResumeRequest*,
                                   v1::LocalStatus* response) override {
    return Ask(context, {LocalRequest::What::kResume}, response);
  }
  grpc::ServerUnaryReactor* Drain(grpc::CallbackServerContext* context, const v1::LocalDrainRequest*,
                                  v1::LocalStatus* response) override {
    return Ask(context, {LocalRequest::What::kDrain}, response);
  }
  grpc::ServerUnaryReactor* Stop(grpc::CallbackServerContext* context, const v1::LocalStopRequest*,
                                 v1::LocalStatus* response) override {
    return Ask(context, {LocalRequest::What::kStop}, response);
  }
  grpc::ServerUnaryReactor* Resize(grpc::CallbackServerContext* context,
                                   const v1::LocalResizeRequest* request,
                                   v1::LocalStatus* response) override {
    if (request->capacity() == 0 || request->capacity() > limits::kMaxCapacity) {
      return Refuse(context, absl::StrCat("capacity: 1 to ", limits::kMaxCapacity,
                                          " slots\nnext: for none at all, `drone pause`"));
    }
    return Ask(context, {LocalRequest::What::kResize, "", {}, request->capacity()}, response);
  }

 private:
  grpc::ServerUnaryReactor* Ask(grpc::CallbackServerContext* context, LocalRequest request,
                                v1::LocalStatus* response) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    inbox_->Put({std::move(request), response, reactor});
    return reactor;
  }
  static grpc::ServerUnaryReactor* Refuse(grpc::CallbackServerContext* context, const std::string& why) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish({grpc::StatusCode::INVALID_ARGUMENT, why});
    return reactor;
  }

  Inbox* const inbox_;
};

}  // namespace

struct ControlServer::Impl {
  attempt::Poller* poller = nullptr;
  Answer answer;
  UniqueFd bell;
  attempt::Poller::Watch watch = 0;
  std::unique_ptr<Inbox> inbox;
  std::unique_ptr<Service> service;
  rpc::UnixSocket socket;
  std::unique_ptr<grpc::Server> server;

  void OnBell() {
    std::uint64_t rings;
    (void)!::read(bell.get(), &rings, sizeof rings);
    for (const Waiting& waiting : inbox->Take()) {
      absl::StatusOr<LocalStatus> status = answer(waiting.request);
      if (status.ok()) Fill(*status, waiting.response);
      waiting.reactor->Finish(ToGrpc(status.status()));
    }
  }
};

ControlServer::ControlServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

absl::StatusOr<std::unique_ptr<ControlServer>> ControlServer::Create(const std::string& data,
                                                                     attempt::Poller* poller, Answer answer) {
  auto impl = std::make_unique<Impl>();
  impl->poller = poller;
  impl->answer = std::move(answer);
  impl->bell = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!impl->bell.valid()) return ErrnoStatus("make", "eventfd");
  impl->inbox = std::make_unique<Inbox>(impl->bell.get());
  impl->service = std::make_unique<Service>(impl->inbox.get());
  const std::string path = data + "/drone.sock";
  ASSIGN_OR_RETURN(impl->socket, rpc::UnixSocket::At(path));
  grpc::ServerBuilder builder;
  builder.AddListeningPort(impl->socket.Target(), grpc::InsecureServerCredentials());
  builder.SetMaxReceiveMessageSize(kReceive);
  builder.RegisterService(impl->service.get());
  const mode_t mask = ::umask(0177);  // its owner's alone: who may open it may do all of it
  impl->server = builder.BuildAndStart();
  ::umask(mask);
  if (impl->server == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot listen on ", path, "\nnext: look at the permissions of ", data));
  }
  Impl* raw = impl.get();
  ASSIGN_OR_RETURN(impl->watch,
                   poller->Add(impl->bell.get(), EPOLLIN, [raw](std::uint32_t) { raw->OnBell(); }));
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(impl)));
}

ControlServer::~ControlServer() {
  impl_->poller->Remove(impl_->watch);
  for (const Waiting& waiting : impl_->inbox->Close()) {
    waiting.reactor->Finish({grpc::StatusCode::UNAVAILABLE, "the drone leaves"});
  }
  impl_->server->Shutdown(std::chrono::system_clock::now() + kGoodbye);
  impl_->server->Wait();
}

}  // namespace waggle::drone
