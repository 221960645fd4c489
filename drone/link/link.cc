#include "drone/link/link.h"

#include <errno.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <map>
#include <optional>
#include <random>
#include <utility>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/rpc/channel.h"
#include "drone/link/call.h"
#include "drone/link/convert.h"
#include "drone/link/renewal.h"
#include "waggle/v1/hive.grpc.pb.h"

namespace waggle::drone {
namespace {

constexpr std::uint32_t kProtocolMin = 1, kProtocolMax = 1;
// Statuses of every attempt that may be held, a few each; a queen that takes none of them for so long is not
// there.
constexpr std::size_t kControlOutbox = 4 * limits::kAttemptsInHello;
constexpr std::size_t kBulkOutbox = 2;                      // BulkHello and one batch
constexpr Duration kRenewAgain = std::chrono::minutes(10);  // after a try that failed
constexpr std::size_t kControlReceive = limits::kControlMessage + 16 * limits::kKiB;

using ControlCall = Call<v1::FromDrone, v1::FromQueen>;
using BulkCall = Call<v1::BulkUp, v1::BulkDown>;

// What gRPC's threads tell the loop.
struct Input {
  enum class What { kMessage, kDrained, kEnded, kDone, kRenewed } what = What::kMessage;
  std::uint64_t call = 0;
  std::optional<ControlDown> control;
  std::optional<BulkDown> bulk;
  grpc::Status status;
  std::string certificate;  // kRenewed
};

// Any thread pushes, the loop takes. Bounded as link.h says: at most one message, one drained, one ended and
// one done per call.
class Inbox {
 public:
  explicit Inbox(int event_fd) : event_fd_(event_fd) {}
  void Push(Input input) {
    {
      absl::MutexLock lock(&mutex_);
      inputs_.push_back(std::move(input));
      if (inputs_.size() > 1) return;  // the bell has been rung for the first of them
    }
    const std::uint64_t one = 1;
    (void)!::write(event_fd_, &one, sizeof one);
  }
  std::vector<Input> Take() {
    absl::MutexLock lock(&mutex_);
    return std::exchange(inputs_, {});
  }

 private:
  const int event_fd_;
  absl::Mutex mutex_;
  std::vector<Input> inputs_ ABSL_GUARDED_BY(mutex_);
};

event::ControlLost::Why WhyOf(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::ABORTED:
      return event::ControlLost::Why::kDeposed;
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
      return event::ControlLost::Why::kRefused;
    default:
      return event::ControlLost::Why::kCut;
  }
}

std::string TextOf(const grpc::Status& status) {
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
    return "what answers there is no queen: it does not know waggle.v1.Hive";
  }
  if (status.ok()) return "the queen ended the stream";
  const std::string& text = status.error_message();
  if (absl::StrContains(text, "certificate verify failed")) {
    return absl::StrCat(text,
                        " (another queen than the one it enrolled with, or a wrong clock here or there)");
  }
  return text.empty() ? "no reason was given" : text;
}

}  // namespace

struct Link::Impl {
  Facts facts;
  attempt::Poller* poller = nullptr;
  Emit emit;
  UniqueFd bell;
  attempt::Poller::Watch watch = 0;
  std::unique_ptr<Inbox> inbox;
  std::mt19937_64 random{std::random_device{}()};

  std::uint64_t last_call = 0;
  std::uint64_t control = 0, bulk = 0;  // the present ones; 0 = none
  // Calls that are not done yet, the present ones among them.
  std::map<std::uint64_t, std::unique_ptr<ControlCall>> controls;
  std::map<std::uint64_t, std::unique_ptr<BulkCall>> bulks;
  std::string buffer;
  std::unique_ptr<Renewal> renewal;  // under way
  Time renew_again{};                // not before

  std::shared_ptr<grpc::Channel> OpenChannel() const {
    rpc::ChannelOptions options{kControlReceive, std::nullopt};
    if (facts.credentials != nullptr) options.tls = facts.credentials->tls();
    return rpc::OpenChannel(facts.target, options);
  }

  double Jitter() { return std::uniform_real_distribution<double>(0.0, 1.0)(random); }
  ControlCall* Control() { return Find(controls, control); }
  BulkCall* Bulk() { return Find(bulks, bulk); }

  template <typename C>
  static C* Find(std::map<std::uint64_t, std::unique_ptr<C>>& calls, std::uint64_t id) {
    auto it = calls.find(id);
    return it == calls.end() || it->second->released() ? nullptr : it->second.get();
  }

