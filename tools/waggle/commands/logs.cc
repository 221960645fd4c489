#include <memory>

#include "absl/strings/str_cat.h"
#include "tools/waggle/client.h"
#include "tools/waggle/commands/commands.h"
#include "tools/waggle/ndjson.h"
#include "tools/waggle/render.h"
#include "tools/waggle/session.h"
#include "waggle/v1/queen.pb.h"

namespace waggle::cli {
namespace {

// Turns what was typed into a request and a way to show it. InvalidArgument: they do not go together.
absl::Status Understand(const LogsOptions& options, WatchSpec* spec, ShowOptions* show, Target* target) {
  absl::StatusOr<Target> parsed = ParseJobTarget(options.job);
  if (!parsed.ok()) return parsed.status();
  *target = *parsed;
  if (target->attempt != 0 && options.attempt != 0 && target->attempt != options.attempt) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.job, " and --attempt ", options.attempt, " disagree"));
  }
  spec->attempt = target->attempt != 0 ? target->attempt : options.attempt;
  spec->follow = options.follow;
  spec->late = options.late;
  if (options.late && (options.follow || options.last != 0 || !options.lines.empty())) {
    return absl::InvalidArgumentError("--late shows what came later as a whole: not with -f, -n or --lines");
  }
  show->narration = options.raw ? ShowOptions::Narration::kNone : ShowOptions::Narration::kOutput;
  if (options.stream == "stdout") show->streams = Streams::kStdout;
  if (options.stream == "stderr") show->streams = Streams::kStderr;
  if (!options.lines.empty()) {
    if (options.last != 0) return absl::InvalidArgumentError("--lines and -n do not go together");
    absl::StatusOr<LineRange> lines = ParseLines(options.lines);
    if (!lines.ok()) return lines.status();
    show->narration = ShowOptions::Narration::kNone;
    show->first_line = lines->first;
    show->last_line = lines->last;
    spec->from_line = lines->first;
  }
  return absl::OkStatus();
}

// Counts back from the lines stored now.
absl::Status StartAtLast(Client& client, std::uint64_t count, WatchSpec* spec, ShowOptions* show) {
  v1::OutlineRequest request;
  request.set_job(spec->job);
  request.set_attempt(spec->attempt);
  v1::OutlineResponse outline;
  absl::Status status = client.Outline(request, &outline);
  if (!status.ok()) return status;
  if (outline.lines() > count) {
    spec->from_line = outline.lines() - count + 1;
    show->first_line = spec->from_line;
  }
  return absl::OkStatus();
}

// Passes on; a log that has no record yet is explained on standard error.
class ExplainSilence : public WatchSink {
 public:
  ExplainSilence(WatchSink& sink, Session& session) : sink_(sink), session_(session) {}
  bool OnBatch(std::size_t stream, const v1::Batch& batch) override {
    any_ = true;
    return sink_.OnBatch(stream, batch);
  }
  void OnState(std::size_t stream, const v1::Job& job) override { sink_.OnState(stream, job); }
  void OnEnd(std::size_t stream, const v1::Job& job) override {
    if (!any_ && !session_.options.quiet) session_.err.Write(StateLine(job) + "; its log is empty\n");
    sink_.OnEnd(stream, job);
  }
  void OnNotice(std::string_view line) override { sink_.OnNotice(line); }
  absl::Status Flush() override { return sink_.Flush(); }

 private:
  WatchSink& sink_;
  Session& session_;
  bool any_ = false;
};

}  // namespace

int RunLogs(Session& session, const LogsOptions& options) {
  WatchSpec spec;
  ShowOptions show;
  Target target;
  absl::Status status = Understand(options, &spec, &show, &target);
  if (!status.ok()) return session.FailUsage(status);
  show.verbose = session.options.verbose;
  show.quiet = session.options.quiet;
  absl::StatusOr<Client*> client = session.Connect();
  if (!client.ok()) return session.Fail(client.status());
  absl::StatusOr<std::uint64_t> id = session.JobId(target);
  if (!id.ok()) return session.Fail(id.status());
  spec.job = *id;
  if (options.last != 0) status = StartAtLast(**client, options.last, &spec, &show);
  if (!status.ok()) return session.Fail(status);

  if (options.follow) DetachOnInterrupt(absl::StrCat("job ", *id), absl::StrCat(*id));
  std::vector<WatchedJob> watched = {{*id, "", true}};
  std::unique_ptr<WatchSink> sink;
  if (session.options.json) {
    sink = std::make_unique<JsonSink>(show, watched, session.out, session.err);
  } else {
    sink = std::make_unique<TextSink>(show, watched, session.out, session.err, session.out_style,
                                      session.err_style);
  }
  ExplainSilence explain(*sink, session);
  status = Watch(**client, {spec}, explain);
  if (!status.ok()) return session.Fail(status);
  return session.Done();
}

}  // namespace waggle::cli
