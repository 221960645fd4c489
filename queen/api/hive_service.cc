#include "queen/api/hive_service.h"

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/service_type.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/limits.h"
#include "common/rpc/outbox.h"
#include "proto/waggle_proto.h"
#include "queen/api/convert.h"
#include "queen/api/in_flight.h"
#include "queen/api/peer_check.h"
#include "queen/api/unary.h"
#include "waggle/v1/hive.grpc.pb.h"

namespace waggle::queen {
namespace {

constexpr std::size_t kControlOutbox =
    4096;                                  // small messages a drone may be behind before it counts as stuck
constexpr std::size_t kBulkOutbox = 4096;  // acknowledgements likewise
constexpr Duration kAliveEvery = std::chrono::seconds(1);
// What one drone may have on its way to the core. A thousand attempts that change at once take a tenth of it.
constexpr std::size_t kControlInFlight = 1 * limits::kMiB;

using ControlOutbox = rpc::Outbox<v1::FromQueen>;
using BulkOutbox = rpc::Outbox<v1::BulkDown>;

// Ends a stream with one status, whoever says it first. Shared by the reactor and those who may close it.
template <typename Message>
class StreamEnd {
 public:
  void Set(const absl::Status& status) {
    absl::MutexLock lock(&mutex_);
    if (!set_) status_ = status;
    set_ = true;
  }
  grpc::Status Get() const {
    absl::MutexLock lock(&mutex_);
    return ToGrpc(status_);
  }

 private:
  mutable absl::Mutex mutex_;
  bool set_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

template <typename Message>
struct Stream {
  std::shared_ptr<rpc::Outbox<Message>> outbox;
  std::shared_ptr<StreamEnd<Message>> end;
  std::string identity;
  void Close(const absl::Status& status) const {
    end->Set(status);
    outbox->Close();
  }
};

}  // namespace

struct HiveService::Impl : public v1::Hive::CallbackService {
  Impl(CorePort& core, const PeerCheck& check, Timing timing) : core(core), check(check), timing(timing) {}

  grpc::ServerBidiReactor<v1::FromDrone, v1::FromQueen>* Control(
      grpc::CallbackServerContext* context) override;
  grpc::ServerBidiReactor<v1::BulkUp, v1::BulkDown>* Bulk(grpc::CallbackServerContext* context) override;

  void PushBulk(SessionId session, v1::BulkDown message) {
    std::shared_ptr<BulkOutbox> outbox;
    {
      absl::MutexLock lock(&mutex);
      auto found = bulk.find(session);
      if (found == bulk.end()) return;  // it asks again after its next Hello
      outbox = found->second.outbox;
    }
    outbox->Push(std::move(message));
  }

  CorePort& core;
  const PeerCheck& check;
  const Timing timing;
  LogStore* logs = nullptr;

