#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/rpc/outbox.h"
#include "proto/waggle_proto.h"
#include "queen/api/convert.h"
#include "queen/api/hive_service.h"
#include "waggle/v1/hive.grpc.pb.h"

// What hive_service.cc, control_stream.cc and bulk_stream.cc share; for nobody else.
namespace waggle::queen {

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

struct HiveService::Impl : public v1::Hive::CallbackService {
  Impl(CorePort& core, const PeerCheck& check, Timing timing) : core(core), check(check), timing(timing) {}

  // control_stream.cc and bulk_stream.cc.
  grpc::ServerBidiReactor<v1::FromDrone, v1::FromQueen>* Control(
      grpc::CallbackServerContext* context) override;
  grpc::ServerBidiReactor<v1::BulkUp, v1::BulkDown>* Bulk(grpc::CallbackServerContext* context) override;

  void PushBulk(SessionId session, v1::BulkDown message);

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

// Nothing more can be read. gRPC does not say whether the drone closed its half or sent what no parser takes.
inline absl::Status EndOfReading(const grpc::CallbackServerContext& context) {
  if (context.IsCancelled()) return absl::CancelledError("the drone left");
  return absl::InvalidArgumentError(
      "the drone closed its side of the stream, or a message cannot be read (text that is not UTF-8)");
}

}  // namespace waggle::queen
