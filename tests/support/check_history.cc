#include "tests/support/check_history.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace waggle::test {
namespace {

constexpr std::size_t kShownLines = 12;   // of a violation, in a summary
constexpr std::size_t kShownBytes = 200;  // of a line

using Lines = std::vector<std::size_t>;

bool IsVerdict(const std::string& state) {
  static const std::set<std::string> terminal = {"passed", "failed", "errored", "canceled", "skipped"};
  return terminal.contains(state);
}

std::string Said(const HistoryEntry& entry) {
  return entry.reason.empty() ? entry.state : absl::StrCat(entry.state, " (", entry.reason, ")");
}

// Who asked for the state alone has no reason to tell.
bool Agree(const HistoryEntry& a, const HistoryEntry& b) {
  return a.state == b.state && (a.reason.empty() || b.reason.empty() || a.reason == b.reason);
}

// One line of the history with its number.
struct At {
  std::size_t line = 0;
  const HistoryEntry* entry = nullptr;
};

struct Job {
  std::optional<At> submit;
  std::vector<At> states, missing, starts, ends;
  std::map<std::uint64_t, std::vector<At>> attempts;  // what was told of each
};

class Checker {
 public:
  explicit Checker(std::span<const HistoryEntry> history) : history_(history) {}

  std::vector<Violation> Run() {
    for (std::size_t i = 0; i < history_.size(); ++i) Take({i + 1, &history_[i]});
    for (const auto& [id, job] : jobs_) {
      CheckVerdict(id, job);
      CheckKnown(id, job);
      CheckEffects(id, job);
    }
    CheckKeys();
    CheckOutput();
    return std::move(violations_);
  }

 private:
  using Stream = std::tuple<std::uint64_t, std::uint64_t, std::string>;  // job, attempt, stream
  struct Seen {
    std::vector<At> output;
    std::optional<At> end;
  };

  void Take(const At& at) {
    const HistoryEntry& entry = *at.entry;
    Job& job = jobs_[entry.job];
    switch (entry.op) {
      case Op::kSubmit:
        if (!job.submit) job.submit = at;
        submits_.push_back(at);
        break;
      case Op::kState:
        job.states.push_back(at);
        break;
      case Op::kMissing:
        job.missing.push_back(at);
        break;
      case Op::kAttempt:
        job.attempts[entry.attempt].push_back(at);
        break;
      case Op::kStart:
        job.starts.push_back(at);
        break;
      case Op::kEnd:
        job.ends.push_back(at);
        break;
      case Op::kOutput:
        seen_[{entry.actor, Of(entry)}].output.push_back(at);
        break;
      case Op::kWatchEnd:
        ends_.push_back(at);
        break;
      case Op::kStored:
        stored_.emplace(Of(entry), at);
        break;
      case Op::kNote:
        break;
    }
  }

  static Stream Of(const HistoryEntry& entry) { return {entry.job, entry.attempt, entry.stream}; }

  void Report(Rule rule, std::uint64_t job, std::string text, Lines lines) {
    std::sort(lines.begin(), lines.end());
    lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
    violations_.push_back({rule, job, std::move(text), std::move(lines)});
  }

  static std::int64_t Began(const HistoryEntry& entry) { return entry.began != 0 ? entry.began : entry.t; }

  void CheckVerdict(std::uint64_t id, const Job& job) {
    const At* verdict = nullptr;  // the one that was there first
    for (const At& at : job.states) {
      if (IsVerdict(at.entry->state) && (verdict == nullptr || at.entry->t < verdict->entry->t))
        verdict = &at;
    }
    if (verdict == nullptr) {
      if (!job.submit) return;
      Lines lines = {job.submit->line};
      if (!job.states.empty()) lines.push_back(job.states.back().line);
      Report(Rule::kNoVerdict, id,
             absl::StrCat("it was accepted and has no verdict; last seen: ",
                          job.states.empty() ? "never" : Said(*job.states.back().entry)),
             std::move(lines));
      return;
    }
    for (const At& at : job.states) {
      const bool other = IsVerdict(at.entry->state) && !Agree(*at.entry, *verdict->entry);
      const bool open = !IsVerdict(at.entry->state) && Began(*at.entry) > verdict->entry->t;
      if (!other && !open) continue;
      Report(
          Rule::kVerdictChanged, id,
          absl::StrCat("its verdict was ", Said(*verdict->entry), ", then it was told as ", Said(*at.entry)),
          {verdict->line, at.line});
      return;
    }
  }

