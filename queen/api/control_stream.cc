#include <grpcpp/alarm.h>
#include <spdlog/spdlog.h>

#include <atomic>

#include "common/base/limits.h"
#include "queen/api/hive_streams.h"
#include "queen/api/in_flight.h"
#include "queen/api/peer_check.h"
#include "queen/api/unary.h"

namespace waggle::queen {
namespace {

// Small messages a drone may be behind before it counts as stuck.
constexpr std::size_t kControlOutbox = 4096;
// What one drone may have on its way to the core. A thousand attempts that change at once take a tenth of it.
constexpr std::size_t kControlInFlight = 1 * limits::kMiB;

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

}  // namespace

grpc::ServerBidiReactor<v1::FromDrone, v1::FromQueen>* HiveService::Impl::Control(
    grpc::CallbackServerContext* context) {
  absl::Status admitted = check.Check(*context, PeerCheck::Who::kDrones);
  if (!admitted.ok()) return new Refusal<grpc::ServerBidiReactor<v1::FromDrone, v1::FromQueen>>(admitted);
  return new ControlReactor(*this, context);
}

}  // namespace waggle::queen
