#include "tools/waggle/follow.h"

#include <unistd.h>
#include <csignal>

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/vocabulary.h"
#include "tools/waggle/client.h"
#include "tools/waggle/ndjson.h"
#include "tools/waggle/render.h"
#include "tools/waggle/render_run.h"
#include "tools/waggle/session.h"
#include "waggle/v1/queen.pb.h"

namespace waggle::cli {
namespace {

// Only what a signal handler may touch: set once, before the handler is installed, and never freed.
const std::string* g_interrupt_text = nullptr;

extern "C" void OnInterrupt(int) {
  ssize_t ignored = write(STDERR_FILENO, g_interrupt_text->data(), g_interrupt_text->size());
  (void)ignored;
  _exit(exit_code::kInterrupted);
}

// Passes everything on to the sink that prints and keeps how each job ended.
class KeepEnds : public WatchSink {
 public:
  KeepEnds(WatchSink& sink, const std::vector<v1::Job>& jobs) : sink_(sink), jobs_(jobs) {}
  bool OnBatch(std::size_t stream, const v1::Batch& batch) override { return sink_.OnBatch(stream, batch); }
  void OnState(std::size_t stream, const v1::Job& job) override { sink_.OnState(stream, job); }
  void OnEnd(std::size_t stream, const v1::Job& job) override {
    jobs_[stream] = job;
    sink_.OnEnd(stream, job);
  }
  void OnNotice(std::string_view line) override { sink_.OnNotice(line); }
  absl::Status Flush() override { return sink_.Flush(); }

  std::vector<v1::Job>& jobs() { return jobs_; }

 private:
  WatchSink& sink_;
  std::vector<v1::Job> jobs_;
};

// The verdict of one attempt that is not, or no longer, the job's own.
absl::Status TakeAttempt(Client& client, std::uint32_t number, v1::Job* job) {
  v1::GetJobRequest request;
  request.set_id(job->id());
  v1::Job full;
  absl::Status status = client.GetJob(request, &full);
  if (!status.ok()) return status;
  for (const v1::Attempt& attempt : full.attempts()) {
    if (attempt.number() != number) continue;
    *job = full;
    TakeAttemptVerdict(attempt, job);
    return absl::OkStatus();
  }
  return absl::NotFoundError(absl::StrCat("job ", job->id(), " has no attempt ", number));
}

}  // namespace

void DetachOnInterrupt(const std::string& what, const std::string& cancel) {
  LeaveOnInterrupt(absl::StrCat(what, " keeps running; stop it with: waggle cancel ", cancel));
}

void LeaveOnInterrupt(const std::string& line) {
  g_interrupt_text = new std::string(absl::StrCat("\n", line, "\n"));
  std::signal(SIGINT, OnInterrupt);
}

int MirrorExitCodeOf(const std::vector<v1::Job>& jobs) {
  if (jobs.size() == 1 && !jobs.front().allow_failure()) return MirrorExitCodeOf(jobs.front());
  bool errored = false, canceled = false, pending = false;
  for (const v1::Job& job : jobs) {
    if (job.allow_failure()) continue;
    JobState state = StateOf(job);
    if (state == JobState::kFailed) return MirrorExitCodeOf(job);
    errored = errored || state == JobState::kErrored;
    canceled = canceled || state == JobState::kCanceled;
    pending = pending || !IsTerminal(state);
  }
  if (errored) return exit_code::kErrored;
  if (canceled) return exit_code::kCanceled;
  return pending ? exit_code::kPending : exit_code::kPassed;
}

int Follow(Session& session, Client& client, const std::vector<v1::Job>& jobs, std::uint32_t attempt,
           std::uint64_t run, Prefix prefix) {
  if (run != 0) {
    DetachOnInterrupt(absl::StrCat("run r", run), absl::StrCat("r", run));
  } else {
    DetachOnInterrupt(absl::StrCat("job ", jobs.front().id()), absl::StrCat(jobs.front().id()));
  }
  ShowOptions show;
  show.prefix = prefix == Prefix::kAlways || (prefix == Prefix::kAuto && jobs.size() > 1);
  show.quiet = session.options.quiet;
  show.verbose = session.options.verbose;
  std::vector<WatchedJob> watched;
  std::vector<WatchSpec> specs;
  for (const v1::Job& job : jobs) {
    watched.push_back({job.id(), job.name(), attempt == 0});
    specs.push_back({job.id(), attempt, 0, true});
  }
  std::unique_ptr<WatchSink> sink;
  if (session.options.json) {
    sink = std::make_unique<JsonSink>(show, watched, session.out, session.err);
  } else {
    sink = std::make_unique<TextSink>(show, watched, session.out, session.err, session.out_style,
                                      session.err_style);
  }
  KeepEnds keep(*sink, jobs);
  absl::Status status = Watch(client, specs, keep);
  if (status.ok() && attempt != 0) {
    status = TakeAttempt(client, attempt, &keep.jobs().front());
    if (status.ok() && !session.options.json) {
      session.err.Write(absl::StrCat(Verdict(keep.jobs().front(), session.err_style), "\n"));
    }
  }
  if (!status.ok()) return session.Fail(status);
  if (run != 0 && jobs.size() > 1 && !session.options.json) {
    session.err.Write(RunSummary(run, keep.jobs(), session.err_style));
  }
  return session.Done(run == 0 ? MirrorExitCodeOf(keep.jobs().front()) : MirrorExitCodeOf(keep.jobs()));
}

}  // namespace waggle::cli