  template <typename Down>
  CallSink<Down> Sink(std::uint64_t id, std::function<void(Down&)> on_message) {
    Inbox* box = inbox.get();
    return {std::move(on_message),
            [box, id] {
              box->Push({Input::What::kDrained, id});
            },
            [box, id] {
              box->Push({Input::What::kEnded, id});
            },
            [box, id](const grpc::Status& status) {
              Input input{Input::What::kDone, id};
              input.status = status;
              box->Push(std::move(input));
            }};
  }

  void Drain() {
    std::uint64_t count;
    (void)!::read(bell.get(), &count, sizeof count);
    for (Input& input : inbox->Take()) {
      if (input.what == Input::What::kRenewed) {
        OnRenewed(input);
      } else if (controls.count(input.call) > 0) {
        OnControl(input);
      } else if (bulks.count(input.call) > 0) {
        OnBulk(input);
      }
    }
  }

  // A connected drone looks at each heartbeat.
  void RenewIfDue() {
    if (facts.credentials == nullptr || renewal != nullptr || BootClock::now() < renew_again) return;
    if (!facts.credentials->RenewalDue(WallNow())) return;
    absl::StatusOr<std::string> request = facts.credentials->MakeRequest();
    if (!request.ok()) return;
    renew_again = BootClock::now() + kRenewAgain;
    Inbox* box = inbox.get();
    renewal = std::make_unique<Renewal>(OpenChannel(), *std::move(request),
                                        [box](const grpc::Status& status, std::string certificate) {
                                          Input input{Input::What::kRenewed};
                                          input.status = status;
                                          input.certificate = std::move(certificate);
                                          box->Push(std::move(input));
                                        });
  }

  void OnRenewed(const Input& input) {
    renewal.reset();
    absl::Status renewed = input.status.ok() ? facts.credentials->Renew(input.certificate)
                                             : absl::UnavailableError(input.status.error_message());
    if (renewed.ok()) {
      spdlog::info("the certificate of this drone was renewed");
    } else {
      spdlog::warn("the certificate of this drone was not renewed, which is tried again: {}",
                   std::string(renewed.message()));
    }
  }

  void OnControl(Input& input) {
    ControlCall* call = Find(controls, input.call);
    switch (input.what) {
      case Input::What::kMessage:
        if (input.control && input.call == control) emit(event::FromQueen{std::move(*input.control)});
        if (call != nullptr) call->ReadNext();
        return;
      case Input::What::kDrained:
      case Input::What::kRenewed:  // of no stream
        return;
      case Input::What::kEnded:
        if (call != nullptr) call->Release(/*flush=*/false);
        return;
      case Input::What::kDone:
        controls.erase(input.call);
        if (input.call != control) return;
        control = 0;
        emit(event::ControlLost{WhyOf(input.status), TextOf(input.status), Jitter()});
        return;
    }
  }

  void OnBulk(Input& input) {
    BulkCall* call = Find(bulks, input.call);
    switch (input.what) {
      case Input::What::kMessage:
        if (input.bulk && input.call == bulk) emit(event::FromBulk{std::move(*input.bulk)});
        if (call != nullptr) call->ReadNext();
        return;
      case Input::What::kDrained:
        if (input.call == bulk) emit(event::BulkReady{});
        return;
      case Input::What::kRenewed:  // of no stream
        return;
      case Input::What::kEnded:
        if (call != nullptr) call->Release(/*flush=*/false);
        return;
      case Input::What::kDone:
        bulks.erase(input.call);
        if (input.call != bulk) return;
        bulk = 0;
        emit(event::BulkLost{TextOf(input.status), Jitter()});
        return;
    }
  }
};

absl::StatusOr<std::unique_ptr<Link>> Link::Create(Facts facts, attempt::Poller* poller, Emit emit) {
  auto impl = std::make_unique<Impl>();
  impl->facts = std::move(facts);
  impl->poller = poller;
  impl->emit = std::move(emit);
  impl->bell = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!impl->bell.valid()) return ErrnoStatus("make", "eventfd");
  impl->inbox = std::make_unique<Inbox>(impl->bell.get());
  Impl* raw = impl.get();
  ASSIGN_OR_RETURN(impl->watch,
                   poller->Add(impl->bell.get(), EPOLLIN, [raw](std::uint32_t) { raw->Drain(); }));
  return std::unique_ptr<Link>(new Link(std::move(impl)));
}