  void CheckKnown(std::uint64_t id, const Job& job) {
    for (const At& at : job.missing) {
      if (!job.submit || Began(*at.entry) <= job.submit->entry->t) continue;
      Report(Rule::kJobLost, id, "its submit was acknowledged, later it was unknown",
             {job.submit->line, at.line});
      return;
    }
  }

  static bool GivenUp(const Job& job, std::uint64_t attempt) {
    auto told = job.attempts.find(attempt);
    return told != job.attempts.end() &&
           std::any_of(told->second.begin(), told->second.end(), [](const At& at) {
             return at.entry->state == "errored" || at.entry->state == "canceled";
           });
  }

  void CheckEffects(std::uint64_t id, const Job& job) {
    std::map<std::string, std::vector<At>> starts;  // by phase
    for (const At& at : job.starts) {
      for (const At& earlier : starts[at.entry->phase]) {
        if (CheckPair(id, job, earlier, at)) break;
      }
      starts[at.entry->phase].push_back(at);
    }
  }

  // Two starts of the same phase of a job. True: they may not both be.
  bool CheckPair(std::uint64_t id, const Job& job, const At& earlier, const At& later) {
    const std::uint64_t a = earlier.entry->attempt, b = later.entry->attempt;
    const std::string& phase = later.entry->phase;
    Lines lines = {earlier.line, later.line};
    for (const At& end : job.ends) {
      if (end.entry->phase == phase && (end.entry->attempt == a || end.entry->attempt == b)) {
        lines.push_back(end.line);
      }
    }
    if (phase == "deploy") {
      Report(Rule::kDeployTwice, id, absl::StrCat("its deploy was started under attempts ", a, " and ", b),
             std::move(lines));
    } else if (a == b) {
      Report(Rule::kTwoEffects, id, absl::StrCat("phase ", phase, " ran twice under attempt ", b),
             std::move(lines));
    } else if (!GivenUp(job, std::min(a, b))) {
      Report(Rule::kTwoEffects, id,
             absl::StrCat("phase ", phase, " ran under attempts ", a, " and ", b,
                          ", and the lower was never given up"),
             std::move(lines));
    } else {
      return false;
    }
    return true;
  }

  void CheckKeys() {
    std::map<std::string, At> by_key;
    std::map<std::uint64_t, At> by_job;
    for (const At& at : submits_) {
      const HistoryEntry& entry = *at.entry;
      if (!entry.key.empty()) {
        const At& first = by_key.emplace(entry.key, at).first->second;
        if (first.entry->job != entry.job) {
          Report(Rule::kKey, entry.job, absl::StrCat("key ", entry.key, " also gave job ", first.entry->job),
                 {first.line, at.line});
        }
      }
      const auto [first, fresh] = by_job.emplace(entry.job, at);
      // The same job again is right only for the same key.
      if (!fresh && (entry.key.empty() || first->second.entry->key != entry.key)) {
        Report(Rule::kKey, entry.job, "it was given to two submits that had no key in common",
               {first->second.line, at.line});
      }
    }
  }

  void CheckOutput() {
    for (const At& end : ends_) {  // a stream without a byte has no output to hang its end on
      for (const auto& [stream, stored] : stored_) {
        if (std::get<0>(stream) == end.entry->job && std::get<1>(stream) == end.entry->attempt) {
          seen_[{end.entry->actor, stream}].end = end;
        }
      }
    }
    for (const auto& [who, seen] : seen_) {
      const auto stored = stored_.find(who.second);
      CheckWatcher(who.first, who.second, seen, stored == stored_.end() ? nullptr : &stored->second);
    }
  }