  absl::Mutex mutex;
  std::uint64_t next_connection ABSL_GUARDED_BY(mutex) = 0;
  std::unordered_map<ConnectionId, Stream<v1::FromQueen>> control ABSL_GUARDED_BY(mutex);
  std::unordered_map<SessionId, std::string> sessions ABSL_GUARDED_BY(mutex);  // open ones → identity
  std::unordered_map<SessionId, Stream<v1::BulkDown>> bulk ABSL_GUARDED_BY(mutex);
};

namespace {

// Nothing more can be read. gRPC does not say whether the drone closed its half or sent what no parser takes.
absl::Status EndOfReading(const grpc::CallbackServerContext& context) {
  if (context.IsCancelled()) return absl::CancelledError("the drone left");
  return absl::InvalidArgumentError(
      "the drone closed its side of the stream, or a message cannot be read (text that is not UTF-8)");
}

// One control stream. gRPC owns it; it lives until OnDone.
class ControlReactor : public grpc::ServerBidiReactor<v1::FromDrone, v1::FromQueen>,
                       public rpc::OutboxStream<v1::FromQueen> {
 public:
  ControlReactor(HiveService::Impl& service, grpc::CallbackServerContext* context)
      : service_(service),
        context_(context),
        caller_(service.check.CallerOf(*context)),
        outbox_(std::make_shared<ControlOutbox>(this, kControlOutbox)),
        end_(std::make_shared<StreamEnd<v1::FromQueen>>()) {
    {
      absl::MutexLock lock(&service_.mutex);
      id_ = ConnectionId(++service_.next_connection);
      service_.control[id_] = {outbox_, end_, {}};
    }
    StartSendInitialMetadata();
    // No Hello in time: an idle stranger. The alarm touches only what it shares with the reactor.
    hello_alarm_.Set(std::chrono::system_clock::now() + limits::kHelloDeadline,
                     [outbox = outbox_, end = end_, seen = hello_seen_](bool fired) {
                       if (!fired || *seen) return;
                       end->Set(absl::DeadlineExceededError("no Hello within 10 s"));
                       outbox->Close();
                     });
    StartRead(&in_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return Leave(EndOfReading(*context_));
    const std::size_t size = in_.ByteSizeLong();
    if (size > limits::kControlMessage) {
      return Leave(absl::InvalidArgumentError("message: larger than 256 KiB"));
    }
    absl::StatusOr<Event> event = FromProto(in_, id_, caller_.local, !*hello_seen_);
    if (!event.ok()) {
      spdlog::warn("drone stream {} refused: {}", id_.value(), std::string(event.status().message()));
      return Leave(event.status());
    }
    if (auto* hello = std::get_if<event::Hello>(&*event)) {
      *hello_seen_ = true;
      if (!caller_.local) hello->identity = caller_.key;  // who it is, whatever it says
      absl::MutexLock lock(&service_.mutex);
      auto found = service_.control.find(id_);
      if (found != service_.control.end()) found->second.identity = hello->identity;
    }
    Hold hold = in_flight_.Take(size);
    if (hold == nullptr) {
      return Leave(absl::ResourceExhaustedError("more than 1 MiB of messages wait for the queen"));
    }
    if (!service_.core.Post(*std::move(event), std::move(hold))) {
      return Leave(absl::UnavailableError("the queen is overloaded or stops"));
    }
    StartRead(&in_);
  }

  void OnWriteDone(bool ok) override { outbox_->OnWriteDone(ok); }
  void OnCancel() override { Leave(absl::CancelledError("the connection was lost")); }
  void OnDone() override {
    hello_alarm_.Cancel();
    delete this;
  }

  void WriteMessage(const v1::FromQueen* message) override { StartWrite(message); }
  void FinishWrites() override {
    Deregister();
    Finish(end_->Get());
  }

 private:
  void Leave(const absl::Status& status) {
    end_->Set(status);
    Deregister();
    // A refusal is said behind what is queued; a peer that is gone hears nothing.
    if (absl::IsCancelled(status)) {
      outbox_->Abort();
    } else {
      outbox_->Close();
    }
  }

  void Deregister() {
    {
      absl::MutexLock lock(&service_.mutex);
      if (service_.control.erase(id_) == 0) return;
    }
    service_.core.Post(event::Disconnected{id_});
  }

  HiveService::Impl& service_;
  grpc::CallbackServerContext* const context_;
  const Caller caller_;
  ConnectionId id_;
  v1::FromDrone in_;
  InFlight in_flight_{kControlInFlight};
  std::shared_ptr<std::atomic<bool>> hello_seen_ = std::make_shared<std::atomic<bool>>(false);
  std::shared_ptr<ControlOutbox> outbox_;
  std::shared_ptr<StreamEnd<v1::FromQueen>> end_;
  grpc::Alarm hello_alarm_;
};

// One bulk stream. Reads on at once: the drone's own window (32 MiB) bounds what is on its way to the log
// store, and a drone that ignores it is cut off.
class BulkReactor : public grpc::ServerBidiReactor<v1::BulkUp, v1::BulkDown>,
                    public rpc::OutboxStream<v1::BulkDown> {
 public:
  BulkReactor(HiveService::Impl& service, grpc::CallbackServerContext* context)
      : service_(service),
        context_(context),
        caller_(service.check.CallerOf(*context)),
        outbox_(std::make_shared<BulkOutbox>(this, kBulkOutbox)),
        end_(std::make_shared<StreamEnd<v1::BulkDown>>()) {
    StartSendInitialMetadata();
    StartRead(&in_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return Leave(EndOfReading(*context_));
    absl::Status taken = in_.has_hello() ? TakeHello() : TakeRecords();
    if (!taken.ok()) return Leave(taken);
    StartRead(&in_);
  }

  void OnWriteDone(bool ok) override { outbox_->OnWriteDone(ok); }
  void OnCancel() override { Leave(absl::CancelledError("the connection was lost")); }
  void OnDone() override { delete this; }
  void WriteMessage(const v1::BulkDown* message) override { StartWrite(message); }
  void FinishWrites() override {
    Deregister();
    Finish(end_->Get());
  }

 private:
  absl::Status TakeHello() {
    if (session_) return absl::InvalidArgumentError("message: a second BulkHello on one stream");
    SessionId session(in_.hello().session());
    const std::string& identity = caller_.local ? in_.hello().identity() : caller_.key;
    absl::MutexLock lock(&service_.mutex);
    auto found = service_.sessions.find(session);
    if (found == service_.sessions.end() || found->second != identity) {
      return absl::PermissionDeniedError("no such session; next: say Hello on a control stream");
    }
    session_ = session;
    service_.bulk[session] = {outbox_, end_, identity};
    return absl::OkStatus();
  }

  absl::Status TakeRecords() {
    if (!session_) return absl::InvalidArgumentError("message: the first message must be BulkHello");
    if (!in_.has_records()) return absl::InvalidArgumentError("message: of a kind this queen does not know");
    std::size_t size = in_.records().packed().size();
    if (size > limits::kLogBatch + limits::kRecordPayload) {
      return absl::InvalidArgumentError(absl::StrCat("records.packed: ", size, " bytes; at most 1 MiB"));
    }
    Hold hold = in_flight_.Take(size);
    if (hold == nullptr) return absl::ResourceExhaustedError("more than 32 MiB of unacknowledged records");
    Time now = BootClock::now();
    if (now - alive_said_ >= kAliveEvery) {
      alive_said_ = now;
      service_.core.Post(event::Alive{session_});
    }
    std::string packed = std::move(*in_.mutable_records()->mutable_packed());
    service_.logs->Append(session_, Epoch(in_.records().epoch()), std::move(packed),
                          [hold = std::move(hold)]() mutable { hold.reset(); });
    return absl::OkStatus();
  }

  void Leave(const absl::Status& status) {
    end_->Set(status);
    Deregister();
    if (absl::IsCancelled(status)) {
      outbox_->Abort();
    } else {
      spdlog::warn("bulk stream of session {} refused: {}", session_.value(), std::string(status.message()));
      outbox_->Close();
    }
  }

  void Deregister() {
    absl::MutexLock lock(&service_.mutex);
    auto found = service_.bulk.find(session_);
    if (found != service_.bulk.end() && found->second.outbox == outbox_) service_.bulk.erase(found);
  }

  HiveService::Impl& service_;
  grpc::CallbackServerContext* const context_;
  const Caller caller_;
  SessionId session_;
  Time alive_said_{};
  v1::BulkUp in_;
  InFlight in_flight_{limits::kWindowPerDrone + 2 * limits::kLogBatch};
  std::shared_ptr<BulkOutbox> outbox_;
  std::shared_ptr<StreamEnd<v1::BulkDown>> end_;
};

}  // namespace

grpc::ServerBidiReactor<v1::FromDrone, v1::FromQueen>* HiveService::Impl::Control(
    grpc::CallbackServerContext* context) {
  absl::Status admitted = check.Check(*context, PeerCheck::Who::kDrones);
  if (!admitted.ok()) return new Refusal<grpc::ServerBidiReactor<v1::FromDrone, v1::FromQueen>>(admitted);
  return new ControlReactor(*this, context);
}

grpc::ServerBidiReactor<v1::BulkUp, v1::BulkDown>* HiveService::Impl::Bulk(
    grpc::CallbackServerContext* context) {
  absl::Status admitted = check.Check(*context, PeerCheck::Who::kDrones);
  if (!admitted.ok()) return new Refusal<grpc::ServerBidiReactor<v1::BulkUp, v1::BulkDown>>(admitted);
  return new BulkReactor(*this, context);
}

HiveService::HiveService(CorePort& core, const PeerCheck& check, Timing timing)
    : impl_(std::make_unique<Impl>(core, check, timing)) {}
HiveService::~HiveService() = default;
grpc::Service* HiveService::service() {
  return impl_.get();
}
void HiveService::UseLogs(LogStore* logs) {
  impl_->logs = logs;
}

void HiveService::Send(ConnectionId connection, const ToDrone& message, std::string document) {
  v1::FromQueen out;
  ToProto(message, &out);
  if (out.has_assign()) out.mutable_assign()->set_document(std::move(document));
  if (out.has_welcome()) {
    auto millis = [](Duration d) { return std::chrono::duration_cast<std::chrono::milliseconds>(d).count(); };
    v1::Welcome* welcome = out.mutable_welcome();
    welcome->set_lease_ms(millis(impl_->timing.lease));
    welcome->set_heartbeat_busy_ms(millis(impl_->timing.heartbeat_busy));
    welcome->set_heartbeat_idle_ms(millis(impl_->timing.heartbeat_idle));
    const std::vector<Disposition>& attempts = std::get<to_drone::Welcome>(message).attempts;
    for (std::size_t i = 0; i < attempts.size(); ++i) {
      const Disposition& d = attempts[i];
      const std::optional<Seq> durable =
          d.late ? std::max(impl_->logs->LateDurable(d.epoch), d.late) : impl_->logs->Durable(d.epoch);
      welcome->mutable_attempts(static_cast<int>(i))->set_acked_seq(durable.value_or(Seq()).value());
    }
  }
  std::shared_ptr<ControlOutbox> outbox;
  {
    absl::MutexLock lock(&impl_->mutex);
    auto found = impl_->control.find(connection);
    if (found == impl_->control.end()) return;  // gone; the core hears of it by Disconnected
    outbox = found->second.outbox;
    if (out.has_welcome()) impl_->sessions[SessionId(out.welcome().session())] = found->second.identity;
  }
  outbox->Push(std::move(out));
}

void HiveService::Close(ConnectionId connection, const absl::Status& status) {
  Stream<v1::FromQueen> stream;
  {
    absl::MutexLock lock(&impl_->mutex);
    auto found = impl_->control.find(connection);
    if (found == impl_->control.end()) return;
    stream = found->second;
  }
  stream.Close(status);
}

void HiveService::EndSession(SessionId session) {
  Stream<v1::BulkDown> stream;
  {
    absl::MutexLock lock(&impl_->mutex);
    impl_->sessions.erase(session);
    auto found = impl_->bulk.find(session);
    if (found == impl_->bulk.end()) return;
    stream = found->second;
  }
  stream.Close(absl::AbortedError("the session ended"));
}

void HiveService::Acked(SessionId session, Epoch epoch, Seq seq) {
  v1::BulkDown message;
  message.mutable_ack()->set_epoch(epoch.value());
  message.mutable_ack()->set_seq(seq.value());
  impl_->PushBulk(session, std::move(message));
}

void HiveService::ResumeFrom(SessionId session, Epoch epoch, Seq seq) {
  v1::BulkDown message;
  message.mutable_resume_from()->set_epoch(epoch.value());
  message.mutable_resume_from()->set_seq(seq.value());
  impl_->PushBulk(session, std::move(message));
}

void HiveService::Fenced(SessionId session, Epoch epoch) {
  impl_->core.Post(event::Trespass{session, epoch});
  v1::BulkDown message;
  message.mutable_fenced()->set_epoch(epoch.value());
  impl_->PushBulk(session, std::move(message));
}

void HiveService::CloseAll(const absl::Status& status) {
  std::vector<Stream<v1::FromQueen>> control;
  std::vector<Stream<v1::BulkDown>> bulk;
  {
    absl::MutexLock lock(&impl_->mutex);
    for (const auto& [id, stream] : impl_->control) control.push_back(stream);
    for (const auto& [id, stream] : impl_->bulk) bulk.push_back(stream);
  }
  for (const auto& stream : control) stream.Close(status);
  for (const auto& stream : bulk) stream.Close(status);
}

}  // namespace waggle::queen
