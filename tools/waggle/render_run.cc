#include "tools/waggle/render_run.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/wire/enums.h"
#include "tools/waggle/render.h"
#include "waggle/v1/queen.pb.h"

namespace waggle::cli {
namespace {

constexpr std::size_t kTitleColumns = 60;
constexpr std::size_t kNoteColumns = 100;
constexpr std::size_t kShortId = 8;

// From what is only counted to what decides about the run.
constexpr JobState kByWeight[] = {JobState::kCreated, JobState::kQueued,  JobState::kReceived,
                                  JobState::kStarted, JobState::kSkipped, JobState::kPassed,
                                  JobState::kFailed,  JobState::kErrored, JobState::kCanceled};

JobState KnownState(v1::JobState state) {
  return wire::FromProto(state).value_or(JobState::kCreated);
}

std::string StateWord(const v1::Run& run) {
  const JobState state = KnownState(run.state());
  if (IsTerminal(state)) return std::string(Name(state));
  const std::string word = state == JobState::kCreated ? "waiting" : "running";
  const JobState verdict = KnownState(run.verdict());
  return IsTerminal(verdict) && verdict != JobState::kPassed
             ? absl::StrCat(word, ", ", std::string(Name(verdict)))
             : word;
}

std::string PaintedState(const v1::Run& run, const Style& style) {
  const JobState state = KnownState(run.state());
  return style.Painted(state, absl::StrCat(std::string(style.Icon(state)), " ", StateWord(run)));
}

std::string Counts(const std::map<JobState, std::uint64_t>& counts, const Style& style) {
  std::vector<std::string> words;
  for (JobState state : kByWeight) {
    auto count = counts.find(state);
    if (count == counts.end()) continue;
    const std::string word = state == JobState::kCreated ? "waiting" : std::string(Name(state));
    words.push_back(absl::StrCat(count->second, " ", word));
  }
  return absl::StrJoin(words, std::string(style.Dot()));
}

std::string Counts(const v1::Run& run, const Style& style) {
  std::map<JobState, std::uint64_t> counts;
  for (const v1::JobCount& count : run.counts()) counts[KnownState(count.state())] += count.jobs();
  return Counts(counts, style);
}

std::string OrNone(const std::string& text, const Style& style) {
  return text.empty() ? std::string(style.None()) : text;
}

std::string Took(const v1::Run& run, WallMillis now) {
  const std::int64_t end = run.finished_at() != 0 ? run.finished_at() : now;
  return ClockTime(std::max<std::int64_t>(0, end - run.created_at()));
}

void Fact(std::string_view name, std::string_view value, std::string* out) {
  if (value.empty()) return;
  absl::StrAppend(out, "  ", Padded(name, 11), std::string(value), "\n");
}

}  // namespace

std::string RunsTable(const v1::ListRunsResponse& runs, WallMillis now, const Style& style) {
  std::vector<std::vector<std::string>> rows = {
      {"RUN", "STATE", "BRANCH/TAG", "COMMIT", "EVENT", "BY", "AGE", "TOOK", "JOBS", "TITLE"}};
  for (const v1::Run& run : runs.runs()) {
    rows.push_back({absl::StrCat("r", run.id()), PaintedState(run, style), OrNone(run.branch(), style),
                    OrNone(run.commit().substr(0, kShortId), style), OrNone(run.event(), style),
                    OrNone(run.by(), style), Age(now - run.created_at()), Took(run, now), Counts(run, style),
                    OneLine(run.title(), kTitleColumns, style)});
  }
  return Table(rows);
}

std::string RunFacts(const v1::Run& run, WallMillis now, const Style& style) {
  std::string out = absl::StrCat("run r", run.id(), run.name().empty() ? "" : "  ", run.name(), "\n");
  Fact("state", PaintedState(run, style), &out);
  Fact("jobs", Counts(run, style), &out);
  Fact("repository", run.repo(), &out);
  Fact("branch", run.branch(), &out);
  Fact("commit", run.commit(), &out);
  Fact("title", OneLine(run.title(), kNoteColumns, style), &out);
  Fact("event", absl::StrCat(run.event(), run.by().empty() ? "" : " by ", run.by()), &out);
  Fact("created", absl::StrCat(WallTime(run.created_at()), " (", Age(now - run.created_at()), " ago)"), &out);
  Fact("took", absl::StrCat(Took(run, now), ", its jobs together ", ClockTime(run.duration_ms())), &out);
  v1::ListJobsResponse jobs;
  *jobs.mutable_jobs() = run.jobs();
  return absl::StrCat(out, JobsTable(jobs, now, style), "next: waggle watch r", run.id(), "\n");
}

std::string RunSummary(std::uint64_t run, const std::vector<v1::Job>& jobs, const Style& style) {
  std::map<JobState, std::uint64_t> counts;
  JobState worst = JobState::kPassed;
  std::uint64_t allowed = 0;
  for (const v1::Job& job : jobs) {
    const JobState state = StateOf(job);
    ++counts[state];
    const bool bad = state > JobState::kPassed && state != JobState::kSkipped;
    if (bad && job.allow_failure()) ++allowed;
    if (bad && !job.allow_failure()) worst = std::max(worst, state);  // failed, errored, canceled
  }
  std::int64_t begin = 0, end = 0;
  for (const v1::Job& job : jobs) {
    if (job.created_at() != 0 && (begin == 0 || job.created_at() < begin)) begin = job.created_at();
    end = std::max(end, job.finished_at());
  }
  const std::string took = begin != 0 && end > begin ? absl::StrCat("   ", ClockTime(end - begin)) : "";
  return absl::StrCat(style.Painted(worst, style.Icon(worst)), " r", run, " ", std::string(Name(worst)),
                      "   ", Counts(counts, style),
                      allowed == 0 ? "" : absl::StrCat(" (", allowed, " allowed)"), took, "\n");
}

}  // namespace waggle::cli
