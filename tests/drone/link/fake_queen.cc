#include "tests/drone/link/fake_queen.h"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <mutex>

#include "common/base/limits.h"
#include "common/journal/reader.h"
#include "waggle/v1/hive.grpc.pb.h"

namespace waggle::drone {
namespace {

using ControlStream = grpc::ServerReaderWriter<v1::FromQueen, v1::FromDrone>;
using BulkStream = grpc::ServerReaderWriter<v1::BulkDown, v1::BulkUp>;

}  // namespace

struct FakeQueen::Impl final : v1::Hive::Service {
  struct Log {
    std::vector<std::string> records;
    std::string raw, output;
    bool final = false;
  };

  FakeQueen* owner = nullptr;
  std::string socket;
  std::unique_ptr<grpc::Server> server;

  mutable std::mutex mutex;
  bool acknowledge = true;
  std::uint64_t sessions = 0;
  std::vector<v1::Hello> hellos;
  std::vector<v1::FromDrone> said;
  std::map<std::uint64_t, Log> logs;
  std::size_t gaps = 0, repeats = 0, bulk_streams = 0;
  Refusal end;
  ControlStream* control = nullptr;
  grpc::ServerContext* bulk_context = nullptr;

  grpc::Status Control(grpc::ServerContext*, ControlStream* stream) override {
    v1::FromDrone message;
    if (!stream->Read(&message) || !message.has_hello())
      return {grpc::StatusCode::INVALID_ARGUMENT, "no Hello"};
    v1::FromQueen answer;
    Refusal refusal;
    {
      std::lock_guard lock(mutex);
      hellos.push_back(message.hello());
      v1::Welcome* welcome = answer.mutable_welcome();
      welcome->set_protocol(1);
      welcome->set_session(++sessions);
      welcome->set_lease_ms(30'000);
      welcome->set_heartbeat_busy_ms(5'000);
      welcome->set_heartbeat_idle_ms(15'000);
      for (const v1::HeldAttempt& held : message.hello().attempts()) {
        v1::Disposition* d = welcome->add_attempts();
        d->set_epoch(held.epoch());
        d->set_action(v1::Disposition::CONTINUE);
        d->set_acked_seq(logs[held.epoch()].records.size());
      }
      if (owner->on_hello) refusal = owner->on_hello(message.hello(), welcome);
      if (refusal.code == 0) {
        stream->Write(answer);
        control = stream;
      }
    }
    if (refusal.code != 0) return {static_cast<grpc::StatusCode>(refusal.code), refusal.text};
    while (stream->Read(&message)) {
      std::lock_guard lock(mutex);
      said.push_back(message);
      if (end.code != 0) break;
      if (message.has_heartbeat()) {
        v1::FromQueen ack;
        ack.mutable_heartbeat_ack()->set_nonce(message.heartbeat().nonce());
        stream->Write(ack);
      }
    }
    std::lock_guard lock(mutex);
    if (control == stream) control = nullptr;
    return {static_cast<grpc::StatusCode>(end.code), end.text};
  }

  grpc::Status Bulk(grpc::ServerContext* context, BulkStream* stream) override {
    v1::BulkUp message;
    if (!stream->Read(&message) || !message.has_hello())
      return {grpc::StatusCode::INVALID_ARGUMENT, "no BulkHello"};
    {
      std::lock_guard lock(mutex);
      if (message.hello().session() != sessions)
        return {grpc::StatusCode::PERMISSION_DENIED, "no such session"};
      ++bulk_streams;
      bulk_context = context;
    }
    while (stream->Read(&message)) {
      v1::BulkDown answer;
      bool answers;
      {
        std::lock_guard lock(mutex);
        answers = Take(message.records(), &answer);
      }
      if (answers) stream->Write(answer);
    }
    std::lock_guard lock(mutex);
    if (bulk_context == context) bulk_context = nullptr;
    return grpc::Status::OK;
  }

  bool Take(const v1::Records& records, v1::BulkDown* answer) {
    Log& log = logs[records.epoch()];
    std::size_t bytes = 0;
    journal::ForEachRecord(records.packed(), [&](const journal::RecordView& record) {
      bytes += record.raw.size();
      const std::uint64_t seq = record.header.seq.value();
      if (seq <= log.records.size()) {
        ++repeats;
        if (log.records[seq - 1] != record.raw) ++gaps;
        return;
      }
      if (seq != log.records.size() + 1) {
        ++gaps;
        return;
      }
      log.records.emplace_back(record.raw);
      log.raw.append(record.raw);
      if (record.header.kind == journal::Kind::kStdout) log.output.append(record.payload);
      log.final = record.header.kind == journal::Kind::kFinal;
    });
    if (bytes != records.packed().size() || bytes > limits::kLogBatch) ++gaps;
    if (!acknowledge) return false;
    answer->mutable_ack()->set_epoch(records.epoch());
    answer->mutable_ack()->set_seq(log.records.size());
    return true;
  }
};

FakeQueen::FakeQueen(std::string socket) : impl_(std::make_unique<Impl>()) {
  impl_->owner = this;
  impl_->socket = std::move(socket);
}

FakeQueen::~FakeQueen() {
  Disappear();
}

void FakeQueen::Listen() {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + impl_->socket, grpc::InsecureServerCredentials());
  builder.AddChannelArgument("grpc.http2.min_ping_interval_without_data_ms", 1000);
  builder.RegisterService(impl_.get());
  impl_->server = builder.BuildAndStart();
}

void FakeQueen::Disappear() {
  if (impl_->server == nullptr) return;
  impl_->server->Shutdown(std::chrono::system_clock::now());
  impl_->server->Wait();
  impl_->server.reset();
}

void FakeQueen::set_acknowledge(bool acknowledge) {
  std::lock_guard lock(impl_->mutex);
  impl_->acknowledge = acknowledge;
}

void FakeQueen::Send(const v1::FromQueen& message) {
  std::lock_guard lock(impl_->mutex);
  if (impl_->control != nullptr) impl_->control->Write(message);
}

void FakeQueen::CutBulk() {
  std::lock_guard lock(impl_->mutex);
  if (impl_->bulk_context != nullptr) impl_->bulk_context->TryCancel();
}

void FakeQueen::EndControl(Refusal status) {
  std::lock_guard lock(impl_->mutex);
  impl_->end = std::move(status);
}

std::vector<v1::Hello> FakeQueen::hellos() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->hellos;
}
std::vector<v1::FromDrone> FakeQueen::said() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->said;
}
std::string FakeQueen::log(std::uint64_t epoch) const {
  std::lock_guard lock(impl_->mutex);
  return impl_->logs[epoch].raw;
}
std::string FakeQueen::output(std::uint64_t epoch) const {
  std::lock_guard lock(impl_->mutex);
  return impl_->logs[epoch].output;
}
bool FakeQueen::HasFinal(std::uint64_t epoch) const {
  std::lock_guard lock(impl_->mutex);
  return impl_->logs[epoch].final;
}
std::size_t FakeQueen::gaps() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->gaps;
}
std::size_t FakeQueen::repeats() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->repeats;
}
std::size_t FakeQueen::bulk_streams() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->bulk_streams;
}

}  // namespace waggle::drone
