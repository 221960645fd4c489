#include "drone/attempt/isolation.h"

#include <sys/stat.h>
#include <unistd.h>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/isolation_label.h"
#include "common/base/status_macros.h"
#include "common/process/spawn.h"

namespace waggle::attempt {
namespace {

constexpr Duration kProbeLimit = std::chrono::seconds(15);
constexpr std::size_t kProbeOutput = 4096;
constexpr std::uint32_t kLeastUser = 1000;          // below are the system's own
constexpr std::uint32_t kMostUser = 4'000'000'000;  // behind are numbers with a meaning
constexpr Isolation kModes[] = {Isolation::kNone, Isolation::kUser, Isolation::kBubblewrap};

std::string Text(Isolation mode) {
  return std::string(Name(mode));
}

absl::string_view Cut(std::string_view text) {
  return {text.data(), text.size()};
}

// "" = it works.
std::string Probe(const std::string& shim, Isolation mode, const std::string& directory, std::uint32_t user,
                  const std::string& program) {
  process::SpawnOptions options;
  options.argv = {shim, "--probe", Text(mode), directory, absl::StrCat(user), program};
  absl::StatusOr<process::Captured> answer = process::RunCaptured(options, "", kProbeLimit, kProbeOutput);
  if (!answer.ok()) return std::string(answer.status().message());
  if (answer->exit_code == 0) return "";
  std::string why = answer->out;
  while (!why.empty() && why.back() == '\n') why.pop_back();
  return why.empty() ? absl::StrCat("the probe ended with code ", answer->exit_code) : why;
}

// Users of jobs pass through these, and see nothing on their way: what is in there is 0600 and 0700.
absl::Status LetThrough(const Layout& layout) {
  for (const std::string& path : {layout.data(), layout.Attempts(), layout.Work()}) {
    struct stat info;
    if (::stat(path.c_str(), &info) != 0) return ErrnoStatus("look at", path);
    if ((info.st_mode & S_IXOTH) != 0) continue;
    if (::chmod(path.c_str(), (info.st_mode & 07777) | S_IXOTH) != 0)
      return ErrnoStatus("let users of jobs through", path);
  }
  return absl::OkStatus();
}

}  // namespace

std::optional<std::set<Isolation>> ParseModes(std::string_view text) {
  std::set<Isolation> modes;
  for (absl::string_view word : absl::StrSplit(Cut(text), ',')) {
    const std::optional<Isolation> mode = ParseIsolation(std::string(word));
    if (!mode || *mode == Isolation::kAuto) return std::nullopt;
    modes.insert(*mode);
  }
  return modes;
}

std::optional<std::vector<std::string>> ParsePaths(std::string_view text) {
  std::vector<std::string> paths;
  for (absl::string_view path : absl::StrSplit(Cut(text), ',', absl::SkipEmpty())) {
    for (absl::string_view part : absl::StrSplit(path, '/')) {
      if (part == "..") return std::nullopt;
    }
    if (path.size() < 2 || path[0] != '/') return std::nullopt;
    while (!path.empty() && path.back() == '/') path.remove_suffix(1);
    if (path.empty()) return std::nullopt;
    paths.emplace_back(path);
  }
  return paths;
}

std::optional<std::pair<std::uint32_t, std::uint32_t>> ParseUsers(std::string_view text) {
  const std::vector<absl::string_view> ends = absl::StrSplit(Cut(text), '-');
  std::uint32_t first = 0, last = 0;
  if (ends.size() != 2 || !absl::SimpleAtoi(ends[0], &first) || !absl::SimpleAtoi(ends[1], &last)) {
    return std::nullopt;
  }
  if (first <= kLeastUser || first > last || last > kMostUser) return std::nullopt;
  return std::make_pair(first, last);
}

absl::StatusOr<Isolations> Isolations::Detect(const IsolationRules& rules, const std::string& shim,
                                              const Layout& layout, std::vector<std::string> hidden) {
  Isolations found;
  found.rules_ = rules;
  found.root_ = ::geteuid() == 0;
  found.hidden_ = std::move(hidden);
  found.why_not_.clear();
  const std::uint32_t user = found.root_ ? rules.first_user : 0;
  for (Isolation mode : kModes) {
    std::string why;
    if (rules.allow.count(mode) == 0) {
      why = "the owner of the host does not allow it";
    } else if (mode == Isolation::kUser) {
      if (!found.root_) why = "only root can run jobs as other users";
      if (why.empty()) {
        const absl::Status open = LetThrough(layout);
        why = open.ok() ? Probe(shim, mode, layout.Work(), user, "") : std::string(open.message());
      }
    } else if (mode == Isolation::kBubblewrap) {
      const std::optional<std::string> program = process::FindProgram("bwrap", process::kDefaultPath);
      if (program) found.program_ = *program;
      why = program ? Probe(shim, mode, layout.Work(), user, *program) : "bwrap is not installed";
    }
    if (!why.empty()) found.why_not_[mode] = why;
  }
  const bool nothing = found.why_not_.size() == std::size(kModes);
  if (nothing || (rules.fallback != Isolation::kAuto && !found.Works(rules.fallback))) {
    return absl::FailedPreconditionError(absl::StrCat(
        nothing ? "no isolation that --isolation-allow names works here"
                : absl::StrCat("--isolation-default ", Text(rules.fallback), " does not work here"),
        ": ", found.Summary(), "\nnext: mend what it says, or allow another kind"));
  }
  return found;
}

Isolation Isolations::Strongest() const {
  for (Isolation mode : {Isolation::kBubblewrap, Isolation::kUser}) {
    if (Works(mode)) return mode;
  }
  return Isolation::kNone;
}

absl::StatusOr<sandbox::Plan> Isolations::For(Isolation asked, bool network) const {
  sandbox::Plan plan;
  plan.network = network;
  plan.mode = asked != Isolation::kAuto             ? asked
              : !network                            ? Isolation::kBubblewrap  // no other keeps it from there
              : rules_.fallback != Isolation::kAuto ? rules_.fallback
                                                    : Strongest();
  if (auto why = why_not_.find(plan.mode); why != why_not_.end()) {
    return absl::FailedPreconditionError(
        absl::StrCat("isolation ", Text(plan.mode), " does not work on this drone: ", why->second));
  }
  if (!network && plan.mode != Isolation::kBubblewrap) {
    return absl::FailedPreconditionError(
        absl::StrCat("isolation ", Text(plan.mode), " cannot keep a job from the network"));
  }
  if (plan.mode == Isolation::kNone) {
    if (asked == Isolation::kAuto && rules_.fallback == Isolation::kAuto) plan.warning = Summary();
    return plan;
  }
  if (root_) {
    plan.first_user = rules_.first_user;
    plan.last_user = rules_.last_user;
  }
  plan.program = program_;
  plan.read_only = rules_.read_only;
  plan.writable = rules_.writable;
  plan.hidden = hidden_;
  return plan;
}

std::map<std::string, std::string> Isolations::Labels() const {
  std::map<std::string, std::string> labels;
  for (Isolation mode : kModes) {
    if (Works(mode)) labels[std::string(kIsolationLabel) + Text(mode)] = kIsolationWorks;
  }
  return labels;
}

std::string Isolations::Summary() const {
  std::vector<std::string> parts;
  for (Isolation mode : kModes) {
    auto why = why_not_.find(mode);
    parts.push_back(why == why_not_.end() ? absl::StrCat(Text(mode), " works")
                                          : absl::StrCat(Text(mode), " does not: ", why->second));
  }
  return absl::StrJoin(parts, "; ");
}

}  // namespace waggle::attempt
