#include "queen/api/hive_service.h"

#include <grpcpp/impl/service_type.h>

#include <vector>

#include "queen/api/hive_streams.h"

namespace waggle::queen {

void HiveService::Impl::PushBulk(SessionId session, v1::BulkDown message) {
  std::shared_ptr<BulkOutbox> outbox;
  {
    absl::MutexLock lock(&mutex);
    auto found = bulk.find(session);
    if (found == bulk.end()) return;  // it asks again after its next Hello
    outbox = found->second.outbox;
  }
  outbox->Push(std::move(message));
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
