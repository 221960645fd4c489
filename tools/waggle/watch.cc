#include "tools/waggle/watch.h"

#include <grpc/support/time.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "tools/waggle/client.h"
#include "waggle/v1/queen.grpc.pb.h"

namespace waggle::cli {
namespace {

using namespace std::chrono_literals;

// The queen speaks at least every 10 s; after three missed heartbeats the stream counts as broken.
constexpr Duration kSilence = 3 * limits::kWatchHeartbeat;
constexpr Duration kNoticeEvery = 10s;

// Refusals that no retry changes. All else is a matter of time: she restarts, is busy, or the link is cut.
bool Final(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::NOT_FOUND:
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::UNIMPLEMENTED:
    case grpc::StatusCode::DATA_LOSS:
      return true;
    default:
      return false;
  }
}

bool Ended(const v1::Job& job) {
  return job.state() >= v1::PASSED;
}

// One spec and its call. At most one operation of it is in the completion queue, so the stream itself is the
// tag.
struct Stream {
  enum class Stage { kWaiting, kStarting, kReading, kFinishing, kDone };

  std::size_t index = 0;
  WatchSpec spec;
  Stage stage = Stage::kWaiting;
  std::uint64_t epoch = 0, seq = 0;  // cursor: the last record handed to the sink
  std::uint64_t hole = 0;            // a batch that did not follow this record was refused
  bool ended = false;                // the sink had its last call
  Duration backoff = limits::kBackoffMin;
  Time due{};  // kWaiting: when to start; else: when silence counts as a break

  std::unique_ptr<grpc::ClientContext> context;
  std::unique_ptr<grpc::ClientAsyncReader<v1::WatchEvent>> reader;
  v1::WatchEvent event;  // reused: the cheapest way to read
  grpc::Status status;
};

class Watcher {
 public:
  Watcher(Client& client, const std::vector<WatchSpec>& specs, WatchSink& sink)
      : stub_(v1::Logs::NewStub(client.channel())), sink_(sink), streams_(specs.size()), open_(specs.size()) {
    for (std::size_t i = 0; i < specs.size(); ++i) {
      streams_[i].index = i;
      streams_[i].spec = specs[i];
    }
  }

  ~Watcher() {
    for (Stream& s : streams_) {
      if (s.context != nullptr) s.context->TryCancel();
    }
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  absl::Status Run() {
    while (open_ > 0 && result_.ok()) {
      Time now = BootClock::now();
      if (now >= next_due_) RunTimers(now);
      void* tag = nullptr;
      bool ok = false;
      if (queue_.AsyncNext(&tag, &ok, Deadline(next_due_ - now)) == grpc::CompletionQueue::GOT_EVENT) {
        Proceed(*static_cast<Stream*>(tag), ok);
        absl::Status flushed = sink_.Flush();
        if (result_.ok()) result_ = flushed;
      }
    }
    return result_;
  }

 private:
  static gpr_timespec Deadline(Duration wait) {
    auto millis = std::chrono::ceil<std::chrono::milliseconds>(std::max(wait, Duration(0))).count();
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(millis, GPR_TIMESPAN));
  }

  void Arm(Stream& s, Time due) {
    s.due = due;
    next_due_ = std::min(next_due_, due);
  }

  // Starts what waited long enough, breaks what was silent too long, says how the reconnecting goes.
  void RunTimers(Time now) {
    next_due_ = now + 1h;
    if (broken_since_) {
      if (now >= next_notice_) {
        auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - *broken_since_).count();
        sink_.OnNotice(absl::StrCat("reconnecting (queen unreachable for ", seconds, " s)"));
        next_notice_ = now + kNoticeEvery;
      }
      next_due_ = next_notice_;
    }
    for (Stream& s : streams_) {
      if (s.stage == Stream::Stage::kDone) continue;
      if (now >= s.due) {
        if (s.stage == Stream::Stage::kWaiting) {
          Start(s, now);
        } else {
          s.context->TryCancel();
          s.due = now + kSilence;
        }
      }
      next_due_ = std::min(next_due_, s.due);
    }
  }

  void Start(Stream& s, Time now) {
    v1::WatchRequest request;
    request.set_job(s.spec.job);
    request.set_attempt(s.spec.attempt);
    request.set_follow(s.spec.follow);
    request.set_late(s.spec.late);
    if (s.epoch != 0) {
      request.set_after_epoch(s.epoch);
      request.set_after_seq(s.seq);
    } else {
      request.set_from_line(s.spec.from_line);
    }
    s.status = grpc::Status::OK;
    s.context = std::make_unique<grpc::ClientContext>();
    s.reader = stub_->PrepareAsyncWatch(s.context.get(), request, &queue_);
    s.reader->StartCall(&s);
    s.stage = Stream::Stage::kStarting;
    s.due = now + kSilence;
  }

