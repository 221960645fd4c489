#include "tools/bench/floor_server.h"

#include <grpcpp/grpcpp.h>

#include <cstdio>

#include "common/base/limits.h"
#include "waggle/v1/hive.grpc.pb.h"

namespace waggle::bench {
namespace {

// Answers each heartbeat.
class PingPong : public grpc::ServerBidiReactor<v1::FromDrone, v1::FromQueen> {
 public:
  PingPong() { StartRead(&up_); }
  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    down_.mutable_heartbeat_ack()->set_nonce(up_.heartbeat().nonce());
    StartWrite(&down_);
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    StartRead(&up_);
  }
  void OnDone() override { delete this; }

 private:
  v1::FromDrone up_;
  v1::FromQueen down_;
};

// Takes everything; at the end one acknowledgement with the number of bytes.
class Drain : public grpc::ServerBidiReactor<v1::BulkUp, v1::BulkDown> {
 public:
  Drain() { StartRead(&up_); }
  void OnReadDone(bool ok) override {
    if (ok) {
      bytes_ += up_.records().packed().size();
      return StartRead(&up_);
    }
    down_.mutable_ack()->set_seq(bytes_);
    StartWriteAndFinish(&down_, grpc::WriteOptions(), grpc::Status::OK);
  }
  void OnDone() override { delete this; }

 private:
  v1::BulkUp up_;
  v1::BulkDown down_;
  std::uint64_t bytes_ = 0;
};

class FloorService : public v1::Hive::CallbackService {
 public:
  grpc::ServerBidiReactor<v1::FromDrone, v1::FromQueen>* Control(grpc::CallbackServerContext*) override {
    return new PingPong;
  }
  grpc::ServerBidiReactor<v1::BulkUp, v1::BulkDown>* Bulk(grpc::CallbackServerContext*) override {
    return new Drain;
  }
};

}  // namespace

int ServeFloor(const std::string& socket) {
  FloorService service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
  builder.SetMaxReceiveMessageSize(static_cast<int>(2 * limits::kMiB));
  builder.RegisterService(&service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) {
    std::fprintf(stderr, "error: cannot listen on %s\n", socket.c_str());
    return 1;
  }
  server->Wait();
  return 0;
}

}  // namespace waggle::bench
