#include "queen/api/watch_stream.h"

#include <grpcpp/grpcpp.h>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/journal/reader.h"
#include "proto/waggle_proto.h"
#include "queen/api/convert.h"
#include "waggle/v1/queen.grpc.pb.h"

namespace waggle::queen {
namespace {

class WatchReactor;

// The hub's side. While writing_ is set the reactor cannot finish, so whoever set it may touch the reactor.
class WatchStream : public WatchSink, public std::enable_shared_from_this<WatchStream> {
 public:
  WatchStream(CorePort& core, WatchHub& hub, WatchReactor* reactor)
      : core_(core), hub_(hub), reactor_(reactor) {}

  void Started(WatcherId id) override {
    absl::MutexLock lock(&mutex_);
    id_ = id;
  }
  void SendJob(const JobRow& job) override;
  void SendRecords(const RecordBatch& batch) override;
  void SendHeartbeat() override;
  void SendEnd(const JobRow& job, Epoch epoch, Seq seq) override;
  void Fail(absl::Status status) override { FinishSoon(std::move(status)); }
  void Cut(absl::Status status) override;

  // The reactor's side.
  void WriteDone(bool ok);
  void Canceled();

 private:
  bool BeginWrite();  // false: the stream ends
  void FinishSoon(absl::Status status);

  CorePort& core_;
  WatchHub& hub_;
  WatchReactor* const reactor_;
  absl::Mutex mutex_;
  WatcherId id_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  // While it is set the reactor cannot finish either: whoever set it does that.
  bool cutting_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

class WatchReactor : public grpc::ServerWriteReactor<v1::WatchEvent> {
 public:
  WatchReactor(CorePort& core, WatchHub& hub, grpc::CallbackServerContext* context)
      : stream(std::make_shared<WatchStream>(core, hub, this)), context_(context) {
    StartSendInitialMetadata();
  }
  void OnWriteDone(bool ok) override { stream->WriteDone(ok); }
  void OnCancel() override { stream->Canceled(); }
  void OnDone() override { delete this; }
  void Write() { StartWrite(&event); }
  void Cancel() { context_->TryCancel(); }  // a write that waits for the watcher ends

  const std::shared_ptr<WatchStream> stream;
  v1::WatchEvent event;  // reused for every message
  std::shared_ptr<void> guard;

 private:
  grpc::CallbackServerContext* const context_;
};

bool WatchStream::BeginWrite() {
  absl::MutexLock lock(&mutex_);
  if (finished_ || ending_) return false;
  writing_ = true;
  return true;
}

void WatchStream::WriteDone(bool ok) {
  WatcherId id;
  bool finish = false;
  absl::Status status;
  {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    id = id_;
    if (cutting_) return;
    finish = ending_ || !ok;
    finished_ = finish;
    status = status_;
  }
  if (!finish) return hub_.Ready(id);
  hub_.Remove(id);
  reactor_->Finish(ToGrpc(status));
}

void WatchStream::FinishSoon(absl::Status status) {
  {
    absl::MutexLock lock(&mutex_);
    if (finished_ || ending_) return;
    ending_ = true;
    status_ = std::move(status);
    if (writing_) return;  // WriteDone finishes
    finished_ = true;
    status = status_;
  }
  reactor_->Finish(ToGrpc(status));
}

void WatchStream::Cut(absl::Status status) {
  {
    absl::MutexLock lock(&mutex_);
    if (finished_) return;
    if (!ending_) status_ = std::move(status);
    ending_ = cutting_ = true;
  }
  reactor_->Cancel();  // without the lock: gRPC may call us back from it
  {
    absl::MutexLock lock(&mutex_);
    cutting_ = false;
    if (writing_) return;  // WriteDone finishes
    finished_ = true;
    status = status_;
  }
  reactor_->Finish(ToGrpc(status));
}

void WatchStream::Canceled() {
  WatcherId id;
  {
    absl::MutexLock lock(&mutex_);
    id = id_;
  }
  hub_.Remove(id);
  FinishSoon(absl::CancelledError("the watcher left"));
}

void WatchStream::SendJob(const JobRow& job) {
  if (!BeginWrite()) return;
  reactor_->event.Clear();
  ToProto(job, reactor_->event.mutable_state()->mutable_job());
  if (job.state != JobState::kQueued && job.state != JobState::kCreated) return reactor_->Write();
  // A job that waits says why; the core knows.
  core_.Ask(
      [&job](RequestId id) {
        return Event(event::Explain{id, {job.id}});
      },
      [self = shared_from_this()](AnswerValue answer) {
        auto* why = std::get_if<Explanations>(&answer);
        if (why != nullptr && !why->texts.empty() && !why->texts[0].empty()) {
          self->reactor_->event.mutable_state()->mutable_job()->set_detail(why->texts[0]);
        }
        self->reactor_->Write();
      });
}

void WatchStream::SendRecords(const RecordBatch& batch) {
  if (!BeginWrite()) return;
  reactor_->event.Clear();
  v1::Batch* out = reactor_->event.mutable_batch();
  out->set_epoch(batch.epoch.value());
  out->set_attempt(batch.attempt);
  std::size_t i = 0;
  journal::ForEachRecord(batch.raw, [&](const journal::RecordView& record) {
    ToProto(record, batch.lines[i++], batch.first_boot_nanos, out->add_fragments());
  });
  reactor_->Write();
}

void WatchStream::SendHeartbeat() {
  if (!BeginWrite()) return;
  reactor_->event.Clear();
  reactor_->event.mutable_heartbeat()->set_server_time(WallNow());
  reactor_->Write();
}

void WatchStream::SendEnd(const JobRow& job, Epoch epoch, Seq seq) {
  if (!BeginWrite()) return;
  reactor_->event.Clear();
  v1::WatchEnd* end = reactor_->event.mutable_end();
  ToProto(job, end->mutable_job());
  end->set_epoch(epoch.value());
  end->set_seq(seq.value());
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;  // with an OK status, once this message is out
  }
  reactor_->Write();
}

}  // namespace

grpc::ServerWriteReactor<v1::WatchEvent>* StartWatch(CorePort& core, WatchHub& hub,
                                                     const v1::WatchRequest& request,
                                                     grpc::CallbackServerContext* context,
                                                     const GuardMaker& guard) {
  auto* reactor = new WatchReactor(core, hub, context);
  WatchStart start;
  start.job = JobId(request.job());
  start.attempt = request.attempt();
  start.after_epoch = Epoch(request.after_epoch());
  start.after_seq = Seq(request.after_seq());
  start.from_line = request.from_line();
  start.follow = request.follow();
  start.late = request.late();
  std::shared_ptr<WatchStream> stream = reactor->stream;  // the reactor may be gone before Add returns
  if (guard != nullptr) {
    reactor->guard =
        guard([stream] { stream->Fail(absl::PermissionDeniedError("your certificate was revoked")); });
  }
  absl::StatusOr<WatcherId> added = hub.Add(start, stream);
  if (!added.ok()) stream->Fail(added.status());
  return reactor;
}

}  // namespace waggle::queen