Link::Link(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Link::~Link() {
  impl_->renewal.reset();
  Shutdown(std::chrono::seconds(5));
  impl_->poller->Remove(impl_->watch);
}

void Link::OpenControl(const Hello& hello) {
  CloseControl();
  const std::uint64_t id = ++impl_->last_call;
  Inbox* box = impl_->inbox.get();
  auto on_message = [box, id](v1::FromQueen& message) {
    Input input{Input::What::kMessage, id};
    input.control = FromProto(message, WallNow());
    box->Push(std::move(input));
  };
  auto channel = impl_->OpenChannel();
  auto stub = v1::Hive::NewStub(channel);
  auto call =
      std::make_unique<ControlCall>(channel, kControlOutbox, impl_->Sink<v1::FromQueen>(id, on_message));
  call->Start([&](grpc::ClientContext* context, auto* reactor) { stub->async()->Control(context, reactor); });
  v1::FromDrone message;
  v1::Hello* out = message.mutable_hello();
  ToProto(hello, out);
  out->set_protocol_min(kProtocolMin);
  out->set_protocol_max(kProtocolMax);
  out->set_identity(impl_->facts.identity);
  out->set_name(impl_->facts.name);
  out->set_boot_id(impl_->facts.boot_id);
  out->set_place(impl_->facts.place);
  out->set_version(impl_->facts.version);
  out->set_host(impl_->facts.host);
  call->Push(std::move(message));
  impl_->controls[id] = std::move(call);
  impl_->control = id;
}

void Link::CloseControl() {
  if (ControlCall* call = impl_->Control()) call->Release(/*flush=*/false);
  impl_->control = 0;
}

void Link::OpenBulk(SessionId session) {
  CloseBulk();
  const std::uint64_t id = ++impl_->last_call;
  Inbox* box = impl_->inbox.get();
  auto on_message = [box, id](v1::BulkDown& message) {
    Input input{Input::What::kMessage, id};
    input.bulk = FromProto(message);
    box->Push(std::move(input));
  };
  auto channel = impl_->OpenChannel();
  auto stub = v1::Hive::NewStub(channel);
  auto call = std::make_unique<BulkCall>(channel, kBulkOutbox, impl_->Sink<v1::BulkDown>(id, on_message));
  call->Start([&](grpc::ClientContext* context, auto* reactor) { stub->async()->Bulk(context, reactor); });
  v1::BulkUp hello;
  hello.mutable_hello()->set_identity(impl_->facts.identity);
  hello.mutable_hello()->set_session(session.value());
  call->Push(std::move(hello));
  impl_->bulks[id] = std::move(call);
  impl_->bulk = id;
}

void Link::CloseBulk() {
  if (BulkCall* call = impl_->Bulk()) call->Release(/*flush=*/false);
  impl_->bulk = 0;
}

void Link::Send(const ControlUp& message) {
  ControlCall* call = impl_->Control();
  if (call == nullptr) return;  // its end is on the way to the core
  v1::FromDrone out;
  const bool beat = std::holds_alternative<Heartbeat>(message);
  if (beat) impl_->RenewIfDue();
  ToProto(message, beat ? ReadVitals(impl_->facts.data) : Vitals{}, &out);
  // False: full, so the stream is aborted, or ending anyway; either way ControlLost follows once reading
  // ends.
  if (!call->Push(std::move(out))) call->Cancel();
}

std::string Link::TakeBuffer() {
  if (BulkCall* call = impl_->Bulk()) {
    v1::BulkUp spare = call->TakeSpare();
    if (spare.has_records()) impl_->buffer = std::move(*spare.mutable_records()->mutable_packed());
  }
  std::string buffer = std::exchange(impl_->buffer, {});
  buffer.clear();
  return buffer;
}

void Link::SendRecords(Epoch epoch, std::string packed) {
  BulkCall* call = impl_->Bulk();
  if (call == nullptr) return;  // BulkLost is on the way and takes these records back
  v1::BulkUp message;
  message.mutable_records()->set_epoch(epoch.value());
  message.mutable_records()->set_packed(std::move(packed));
  if (!call->Push(std::move(message))) call->Cancel();
}

void Link::Shutdown(Duration limit) {
  const Time deadline = BootClock::now() + limit;
  if (ControlCall* call = impl_->Control()) call->Release(/*flush=*/true);
  CloseBulk();
  impl_->control = 0;
  bool canceled = false;
  while (!impl_->controls.empty() || !impl_->bulks.empty()) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - BootClock::now()).count();
    // Half of the time for what is queued; then what is left is cut, which always ends within moments.
    if (!canceled && left <= std::chrono::duration_cast<std::chrono::milliseconds>(limit).count() / 2) {
      canceled = true;
      for (auto& [id, call] : impl_->controls) call->Cancel();
      for (auto& [id, call] : impl_->bulks) call->Cancel();
    }
    pollfd bell{impl_->bell.get(), POLLIN, 0};
    ::poll(&bell, 1, canceled ? -1 : static_cast<int>(std::max<long long>(left / 2, 1)));
    impl_->Drain();
  }
}

}  // namespace waggle::drone
