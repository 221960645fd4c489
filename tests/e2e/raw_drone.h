#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "tests/support/child.h"
#include "waggle/v1/hive.grpc.pb.h"

namespace waggle::test {

// One bidirectional stream of a client that knows no manners: it says what it is told to, as fast as it can,
// and keeps what it hears. One thread, the one that made it.
template <typename Up, typename Down>
class RawStream {
 public:
  using Open = std::function<std::unique_ptr<grpc::ClientReaderWriter<Up, Down>>(grpc::ClientContext*)>;

  explicit RawStream(const Open& open) : stream_(open(&context_)), reader_([this] { Read(); }) {}
  ~RawStream() {
    context_.TryCancel();
    reader_.join();
  }

  bool Say(const Up& message) { return stream_->Write(message); }  // false: the stream is over
  void SayNoMore() { stream_->WritesDone(); }
  void Cut() { context_.TryCancel(); }

  std::vector<Down> Heard() const {
    absl::MutexLock lock(&mutex_);
    return heard_;
  }
  // The first message heard so far, or within the patience of a test, that matches.
  std::optional<Down> Hears(const std::function<bool(const Down&)>& match) {
    std::optional<Down> found;
    Eventually([&] {
      for (const Down& message : Heard()) {
        if (!found && match(message)) found = message;
      }
      return found.has_value() || Ended();
    });
    return found;
  }
  bool Ended() const {
    absl::MutexLock lock(&mutex_);
    return status_.has_value();
  }
  // Waits until the other side ends the stream.
  grpc::Status End() {
    if (!Eventually([&] { return Ended(); })) return {grpc::StatusCode::UNKNOWN, "the stream is still open"};
    absl::MutexLock lock(&mutex_);
    return *status_;
  }

 private:
  void Read() {
    for (Down message; stream_->Read(&message);) {
      absl::MutexLock lock(&mutex_);
      heard_.push_back(message);
    }
    grpc::Status status = stream_->Finish();
    absl::MutexLock lock(&mutex_);
    status_ = std::move(status);
  }

  grpc::ClientContext context_;
  const std::unique_ptr<grpc::ClientReaderWriter<Up, Down>> stream_;
  mutable absl::Mutex mutex_;
  std::vector<Down> heard_;
  std::optional<grpc::Status> status_;
  std::thread reader_;
};

using RawControl = RawStream<v1::FromDrone, v1::FromQueen>;
using RawBulk = RawStream<v1::BulkUp, v1::BulkDown>;

// A drone made of nothing but its messages.
class RawDrone {
 public:
  RawDrone(const std::string& queen_data, std::string name, char digit);

  const std::string& name() const { return name_; }
  v1::FromDrone Hello() const;  // a good one: speed 5, one slot, the label who=NAME
  // A new control stream that has said nothing, or was welcomed.
  RawControl& Connect();
  RawControl& Join() { return Join(Hello()); }
  RawControl& Join(const v1::FromDrone& hello);
  RawControl& control() { return *control_; }
  RawBulk& OpenBulk();      // of the session of the last Join
  RawBulk& OpenBareBulk();  // without BulkHello
  RawBulk& bulk() { return *bulk_; }
  std::uint64_t session() const { return session_; }
  void Leave();

  // The next assignment that was not given out yet; 0: none came.
  std::uint64_t NextAssigned();

 private:
  const std::string name_, identity_;
  std::unique_ptr<v1::Hive::Stub> stub_;
  std::unique_ptr<RawControl> control_;
  std::unique_ptr<RawBulk> bulk_;
  std::uint64_t session_ = 0, last_epoch_ = 0;
};

// Messages with one thing in them.
v1::FromDrone AcceptOf(std::uint64_t epoch);
v1::FromDrone RejectOf(std::uint64_t epoch, const std::string& reason);
v1::FromDrone StatusOf(std::uint64_t epoch, v1::HeldAttempt::State state, std::uint32_t counter);
v1::FromDrone ShimLostOf(std::uint64_t epoch, std::uint64_t last_seq, const std::string& detail);
v1::BulkUp RecordsOf(std::uint64_t epoch, const std::string& packed);

}  // namespace waggle::test
