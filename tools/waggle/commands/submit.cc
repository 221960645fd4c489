#include <random>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "tools/waggle/client.h"
#include "tools/waggle/commands/commands.h"
#include "tools/waggle/git.h"
#include "tools/waggle/job_file.h"
#include "tools/waggle/json.h"
#include "tools/waggle/render.h"
#include "tools/waggle/session.h"
#include "waggle/v1/queen.pb.h"

namespace waggle::cli {
namespace {

constexpr std::size_t kShortId = 8;

void FillTrigger(const SubmitOptions& options, v1::Trigger* trigger) {
  if (trigger->type().empty()) trigger->set_type("manual");
  if (!options.message.empty()) trigger->set_message(options.message);
  if (trigger->timestamp() == 0) trigger->set_timestamp(WallNow());
  if (trigger->source_case() == v1::Trigger::SOURCE_NOT_SET) trigger->mutable_api()->set_app("waggle");
}

// Every submission has a key, so that one whose answer got lost can be repeated.
std::string KeyOf(const SubmitOptions& options) {
  if (!options.key.empty()) return options.key;
  std::random_device random;
  std::string key;
  for (int i = 0; i < 4; ++i) absl::StrAppend(&key, absl::Hex(random(), absl::kZeroPad8));
  return key;
}

absl::Status WithKey(const absl::Status& status, const std::string& key) {
  if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) return status;
  return absl::Status(
      status.code(),
      absl::StrCat(status.message(), "\nshe may have taken it or not\nnext: repeat this with --key ", key,
                   ", which never starts it twice"));
}

// Narration goes aside when standard output belongs to the job's bytes.
Output& Place(Session& session, bool watch) {
  return watch ? session.err : session.out;
}

// One object; in a watch the first line of its events.
void PutJson(Session& session, const SubmitOptions& options, const Json& fields) {
  if (!options.watch) return session.out.Write(Pretty(fields));
  Json line = Json::object();
  line["event"] = "submitted";
  for (auto& [key, value] : fields.items()) line[key] = value;
  session.out.Write(Compact(line) + "\n");
}

int SubmitDocument(Session& session, const SubmitOptions& options) {
  v1::SubmitJobRequest request;
  absl::Status read = ReadJobFile(options.job_file, request.mutable_document());
  if (!read.ok()) return session.FailUsage(read);
  FillTrigger(options, request.mutable_document()->mutable_trigger());
  absl::StatusOr<Client*> client = session.Connect();
  if (!client.ok()) return session.Fail(client.status());
  request.set_key(KeyOf(options));
  v1::Job job;
  absl::Status status = (*client)->SubmitJob(request, &job);
  if (!status.ok()) return session.Fail(WithKey(status, request.key()));
  if (session.options.json) {
    PutJson(session, options, ToJson(job));
  } else if (!session.options.quiet && !options.watch) {
    session.out.Write(StateLine(job) + "\n");
  }
  if (!options.watch) return session.Done();
  return Follow(session, **client, {job}, 0, 0, options.prefix);
}

void SayRun(Session& session, const v1::SubmitRunResponse& run, bool watch) {
  Output& place = Place(session, watch);
  place.Write(absl::StrCat("run r", run.run(), ": ", Plural(run.jobs_size(), "job"), " at ",
                           run.commit().substr(0, kShortId), "\n"));
  if (watch) return;  // the watch says the state of each
  for (const v1::Job& job : run.jobs()) place.Write(StateLine(job) + "\n");
}

int SubmitRun(Session& session, const SubmitOptions& options) {
  absl::StatusOr<Source> source = ResolveSource(options.repo, options.ref);
  if (absl::IsInvalidArgument(source.status())) return session.FailUsage(source.status());
  if (!source.ok()) return session.Fail(source.status());
  v1::SubmitRunRequest request;
  request.mutable_repo()->set_url(source->url);
  request.mutable_ref()->set_branch(source->branch);
  request.mutable_ref()->set_id(source->id);
  request.mutable_ref()->set_fetch(source->fetch);
  FillTrigger(options, request.mutable_trigger());
  if (options.message.empty()) request.mutable_trigger()->set_message(source->message);
  request.mutable_trigger()->mutable_author()->set_name(source->author_name);
  request.mutable_trigger()->mutable_author()->set_email(source->author_email);

  absl::StatusOr<Client*> client = session.Connect();
  if (!client.ok()) return session.Fail(client.status());
  if (source->changed_files > 0 && !session.options.quiet) {
    session.err.Write(
        absl::StrCat("warning: not included: ", Plural(source->changed_files, "changed file"), "\n"));
    session.err.Flush();
  }
  request.set_key(KeyOf(options));
  v1::SubmitRunResponse run;
  absl::Status status = (*client)->SubmitRun(request, &run);
  if (!status.ok()) return session.Fail(WithKey(status, request.key()));
  if (session.options.json) {
    PutJson(session, options, ToJson(run));
  } else if (!session.options.quiet) {
    SayRun(session, run, options.watch);
  }
  if (!options.watch || run.jobs().empty()) return session.Done();
  std::vector<v1::Job> jobs(run.jobs().begin(), run.jobs().end());
  return Follow(session, **client, jobs, 0, run.run(), options.prefix);
}

}  // namespace

int RunSubmit(Session& session, const SubmitOptions& options) {
  if (options.job_file.empty()) return SubmitRun(session, options);
  if (!options.ref.empty() || !options.repo.empty()) {
    return session.FailUsage(
        absl::InvalidArgumentError("--job names a whole job document; REF and --repo do not go with "
                                   "it\nnext: put repo and ref into the document"));
  }
  return SubmitDocument(session, options);
}

}  // namespace waggle::cli
