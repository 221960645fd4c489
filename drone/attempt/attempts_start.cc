#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/failpoint.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/process/spawn.h"
#include "common/process/tree.h"
#include "common/wire/job_document.h"
#include "drone/attempt/attempts.h"
#include "drone/attempt/budget.h"
#include "drone/attempt/plugin_frame.h"
#include "drone/attempt/shim_socket.h"
#include "drone/shim/spool_budget.h"

// From an assignment to a running shim.
namespace waggle::attempt {
namespace {

constexpr int kEndedWaitMillis = 1000;

bool TakesPart(const shim::Plugins& plugins, Phase phase) {
  return std::any_of(plugins.uses.begin(), plugins.uses.end(), [&](const shim::PluginUse& use) {
    return (use.phases >> static_cast<int>(phase) & 1) != 0;
  });
}

// Over what an earlier attempt left there. It counts once the directory has the attempt's name, so it need
// not appear all at once.
absl::Status WriteFacts(const std::string& path, const Facts& facts, bool durable) {
  const std::string content = EncodeFacts(facts);
  ASSIGN_OR_RETURN(UniqueFd file, Open(path, O_WRONLY | O_CREAT));
  RETURN_IF_ERROR(WriteAll(file.get(), content));
  RETURN_IF_ERROR(Truncate(file.get(), content.size(), path));
  return durable ? SyncData(file.get(), path) : absl::OkStatus();
}

std::string ParentOf(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

}  // namespace

void Attempts::Start(const drone::Assign& assign) {
  highest_.Raise(assign.epoch);
  failpoint::Pass("drone.epoch.raised");
  Entry entry;
  entry.facts.epoch = assign.epoch;
  absl::Status started = TryStart(assign, &entry);
  if (!started.ok()) {
    if (!entry.directory.empty()) (void)config_.layout.Discard(entry.directory).ok();
    if (!entry.facts.work_directory.empty()) (void)config_.layout.Discard(entry.facts.work_directory).ok();
    janitor_->Sweep();
    emit_(drone::event::StartFailed{assign.epoch, std::string(started.message())});
    return;
  }
  const JobId job = entry.facts.job;
  Entry& kept = entries_[assign.epoch] = std::move(entry);
  absl::Status watched = WatchProcess(kept);
  if (watched.ok()) watched = WatchLink(kept);
  emit_(drone::event::Started{assign.epoch, job});
  failpoint::Pass("drone.start.sent");
  if (watched.ok()) {
    emit_(drone::event::ShimConnected{assign.epoch});
  } else {
    Note(drone::effect::Note::Level::kError,
         absl::StrCat("epoch ", assign.epoch.value(), ": ", watched.message()));
    Kill(assign.epoch);
  }
}

absl::Status Attempts::TryStart(const drone::Assign& assign, Entry* entry) {
  Facts& facts = entry->facts;
  ASSIGN_OR_RETURN(const pipeline::JobSpec spec, wire::ParseDocument(assign.document, &facts.job));
  if (!facts.job) return absl::InvalidArgumentError("the job document has no job_id");
  facts.attempt = assign.attempt;
  facts.type = spec.type;
  facts.received = assign.received;
  facts.boot_id = config_.host.boot_id;
  if (!spec.repo.url.empty() && ::access(config_.host.helper.c_str(), X_OK) != 0) {
    return absl::FailedPreconditionError(absl::StrCat("the job has a repository, but ", config_.host.helper,
                                                      " is missing: install it beside the drone"));
  }
  ASSIGN_OR_RETURN(const sandbox::Plan plan, config_.host.isolation.For(spec.isolation, spec.network));
  ASSIGN_OR_RETURN(shim::Plugins plugins, MakePlugins(spec, facts, config_.host.plugins));
  const bool durable =
      !spec.phases[static_cast<int>(Phase::kDeploy)].empty() || TakesPart(plugins, Phase::kDeploy);
  ASSIGN_OR_RETURN(Spare spare, janitor_->spares()->Take());
  entry->directory = std::move(spare.path);
  entry->listener = std::move(spare.listener);
  RETURN_IF_ERROR(TakeWorkDirectory(entry));
  failpoint::Pass("drone.work.taken");
  RETURN_IF_ERROR(NameDirectory(entry, durable));
  failpoint::Pass("drone.attempt.named");
  shim::Start start = MakeStart(spec, facts, config_.host, plan, entry->directory);
  start.plugins = std::move(plugins);
  // Where they are is hidden from jobs, or may be: the job sees them, and what they share beside them.
  for (const shim::PluginUse& use : start.plugins.uses) {
    start.sandbox.read_only.push_back(ParentOf(ParentOf(use.program)));
  }
  start.plugins.limit = config_.host.plugin_limit;
  start.attempts = config_.layout.Attempts();
  start.spool_budget = SpoolBudgetOf(config_.host.spool_budget, start.attempts, config_.host.slots);
  start.spool_segment = shim::SpoolSegment(start.spool_budget, config_.host.slots);
  const std::string frame = shim::EncodeFrame(start);
  if (frame.size() > shim::kMaxFrame) {
    return absl::InvalidArgumentError(absl::StrCat("the job document with its environment takes ",
                                                   frame.size(), " bytes; at most ", shim::kMaxFrame,
                                                   " fit"));
  }
  RETURN_IF_ERROR(Launch(entry));
  failpoint::Pass("drone.shim.launched");
  if (!entry->link.SendEncoded(frame)) {
    pollfd exit{entry->pidfd.get(), POLLIN, 0};
    ::poll(&exit, 1, kEndedWaitMillis);  // its socket is closed, so it is about to
    int status = 0;
    if (::waitpid(entry->pid, &status, WNOHANG) == entry->pid) entry->wait_status = status;
    return absl::UnavailableError(
        absl::StrCat(config_.shim, " ended at once: ", HowItEnded(entry->wait_status), LastWords(*entry)));
  }
  return absl::OkStatus();
}

absl::Status Attempts::TakeWorkDirectory(Entry* entry) {
  const std::string spare = entry->directory + "/work";
  std::string path =
      absl::StrCat(config_.layout.Work(), "/", entry->facts.job.value(), "-", entry->facts.attempt);
  auto take = [&] {
    return ::renameat2(AT_FDCWD, spare.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0;
  };
  if (!take()) {
    // Somebody's already (a restored queen counts jobs again): never share it.
    absl::StrAppend(&path, "-", entry->facts.epoch.value());
    if (!take()) return ErrnoStatus("create directory", path);
  }
  entry->facts.work_directory = std::move(path);
  return absl::OkStatus();
}

// A restart of the daemon finds the whole attempt or nothing of it: renaming the directory is the one step.
// Only a deploy needs to survive the loss of power as well.
absl::Status Attempts::NameDirectory(Entry* entry, bool durable) {
  const std::string& spare = entry->directory;
  RETURN_IF_ERROR(WriteFacts(absl::StrCat(spare, "/", std::string(kFactsName)), entry->facts, durable));
  if (durable) RETURN_IF_ERROR(SyncDirectory(spare));
  const std::string path = config_.layout.Attempt(entry->facts.epoch);
  if (::rename(spare.c_str(), path.c_str()) != 0) {
    if (errno != EEXIST && errno != ENOTEMPTY) return ErrnoStatus("create directory", path);
    RETURN_IF_ERROR(config_.layout.Discard(path));  // of an attempt that is not held any more
    if (::rename(spare.c_str(), path.c_str()) != 0) return ErrnoStatus("create directory", path);
  }
  entry->directory = path;
  return durable ? SyncDirectory(config_.layout.Attempts()) : absl::OkStatus();
}

absl::Status Attempts::Launch(Entry* entry) {
  ASSIGN_OR_RETURN(UniqueFd log, Open(absl::StrCat(entry->directory, "/", std::string(shim::kShimLog)),
                                      O_WRONLY | O_CREAT | O_APPEND));
  absl::StatusOr<process::Process> started =
      shim_host_.Start(entry->directory, Key(*entry), entry->listener.fd.get(), log.get());
  if (absl::IsUnavailable(started.status())) {
    return absl::UnavailableError(absl::StrCat(started.status().message(), LastWords(*entry)));
  }
  ASSIGN_OR_RETURN(process::Process process, std::move(started));
  entry->alive = true;
  entry->child = true;
  entry->pid = process.pid;
  entry->pidfd = std::move(process.pidfd);
  absl::StatusOr<UniqueFd> connection = ConnectToShim(entry->directory);
  if (!connection.ok()) {
    ::kill(entry->pid, SIGKILL);  // not reaped yet, so the number is still its own; Reap() takes it
    return connection.status();
  }
  entry->link = ShimLink(std::move(*connection));
  entry->answer_by = BootClock::now() + config_.shim_answers;
  return absl::OkStatus();
}

}  // namespace waggle::attempt
