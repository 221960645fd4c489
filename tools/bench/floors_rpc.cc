#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/base/fd.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/rpc/channel.h"
#include "tools/bench/floor_server.h"
#include "tools/bench/floors.h"
#include "waggle/v1/hive.grpc.pb.h"

namespace waggle::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMessage = 64 * limits::kKiB;
constexpr Duration kStart = 10s;

// Writes the same message until enough bytes went, then reads the one answer.
class Pump : public grpc::ClientBidiReactor<v1::BulkUp, v1::BulkDown> {
 public:
  Pump(v1::Hive::Stub& stub, std::uint64_t messages) : left_(messages) {
    up_.mutable_records()->mutable_packed()->assign(kMessage, 'x');
    stub.async()->Bulk(&context_, this);
    StartRead(&down_);
    StartWrite(&up_);
    StartCall();
  }
  void OnWriteDone(bool ok) override {
    if (ok && --left_ > 0) {
      StartWrite(&up_);
    } else {
      StartWritesDone();
    }
  }
  void OnDone(const grpc::Status& status) override {
    status_ = status;
    done_.Notify();
  }
  absl::StatusOr<std::uint64_t> Bytes() {
    done_.WaitForNotification();
    if (!status_.ok()) return absl::InternalError(status_.error_message());
    return down_.ack().seq();
  }

 private:
  grpc::ClientContext context_;
  v1::BulkUp up_;
  v1::BulkDown down_;
  std::uint64_t left_;
  grpc::Status status_;
  absl::Notification done_;
};

// One heartbeat after the other, each when the last was answered.
class Ponger : public grpc::ClientBidiReactor<v1::FromDrone, v1::FromQueen> {
 public:
  Ponger(v1::Hive::Stub& stub, int rounds) : left_(rounds) {
    stub.async()->Control(&context_, this);
    StartCall();
    Next();
  }
  void OnReadDone(bool ok) override {
    took_.push_back(Seconds(BootClock::now() - start_));
    OneDone(ok);
  }
  void OnWriteDone(bool ok) override { OneDone(ok); }
  void OnDone(const grpc::Status& status) override {
    status_ = status;
    done_.Notify();
  }
  absl::StatusOr<double> Median50() {
    done_.WaitForNotification();
    if (!status_.ok()) return absl::InternalError(status_.error_message());
    return Median(took_);
  }

 private:
  // The answer may come before the write is reported done.
  void OneDone(bool ok) {
    if (!ok) failed_ = true;
    if (--under_way_ > 0) return;
    if (!failed_ && --left_ > 0) {
      Next();
    } else {
      StartWritesDone();
    }
  }
  void Next() {
    under_way_ = 2;
    start_ = BootClock::now();
    up_.mutable_heartbeat()->set_nonce(static_cast<std::uint64_t>(left_));
    StartRead(&down_);
    StartWrite(&up_);
  }

  grpc::ClientContext context_;
  v1::FromDrone up_;
  v1::FromQueen down_;
  int left_;
  std::atomic<int> under_way_ = 0;  // a read and a write
  std::atomic<bool> failed_ = false;
  Time start_;
  std::vector<double> took_;
  grpc::Status status_;
  absl::Notification done_;
};

struct IdleStream {
  std::unique_ptr<v1::Hive::Stub> stub;
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReaderWriter<v1::FromDrone, v1::FromQueen>> stream;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RpcFloor>> RpcFloor::Start(const Bench& bench) {
  static int number = 0;
  std::unique_ptr<RpcFloor> floor(new RpcFloor);
  floor->directory_ = absl::StrCat(bench.scratch(), "/f", ++number);
  RETURN_IF_ERROR(MakeDirectories(floor->directory_));
  floor->socket_ = floor->directory_ + "/s";
  ASSIGN_OR_RETURN(floor->server_,
                   Program::Start({bench.Binary("waggle-bench"), kFloorServer, floor->socket_},
                                  floor->directory_ + "/log"));
  RETURN_IF_ERROR(Await([&] { return ::access(floor->socket_.c_str(), F_OK) == 0; }, kStart,
                        "the start of the floor's server"));
  floor->channel_ = rpc::OpenChannel("unix:" + floor->socket_);
  if (!floor->channel_->WaitForConnected(std::chrono::system_clock::now() + kStart)) {
    return absl::UnavailableError("the floor's server does not answer");
  }
  return floor;
}

RpcFloor::~RpcFloor() {
  channel_.reset();
  server_.Kill();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

absl::StatusOr<double> RpcFloor::Stream(std::uint64_t bytes) {
  auto stub = v1::Hive::NewStub(channel_);
  const Time start = BootClock::now();
  Pump pump(*stub, bytes / kMessage);
  ASSIGN_OR_RETURN(const std::uint64_t arrived, pump.Bytes());
  const double seconds = Seconds(BootClock::now() - start);
  if (arrived != bytes / kMessage * kMessage) return absl::DataLossError("the floor's stream lost bytes");
  return static_cast<double>(arrived) / 1e6 / seconds;
}

absl::StatusOr<double> RpcFloor::PingPong(int rounds) {
  auto stub = v1::Hive::NewStub(channel_);
  Ponger ponger(*stub, rounds);
  return ponger.Median50();
}

absl::StatusOr<double> RpcFloor::IdleConnection(int count) {
  const long before = MemoryKiB(server_.pid(), "VmRSS");
  std::vector<std::unique_ptr<IdleStream>> streams;
  for (int i = 0; i < count; ++i) {
    auto idle = std::make_unique<IdleStream>();
    idle->stub = v1::Hive::NewStub(rpc::OpenChannel("unix:" + socket_));
    idle->stream = idle->stub->Control(&idle->context);
    v1::FromDrone up;
    v1::FromQueen down;
    up.mutable_heartbeat()->set_nonce(1);
    if (!idle->stream->Write(up) || !idle->stream->Read(&down)) {
      return absl::UnavailableError("the floor's server refuses a connection");
    }
    streams.push_back(std::move(idle));
  }
  const long after = MemoryKiB(server_.pid(), "VmRSS");
  for (auto& idle : streams) {
    idle->context.TryCancel();
    idle->stream->Finish();
  }
  return static_cast<double>(after - before) / count;
}

}  // namespace waggle::bench
