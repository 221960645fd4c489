#include "queen/triggers/submit.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/isolation_label.h"
#include "common/base/limits.h"
#include "common/base/plugin_name.h"
#include "common/base/status_macros.h"
#include "common/pipeline/pipeline.h"
#include "common/process/spawn.h"
#include "common/wire/job_document.h"

namespace waggle::queen {
namespace {

constexpr std::chrono::seconds kFetchDeadline(300);  // of one repository; the helper is killed after it
constexpr std::size_t kHelperOutput = 64 * limits::kKiB;
constexpr int kHelperNotFound = 3, kHelperDeadline = 124;

// What waggle-git reads from its standard input; never an argument.
std::string Credentials(const pipeline::Repo& repo) {
  if (const auto* https = std::get_if<pipeline::HttpsAuth>(&repo.auth)) {
    return absl::StrCat("username ", https->username, "\npassword ", https->password, "\n");
  }
  if (const auto* ssh = std::get_if<pipeline::SshAuth>(&repo.auth)) {
    return absl::StrCat("sshkey ", ssh->private_key.size(), "\n", ssh->private_key);
  }
  return "";
}

std::string LastLines(const std::string& text) {
  constexpr std::size_t kSaid = 2000;
  absl::string_view view = absl::StripSuffix(text, "\n");
  return std::string(view.substr(view.size() > kSaid ? view.size() - kSaid : 0));
}

// What `trigger`, `when` and ${…} of the file look at, as far as the request says it.
pipeline::RunFacts FactsOf(const RunRequest& request, const pipeline::Ref& ref) {
  const std::string& type = request.trigger.type;
  pipeline::RunFacts facts;
  if (type == "commit") facts.event = pipeline::Event::kPush;
  if (type == "pull-request") facts.event = pipeline::Event::kPullRequest;
  if (const auto event = pipeline::ParseEvent(type)) facts.event = *event;
  (facts.event == pipeline::Event::kTag ? facts.tag : facts.branch) = ref.branch;
  facts.commit = ref.id;
  // The last part of the address, without .git.
  const std::string url = wire::PublicUrl(request.repo.url);
  absl::string_view name = absl::StripSuffix(absl::StripSuffix(url, "/"), ".git");
  facts.name = std::string(name.substr(name.find_last_of("/:") + 1));
  return facts;
}

absl::Status NotInThisVersion(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(what, " is not in this version of Waggle"));
}

// What the file may say and the queen does not act on yet: silence would be worse.
absl::Status CheckSupported(const pipeline::Pipeline& pipeline) {
  if (!pipeline.unwanted.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(".waggle.yml wants no such run: ", pipeline.unwanted));
  }
  if (!pipeline.schedules.empty()) return NotInThisVersion(".waggle.yml: `trigger.schedule`");
  if (pipeline.concurrency) return NotInThisVersion(".waggle.yml: `concurrency`");
  for (const pipeline::PipelineJob& job : pipeline.jobs) {
    if (job.cancel_previous) return NotInThisVersion(".waggle.yml: `cancel_previous` of one job");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckSupported(const pipeline::JobSpec& spec) {
  bool secrets = !spec.secrets.empty();
  for (const auto& commands : spec.phases) {
    for (const pipeline::Command& command : commands) secrets = secrets || !command.secrets.empty();
  }
  if (secrets) return NotInThisVersion("`secrets`");
  if (spec.submodules) return NotInThisVersion("`submodules`");
  return absl::OkStatus();
}

JobDraft MakeDraft(const pipeline::JobSpec& spec) {
  JobDraft draft;
  draft.row.name = spec.name;
  draft.row.type = spec.type;
  draft.row.priority = spec.priority;
  draft.row.needs = spec.needs;
  // A drone has a label for each kind that works there.
  const Isolation isolation = spec.network ? spec.isolation : Isolation::kBubblewrap;
  if (isolation != Isolation::kAuto) {
    draft.row.needs[std::string(kIsolationLabel) + std::string(Name(isolation))] = kIsolationWorks;
  }
  for (const pipeline::Plugin& plugin : spec.plugins) {
    if (plugin.enabled()) draft.row.plugins.push_back(JoinPlugin(plugin.name, plugin.version));
  }
  draft.row.local_only = spec.repo.IsLocal();
  draft.row.repo = wire::PublicUrl(spec.repo.url);
  draft.row.branch = spec.ref.branch.empty() ? spec.ref.fetch : spec.ref.branch;
  draft.row.commit = spec.ref.id;
  draft.document = wire::SerializeDocument(spec, JobId());
  return draft;
}

absl::StatusOr<std::string> RunReader::RunGit(std::vector<std::string> arguments, const pipeline::Repo& repo,
                                              std::size_t max_output) const {
  process::SpawnOptions options;
  options.argv = {git_};
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  std::string input = Credentials(repo);
  if (!input.empty()) options.argv.push_back("--credentials");
  options.env = process::Environment{{"PATH", std::string(process::kDefaultPath)}, {"HOME", mirrors_}};
  absl::StatusOr<process::Captured> run = process::RunCaptured(options, input, kFetchDeadline, max_output);
  if (absl::IsNotFound(run.status())) {
    return absl::InternalError(
        absl::StrCat("cannot start ", git_, ": it is missing\nnext: install waggle-git beside queen"));
  }
  if (!run.ok()) return run.status();
  if (run->exit_code == 0) return std::move(run->out);
  // The helper's own words name the repository and the next step; progress lines before them do not matter
  // here.
  std::string said = LastLines(run->err);
  std::size_t error = said.rfind("error: ");
  if (error != std::string::npos) said = said.substr(error + 7);
  if (said.empty()) said = absl::StrCat("waggle-git ended with code ", run->exit_code);
  if (run->exit_code == kHelperNotFound) return absl::NotFoundError(said);
  if (run->exit_code == kHelperDeadline) return absl::DeadlineExceededError(said);
  return absl::FailedPreconditionError(said);
}

absl::StatusOr<event::SubmitRun> RunReader::Read(const RunRequest& request) const {
  if (request.repo.vcs != "git") {
    return absl::InvalidArgumentError(
        absl::StrCat("repo.vcs: `", request.repo.vcs, "` is not in this version of Waggle; git is"));
  }
  std::vector<std::string> resolve = {"resolve", "--mirrors", mirrors_, "--url", request.repo.url};
  auto add = [](std::vector<std::string>& to, const char* flag, const std::string& value) {
    if (!value.empty()) to.insert(to.end(), {flag, value});
  };
  add(resolve, "--branch", request.ref.branch);
  add(resolve, "--id", request.ref.id);
  add(resolve, "--fetch", request.ref.fetch);
  ASSIGN_OR_RETURN(std::string resolved, RunGit(resolve, request.repo, kHelperOutput));
  event::SubmitRun run;
  pipeline::Ref ref = request.ref;
  for (absl::string_view line : absl::StrSplit(resolved, '\n')) {
    if (absl::ConsumePrefix(&line, "commit ")) ref.id = std::string(line);
    if (absl::ConsumePrefix(&line, "branch ")) ref.branch = std::string(line);
  }
  if (ref.id.empty()) return absl::InternalError("waggle-git resolved no commit");
  ASSIGN_OR_RETURN(std::string text,
                   RunGit({"read", "--mirrors", mirrors_, "--url", request.repo.url, "--id", ref.id, "--path",
                           ".waggle.yml", "--max-bytes", absl::StrCat(limits::kPipelineBytes)},
                          request.repo, limits::kPipelineBytes + 1));
  ASSIGN_OR_RETURN(pipeline::Pipeline pipeline,
                   pipeline::ParsePipeline(text, ".waggle.yml", FactsOf(request, ref)));
  RETURN_IF_ERROR(CheckSupported(pipeline));
  run.run.repo = wire::PublicUrl(request.repo.url);
  run.run.branch = ref.branch;
  run.run.commit = ref.id;
  run.run.event = request.trigger.type;
  run.run.title = request.trigger.message.substr(0, request.trigger.message.find('\n'));
  run.run.by = request.trigger.author.name.empty() ? request.user_id : request.trigger.author.name;
  run.run.name = pipeline.name;
  run.cancel_previous = pipeline.cancel_previous;
  for (pipeline::PipelineJob& job : pipeline.jobs) {
    job.spec.repo = request.repo;
    job.spec.ref = ref;
    job.spec.trigger = request.trigger;
    job.spec.user_id = request.user_id;
    RETURN_IF_ERROR(pipeline::Check(job.spec));
    RETURN_IF_ERROR(CheckSupported(job.spec));
    JobDraft& draft = run.jobs.emplace_back(MakeDraft(job.spec));
    draft.after = job.after;
    draft.skipped = job.skipped;
    draft.row.runs_after = job.runs_after;
    draft.row.allow_failure = job.allow_failure;
    draft.row.retry_infra = job.retry.infra;
    draft.row.retry_failed = job.retry.failed;
    if (run.jobs.back().document.size() > limits::kJobDocument) {
      return absl::InvalidArgumentError(absl::StrCat("job ", job.name, " is ",
                                                     run.jobs.back().document.size(),
                                                     " bytes as a document; at most ", limits::kJobDocument));
    }
  }
  return run;
}

}  // namespace waggle::queen