  void Proceed(Stream& s, bool ok) {
    switch (s.stage) {
      case Stream::Stage::kStarting:
        return ok ? Read(s) : Finish(s);
      case Stream::Stage::kReading:
        if (!ok) return Finish(s);
        Arm(s, BootClock::now() + kSilence);
        if (broken_since_) Reconnected();
        if (Handle(s)) return Read(s);
        s.context->TryCancel();
        return Finish(s);
      case Stream::Stage::kFinishing:
        return Finished(s);
      default:
        return;
    }
  }

  void Read(Stream& s) {
    s.stage = Stream::Stage::kReading;
    s.reader->Read(&s.event, &s);
  }

  void Finish(Stream& s) {
    s.stage = Stream::Stage::kFinishing;
    s.reader->Finish(&s.status, &s);
  }

  // False: nothing more is wanted of this call.
  bool Handle(Stream& s) {
    switch (s.event.event_case()) {
      case v1::WatchEvent::kBatch:
        return HandleBatch(s, s.event.mutable_batch());
      case v1::WatchEvent::kState:
        sink_.OnState(s.index, s.event.state().job());
        return true;
      case v1::WatchEvent::kEnd: {
        // Following every attempt, only a finished job is an end; anything else is a stream cut short.
        const v1::Job& job = s.event.end().job();
        if (s.spec.follow && s.spec.attempt == 0 && !Ended(job)) return false;
        s.ended = true;
        sink_.OnEnd(s.index, job);
        return false;
      }
      default:
        return true;
    }
  }

  bool HandleBatch(Stream& s, v1::Batch* batch) {
    auto* fragments = batch->mutable_fragments();
    int old = 0;  // records this watch has already, should the queen repeat some
    if (batch->epoch() < s.epoch) {
      old = fragments->size();
    } else if (batch->epoch() == s.epoch) {
      while (old < fragments->size() && fragments->Get(old).seq() <= s.seq) ++old;
    }
    if (old > 0) fragments->DeleteSubrange(0, old);
    if (fragments->empty()) return true;
    std::uint64_t next = fragments->Get(0).seq();
    if (batch->epoch() == s.epoch && next != s.seq + 1) {
      if (s.hole != s.seq) {  // ask once more, then go on and say so
        s.hole = s.seq;
        return false;
      }
      sink_.OnNotice(absl::StrCat("warning: records ", s.seq + 1, " to ", next - 1, " of job ", s.spec.job,
                                  "@", batch->attempt(), " are missing"));
    }
    s.epoch = batch->epoch();
    s.seq = fragments->rbegin()->seq();
    s.backoff = limits::kBackoffMin;
    if (sink_.OnBatch(s.index, *batch)) return true;
    s.ended = true;
    return false;
  }

  void Finished(Stream& s) {
    s.reader.reset();
    s.context.reset();
    if (s.ended) {
      s.stage = Stream::Stage::kDone;
      --open_;
      return;
    }
    if (Final(s.status.error_code())) {
      result_ = absl::Status(static_cast<absl::StatusCode>(s.status.error_code()), s.status.error_message());
      return;
    }
    Time now = BootClock::now();
    if (!broken_since_) {
      broken_since_ = now;
      next_notice_ = now + kNoticeEvery;
      std::string why = s.status.ok() ? "the stream ended without a result" : s.status.error_message();
      sink_.OnNotice(
          absl::StrCat("connection to the queen lost (", why.substr(0, why.find('\n')), "); reconnecting"));
    }
    s.stage = Stream::Stage::kWaiting;
    Arm(s, now + s.backoff);
    s.backoff = std::min<Duration>(s.backoff * 2, limits::kBackoffMax);
  }

  void Reconnected() {
    auto away =
        std::chrono::duration_cast<std::chrono::milliseconds>(BootClock::now() - *broken_since_).count();
    sink_.OnNotice(absl::StrCat("reconnected after ", away / 1000, ".", away / 100 % 10, " s"));
    broken_since_.reset();
  }

  grpc::CompletionQueue queue_;
  std::unique_ptr<v1::Logs::Stub> stub_;
  WatchSink& sink_;
  std::vector<Stream> streams_;  // never resized: their addresses are tags
  std::size_t open_;
  absl::Status result_;
  Time next_due_{};  // no timer is due before it
  std::optional<Time> broken_since_;
  Time next_notice_{};
};

}  // namespace

absl::Status Watch(Client& client, const std::vector<WatchSpec>& specs, WatchSink& sink) {
  return Watcher(client, specs, sink).Run();
}

}  // namespace waggle::cli
