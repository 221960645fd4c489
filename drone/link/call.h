#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "common/rpc/outbox.h"

// Only for the .cc files of this folder.
namespace waggle::drone {

// What happens to a call, in gRPC's threads. Must not block.
template <typename Down>
struct CallSink {
  std::function<void(Down&)> message;             // no other read is under way until ReadNext()
  std::function<void()> drained;                  // everything pushed has been written
  std::function<void()> ended;                    // nothing more comes: the owner calls Release()
  std::function<void(const grpc::Status&)> done;  // the last event; the call may be deleted from now on
};

// One bidirectional stream, client side. Made and released by its owner's thread, which alone calls its
// public methods. Two holds keep it from being done: the outbox's (writes) and the owner's (reads, cancel),
// each released exactly once.
template <typename Up, typename Down>
class Call final : public grpc::ClientBidiReactor<Up, Down>, private rpc::OutboxStream<Up> {
 public:
  Call(std::shared_ptr<grpc::Channel> channel, std::size_t max_messages, CallSink<Down> sink)
      : channel_(std::move(channel)), sink_(std::move(sink)), outbox_(this, max_messages) {}

  // `open(context, reactor)` names the method.
  template <typename Open>
  void Start(Open open) {
    open(&context_, this);
    this->AddMultipleHolds(2);
    this->StartRead(&incoming_);
    this->StartCall();
  }
  bool Push(Up message) { return outbox_.Push(std::move(message)); }
  Up TakeSpare() { return outbox_.TakeSpare(); }
  void ReadNext() { this->StartRead(&incoming_); }
  // Cancels what is under way; `done` follows. `flush`: what is queued is written first.
  void Release(bool flush) {
    if (std::exchange(released_, true)) return;
    if (flush) {
      outbox_.Close();
    } else {
      context_.TryCancel();
      outbox_.Abort();
    }
    this->RemoveHold();
  }
  void Cancel() { context_.TryCancel(); }
  bool released() const { return released_; }

 private:
  void OnReadDone(bool ok) override {
    if (ok) {
      sink_.message(incoming_);
    } else {
      outbox_.Abort();
      sink_.ended();
    }
  }
  void OnWriteDone(bool ok) override { outbox_.OnWriteDone(ok); }
  void OnDone(const grpc::Status& status) override {
    auto done = sink_.done;  // the owner may delete this call as soon as it is told
    done(status);
  }

  void WriteMessage(const Up* message) override { this->StartWrite(message); }
  void FinishWrites() override {
    this->StartWritesDone();
    this->RemoveHold();
  }
  void Drained() override { sink_.drained(); }

  const std::shared_ptr<grpc::Channel> channel_;  // dies with the call, on the owner's thread
  const CallSink<Down> sink_;
  grpc::ClientContext context_;
  Down incoming_;
  rpc::Outbox<Up> outbox_;
  bool released_ = false;  // owner's thread only
};

}  // namespace waggle::drone