  // The first thing that is wrong with what a watcher saw of a stream.
  void CheckWatcher(const std::string& actor, const Stream& stream, const Seen& seen, const At* stored) {
    const std::uint64_t id = std::get<0>(stream);
    const std::string what =
        absl::StrCat(actor, ", ", std::get<2>(stream), " of attempt ", std::get<1>(stream));
    std::uint64_t total = 0;
    std::size_t before = 0;  // the line of the output before
    for (const At& at : seen.output) {
      const HistoryEntry& entry = *at.entry;
      Lines lines = {at.line};
      if (before != 0) lines.push_back(before);
      if (entry.offset != total) {
        const bool gap = entry.offset > total;
        Report(Rule::kOutput, id,
               absl::StrCat(what, ": ", gap ? entry.offset - total : total - entry.offset,
                            gap ? " bytes are missing" : " bytes came again", " at byte ",
                            std::min(total, entry.offset)),
               std::move(lines));
        return;
      }
      total += entry.data.size();
      before = at.line;
      if (stored == nullptr) continue;
      const std::string& all = stored->entry->data;
      const bool fits = entry.offset <= all.size() &&
                        std::string_view(all).substr(entry.offset, entry.data.size()) == entry.data;
      if (fits) continue;
      Report(
          Rule::kOutput, id,
          absl::StrCat(what, ": the ", entry.data.size(), " bytes at byte ", entry.offset,
                       total > all.size() ? " go beyond what the queen has" : " are not those the queen has"),
          {at.line, stored->line});
      return;
    }
    if (seen.end && stored != nullptr && total < stored->entry->data.size()) {
      Report(Rule::kOutput, id,
             absl::StrCat(what, ": it was told the end after ", total, " of ", stored->entry->data.size(),
                          " bytes"),
             {seen.end->line, stored->line});
    }
  }

  const std::span<const HistoryEntry> history_;
  std::map<std::uint64_t, Job> jobs_;
  std::vector<At> submits_, ends_;
  std::map<Stream, At> stored_;
  std::map<std::pair<std::string, Stream>, Seen> seen_;
  std::vector<Violation> violations_;
};

}  // namespace

const char* Name(Rule rule) {
  static constexpr const char* kNames[] = {"no_verdict", "verdict_changed", "two_effects", "deploy_twice",
                                           "output",     "job_lost",        "key"};
  return kNames[static_cast<std::size_t>(rule)];
}

std::vector<Violation> CheckHistory(std::span<const HistoryEntry> history) {
  return Checker(history).Run();
}

std::string Summary(std::span<const HistoryEntry> history, std::span<const Violation> violations) {
  std::set<std::uint64_t> jobs;
  std::map<std::uint64_t, std::string> verdicts;
  for (const HistoryEntry& entry : history) {
    if (entry.op == Op::kSubmit) jobs.insert(entry.job);
    if (entry.op == Op::kState && IsVerdict(entry.state)) verdicts[entry.job] = Said(entry);
  }
  std::map<std::string, int> count;
  for (const auto& [job, verdict] : verdicts) ++count[verdict];
  std::vector<std::string> counted;
  for (const auto& [verdict, number] : count) counted.push_back(absl::StrCat(number, " ", verdict));
  std::string text =
      absl::StrCat(history.size(), " entries, ", jobs.size(), " jobs: ", absl::StrJoin(counted, ", "), "; ",
                   violations.empty() ? "no" : std::to_string(violations.size()),
                   violations.size() == 1 ? " violation\n" : " violations\n");
  for (const Violation& violation : violations) {
    absl::StrAppend(&text, Name(violation.rule), ": job ", violation.job, ": ", violation.text, "\n");
    for (std::size_t i = 0; i < violation.lines.size() && i < kShownLines; ++i) {
      const std::string line = ToLine(history[violation.lines[i] - 1]);
      absl::StrAppend(&text, "  line ", violation.lines[i], ": ", line.substr(0, kShownBytes),
                      line.size() > kShownBytes ? "…" : "", "\n");
    }
  }
  return text;
}

}  // namespace waggle::test
