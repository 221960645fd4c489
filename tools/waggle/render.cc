#include "tools/waggle/render.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/wire/enums.h"
#include "waggle/v1/queen.pb.h"

namespace waggle::cli {
namespace {

constexpr std::size_t kNoteColumns = 100;
constexpr std::int32_t kUnknownDeploy = 504;

// "" or separator and text.
std::string With(std::string_view separator, std::string_view text) {
  return text.empty() ? std::string() : absl::StrCat(std::string(separator), std::string(text));
}

Reason ReasonOf(std::string_view text) {
  for (int i = 1; i <= static_cast<int>(kLastReason); ++i) {
    if (Name(static_cast<Reason>(i)) == text) return static_cast<Reason>(i);
  }
  return Reason::kNone;
}

std::string ShortState(JobState state) {
  if (state == JobState::kCreated) return "waiting";
  if (state == JobState::kReceived || state == JobState::kStarted) return "running";
  return std::string(Name(state));
}

std::string Took(const v1::Job& job, WallMillis now) {
  if (job.duration_ms() > 0) return ClockTime(job.duration_ms());
  if (job.started_at() == 0 || IsTerminal(StateOf(job))) return "";
  return ClockTime(now - job.started_at());
}

// "late truth: passed, deploy exit 0, 2026-11-20T14:02:00Z"; "" when there is none.
std::string LateText(const v1::Job& job) {
  if (!job.has_late()) return "";
  const v1::LateTruth& late = job.late();
  const JobState state = wire::FromProto(late.state()).value_or(JobState::kErrored);
  std::string how(Name(state));
  if (state == JobState::kErrored) how = absl::StrCat("errored (", late.reason(), ")");
  const std::int32_t code = late.deploy_code();
  return absl::StrCat("late truth: ", how,
                      code == -1               ? ", deploy never began"
                      : code == kUnknownDeploy ? ", deploy still unknown"
                                               : absl::StrCat(", deploy exit ", code),
                      With(", ", WallTime(late.finished_at() != 0 ? late.finished_at() : late.arrived_at())));
}

// What stands in the last column: why it waits, why it ended.
std::string Note(const v1::Job& job) {
  JobState state = StateOf(job);
  if (state == JobState::kFailed) return absl::StrCat(job.failed_step(), " exit ", job.failed_code());
  if (state == JobState::kErrored && job.has_late()) return absl::StrCat(job.reason(), "; ", LateText(job));
  if (state == JobState::kErrored) return absl::StrCat(job.reason(), With(": ", job.detail()));
  if (job.cancel_requested() && !IsTerminal(state)) return "cancel requested";
  return job.detail();
}

std::string OrNone(std::string_view text, const Style& style) {
  return std::string(text.empty() ? style.None() : text);
}

std::string JobName(const v1::Job& job) {
  return job.run() == 0 ? job.name() : absl::StrCat(job.run(), "/", job.name());
}

std::string TypeName(v1::JobType type) {
  auto known = wire::FromProto(type);
  return known ? std::string(Name(*known)) : "?";
}

std::string Code(std::int32_t code) {
  if (code < 0) return "not run";
  if (code == kUnknownDeploy) return "504 (unknown: the drone was lost after the deploy may have begun)";
  return absl::StrCat(code);
}

}  // namespace

JobState StateOf(const v1::Job& job) {
  return wire::FromProto(job.state()).value_or(JobState::kCreated);
}

std::string DescribeState(const v1::Job& job) {
  switch (StateOf(job)) {
    case JobState::kCreated:
      return absl::StrCat("waiting", With(": ", job.detail()));
    case JobState::kQueued:
      return absl::StrCat("queued", With(": ", job.detail()));
    case JobState::kReceived:
      return absl::StrCat("received by ", job.drone(), " (attempt ", job.attempt(), ")");
    case JobState::kStarted:
      return absl::StrCat("started on ", job.drone(), " (attempt ", job.attempt(), ")");
    case JobState::kPassed:
      return absl::StrCat("passed ", ClockTime(job.duration_ms()));
    case JobState::kFailed:
      return absl::StrCat("failed", With(" ", job.failed_step()), " exit ", job.failed_code());
    case JobState::kErrored:
      return absl::StrCat("errored (", job.reason().empty() ? "no reason given" : job.reason(), ")",
                          With(": ", job.detail()), With("; ", LateText(job)));
    case JobState::kCanceled:
      // The detail, when there is one, says who and why.
      return job.detail().empty() ? absl::StrCat("canceled", With(" by ", job.canceled_by())) : job.detail();
    case JobState::kSkipped:
      return absl::StrCat("skipped", With(": ", job.detail()));
  }
  return "";
}

std::string StateLine(const v1::Job& job) {
  return absl::StrCat("job ", job.id(), " ", job.name(), "  ", DescribeState(job));
}

std::string Receipt(const v1::Job& job) {
  if (!job.has_receipt()) return "";
  const v1::Receipt& receipt = job.receipt();
  if (receipt.processes_left() > 0) {
    return absl::StrCat("WARNING: ", receipt.processes_left(),
                        " of its processes could not be killed, look at ", job.drone());
  }
  if (receipt.kill_ms() == 0 && receipt.processes_killed() == 0) return "0 processes left";
  return absl::StrCat(
      "0 processes left after ", Seconds(receipt.kill_ms()),
      receipt.processes_killed() == 0 ? "" : absl::StrCat(", ", receipt.processes_killed(), " killed"));
}

std::string Verdict(const v1::Job& job, const Style& style) {
  JobState state = StateOf(job);
  std::string head = style.Painted(state, style.Icon(state));
  // Of a job that ended by itself only what is wrong with it is news.
  const bool ended = state == JobState::kCanceled || state == JobState::kErrored;
  const bool told = job.has_receipt() && (ended || job.receipt().processes_left() > 0);
  return absl::StrCat(head, " ", job.id(), " ", job.name(), " ", DescribeState(job),
                      told ? With(style.Dot(), Receipt(job)) : "");
}

int MirrorExitCodeOf(const v1::Job& job) {
  return MirrorExitCode(StateOf(job), ReasonOf(job.reason()), job.failed_code());
}

void TakeAttemptVerdict(const v1::Attempt& attempt, v1::Job* job) {
  if (attempt.number() != job->attempt()) {
    job->set_failed_code(attempt.failed_code());
    job->set_failed_step(attempt.failed_step());
    job->set_duration_ms(attempt.started_at() == 0 ? 0 : attempt.finished_at() - attempt.started_at());
  }
  job->set_attempt(attempt.number());
  job->set_drone(attempt.drone());
  job->set_state(attempt.state());
  job->set_reason(attempt.reason());
  job->set_detail(attempt.detail());
  job->clear_receipt();
  if (attempt.has_receipt()) *job->mutable_receipt() = attempt.receipt();
  job->clear_late();
  if (attempt.has_late()) *job->mutable_late() = attempt.late();
}

std::string StepLabel(const v1::CommandRecord& command) {
  auto phase = wire::FromProto(command.phase());
  return absl::StrCat(phase ? std::string(Name(*phase)) : "?", "/",
                      command.name().empty() ? absl::StrCat("#", command.number()) : command.name());
}

std::string JobsTable(const v1::ListJobsResponse& jobs, WallMillis now, const Style& style) {
  std::vector<std::vector<std::string>> rows = {
      {"JOB", "STATE", "RUN/NAME", "KIND", "BRANCH/TAG", "DRONE", "AGE", "TOOK", "NOTE"}};
  for (const v1::Job& job : jobs.jobs()) {
    JobState state = StateOf(job);
    std::string word = absl::StrCat(std::string(style.Icon(state)), " ", ShortState(state));
    rows.push_back({absl::StrCat(job.id()), style.Painted(state, word), JobName(job), TypeName(job.type()),
                    OrNone(job.branch(), style), OrNone(job.drone(), style), Age(now - job.created_at()),
                    OrNone(Took(job, now), style), OneLine(Note(job), kNoteColumns, style)});
  }
  return Table(rows);
}

std::string DronesTable(const v1::ListDronesResponse& drones, WallMillis now, const Style& style) {
  std::vector<std::vector<std::string>> rows = {
      {"NAME", "STATE", "SLOTS", "SPEED", "LOAD", "MEM FREE", "DISK FREE", "LABELS", "SINCE", "NOTE"}};
  std::uint64_t used = 0, slots = 0;
  for (const v1::Drone& drone : drones.drones()) {
    const std::string& word = drone.state();
    const bool lost = word == "lost", busy = word == "busy", draining = word == "draining";
    const bool closed = draining || word == "paused";
    std::string_view icon = !style.unicode ? "" : lost ? "✗ " : draining ? "◐ " : closed ? "◌ " : "● ";
    JobState color = lost     ? JobState::kFailed
                     : closed ? JobState::kCanceled
                     : busy   ? JobState::kStarted
                              : JobState::kPassed;
    std::vector<std::string> labels;
    std::map<std::string, std::string> sorted(drone.labels().begin(), drone.labels().end());
    for (const auto& [key, value] : sorted) labels.push_back(absl::StrCat(key, "=", value));
    std::vector<std::string> ids;
    for (std::uint64_t id : drone.jobs()) ids.push_back(absl::StrCat(id));
    std::string note;
    if (lost && drone.last_seen_at() > 0)
      note = absl::StrCat("last seen ", Age(now - drone.last_seen_at()), " ago");
    const std::string why = drone.drained_at() == 0 ? drone.note()
                            : drone.note().empty()
                                ? absl::StrCat("by ", drone.drained_by())
                                : absl::StrCat(drone.note(), " (", drone.drained_by(), ")");
    if (!why.empty())
      absl::StrAppend(&note, With(note.empty() ? "" : ", ", OneLine(why, kNoteColumns, style)));
    if (drone.closed_until() != 0)
      absl::StrAppend(&note, note.empty() ? "" : ", ", "until ", WallTime(drone.closed_until()));
    if (!ids.empty()) note = absl::StrCat(note, note.empty() ? "" : ", ", "jobs ", absl::StrJoin(ids, " "));
    if (!drone.forgotten().empty()) {
      absl::StrAppend(&note, note.empty() ? "" : ", ", "forgotten attempts ",
                      absl::StrJoin(drone.forgotten(), " "), " (waggle forget)");
    }
    rows.push_back({drone.name(), style.Painted(color, absl::StrCat(std::string(icon), drone.state())),
                    absl::StrCat(drone.used(), "/", drone.capacity()), absl::StrCat(drone.speed()),
                    lost ? OrNone("", style) : absl::StrCat(drone.load1()),
                    OrNone(Size(drone.memory_free_kib()), style), OrNone(Size(drone.disk_free_kib()), style),
                    OrNone(absl::StrJoin(labels, " "), style),
                    drone.connected_at() == 0 ? OrNone("", style) : Age(now - drone.connected_at()), note});
    if (!lost) {
      used += drone.used();
      slots += drone.capacity();
    }
  }
  std::string dot(style.Dot());
  return absl::StrCat(Table(rows), " ", Plural(drones.drones_size(), "drone"), dot, used, "/", slots,
                      " slots used", dot, "queue ", drones.queued(), "\n");
}

namespace {

void Fact(std::string_view name, const std::string& value, std::string* out) {
  if (!value.empty()) absl::StrAppend(out, "  ", Padded(name, 10), " ", value, "\n");
}

std::string Moment(WallMillis wall, WallMillis now) {
  return wall == 0 ? "" : absl::StrCat(WallTime(wall), " (", Age(now - wall), " ago)");
}

// `over`: the attempt has ended, so a command without an end was cut off with it.
std::string CommandLine(const v1::CommandRecord& command, bool over, const Style& style) {
  bool open = command.exit_code() < 0 && command.error().empty();
  bool runs = open && !over;
  JobState state = runs                       ? JobState::kStarted
                   : open                     ? JobState::kErrored
                   : command.exit_code() == 0 ? JobState::kPassed
                                              : JobState::kFailed;
  std::string code = runs ? "runs" : open ? "cut off" : absl::StrCat("exit ", command.exit_code());
  if (command.signal() != 0) absl::StrAppend(&code, " (signal ", command.signal(), ")");
  std::string lines = command.first_line() == 0
                          ? "no output"
                          : absl::StrCat("lines ", command.first_line(), "-", command.last_line());
  return absl::StrCat("  ", style.Painted(state, style.Icon(state)), " ", Padded(StepLabel(command), 24),
                      "  ", Padded(code, 8), "  ", Padded(open ? "" : Seconds(command.duration_ms()), 8),
                      "  ", lines, With("  ", OneLine(command.error(), kNoteColumns, style)), "\n");
}

std::string AttemptLine(const v1::Job& job, const v1::Attempt& attempt) {
  v1::Job as_job = job;
  TakeAttemptVerdict(attempt, &as_job);
  if (attempt.number() == job.attempt()) as_job.clear_late();  // said above
  std::string drone = IsTerminal(StateOf(as_job)) ? With(" on ", attempt.drone()) : "";
  const std::string log =
      attempt.log_removed_at() == 0 ? "" : absl::StrCat(", log removed ", WallTime(attempt.log_removed_at()));
  return absl::StrCat("  ", job.id(), "@", attempt.number(), "  ", DescribeState(as_job), drone, log, "\n");
}

}  // namespace

std::string JobFacts(const v1::Job& job, const v1::OutlineResponse& outline, std::uint32_t attempt,
                     WallMillis now, const Style& style) {
  JobState state = StateOf(job);
  std::string out = absl::StrCat("job ", job.id(), "  ", JobName(job), "\n");
  Fact("state",
       absl::StrCat(style.Painted(state, style.Icon(state)), " ", DescribeState(job),
                    job.cancel_requested() && !IsTerminal(state) ? ", cancel requested" : ""),
       &out);
  Fact("type", absl::StrCat(TypeName(job.type()), ", priority ", job.priority()), &out);
  if (job.run() != 0) Fact("run", absl::StrCat("r", job.run()), &out);
  Fact("repository", job.repo(), &out);
  Fact("branch", job.branch(), &out);
  Fact("commit", job.commit(), &out);
  if (job.attempt() != 0) Fact("drone", absl::StrCat(job.drone(), ", attempt ", job.attempt()), &out);
  Fact("created", Moment(job.created_at(), now), &out);
  Fact("queued", Moment(job.queued_at(), now), &out);
  Fact("received", Moment(job.received_at(), now), &out);
  Fact("started", Moment(job.started_at(), now), &out);
  Fact("finished", Moment(job.finished_at(), now), &out);
  Fact("took", Took(job, now), &out);
  if (IsTerminal(state)) {
    Fact("test code", Code(job.test_code()), &out);
    if (job.type() != v1::TEST) Fact("deploy code", Code(job.deploy_code()), &out);
  }
  Fact("processes", Receipt(job), &out);
  if (job.has_late()) {
    Fact("told",
         absl::StrCat(Moment(job.late().arrived_at(), now), "; its output from there on: waggle logs ",
                      job.id(), " --late"),
         &out);
  } else if (std::any_of(job.attempts().begin(), job.attempts().end(),
                         [](const v1::Attempt& attempt) { return attempt.late_awaited(); })) {
    Fact("awaited", "its drone may still come back and tell what became of it", &out);
  }
  if (job.attempts_size() > 0) absl::StrAppend(&out, "attempts\n");
  for (const v1::Attempt& attempt : job.attempts()) absl::StrAppend(&out, AttemptLine(job, attempt));
  if (outline.commands_size() > 0) {
    absl::StrAppend(&out, "commands of ", job.id(), "@", attempt, ", ", Plural(outline.lines(), "line"),
                    "\n");
  }
  for (const v1::CommandRecord& command : outline.commands())
    absl::StrAppend(&out, CommandLine(command, IsTerminal(state) || attempt != job.attempt(), style));
  if (job.attempt() != 0) absl::StrAppend(&out, "next: waggle logs ", job.id(), "\n");
  return out;
}

std::string VerifyLine(std::uint64_t job, const v1::VerifyResponse& result, bool late) {
  std::string name = absl::StrCat(job, "@", result.attempt(), late ? " late log" : "");
  if (!result.complete()) {
    return absl::StrCat(
        name, " DAMAGED: ", result.problem().empty() ? "the log is not complete" : result.problem(), "\n");
  }
  return absl::StrCat(name, " complete: ", Count(result.records()), " records, stdout ",
                      Count(result.stdout_bytes()), " bytes, stderr ", Count(result.stderr_bytes()),
                      " bytes\n");
}

}  // namespace waggle::cli
