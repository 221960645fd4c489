#include <spdlog/spdlog.h>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "queen/api/hive_streams.h"
#include "queen/api/in_flight.h"
#include "queen/api/peer_check.h"
#include "queen/api/unary.h"

namespace waggle::queen {
namespace {

constexpr std::size_t kBulkOutbox = 4096;  // acknowledgements a drone may be behind before it counts as stuck
constexpr Duration kAliveEvery = std::chrono::seconds(1);

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

grpc::ServerBidiReactor<v1::BulkUp, v1::BulkDown>* HiveService::Impl::Bulk(
    grpc::CallbackServerContext* context) {
  absl::Status admitted = check.Check(*context, PeerCheck::Who::kDrones);
  if (!admitted.ok()) return new Refusal<grpc::ServerBidiReactor<v1::BulkUp, v1::BulkDown>>(admitted);
  return new BulkReactor(*this, context);
}

}  // namespace waggle::queen
