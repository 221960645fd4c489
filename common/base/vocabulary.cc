#include "common/base/vocabulary.h"

namespace waggle {
namespace {

constexpr std::string_view kTypeNames[] = {"", "TEST", "DEPLOY", "TEST_AND_DEPLOY"};
constexpr std::string_view kStateNames[] = {"",       "created", "queued",  "received", "started",
                                            "passed", "failed",  "errored", "canceled", "skipped"};
constexpr std::string_view kReasonNames[] = {"",         "drone_lost",  "shim_lost",      "timeout",
                                             "silence",  "log_limit",   "log_incomplete", "bad_config",
                                             "unknown",  "canceled",    "source",         "spawn",
                                             "rejected", "handed_back", "plugin"};
constexpr std::string_view kPhaseNames[] = {"environment", "prepare", "test", "deploy", "cleanup"};
constexpr std::string_view kIsolationNames[] = {"auto", "none", "user", "bubblewrap"};

template <typename Enum, std::size_t N>
std::string_view NameIn(const std::string_view (&names)[N], Enum value) {
  auto i = static_cast<std::size_t>(value);
  return i < N ? names[i] : std::string_view("?");
}

template <typename Enum, std::size_t N>
std::optional<Enum> Parse(const std::string_view (&names)[N], std::string_view text) {
  for (std::size_t i = 0; i < N; ++i) {
    if (!names[i].empty() && names[i] == text) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

}  // namespace

std::string_view Name(JobType type) {
  return NameIn(kTypeNames, type);
}
std::string_view Name(JobState state) {
  return NameIn(kStateNames, state);
}
std::string_view Name(Reason reason) {
  return NameIn(kReasonNames, reason);
}
std::string_view Name(Phase phase) {
  return NameIn(kPhaseNames, phase);
}
std::string_view Name(Isolation isolation) {
  return NameIn(kIsolationNames, isolation);
}

std::optional<Isolation> ParseIsolation(std::string_view text) {
  return Parse<Isolation>(kIsolationNames, text);
}
std::optional<JobType> ParseJobType(std::string_view text) {
  return Parse<JobType>(kTypeNames, text);
}
std::optional<JobState> ParseJobState(std::string_view text) {
  if (text == "cancelled") return JobState::kCanceled;
  return Parse<JobState>(kStateNames, text);
}
std::optional<Phase> ParsePhase(std::string_view text) {
  return Parse<Phase>(kPhaseNames, text);
}

int MirrorExitCode(JobState state, Reason reason, int command_code) {
  switch (state) {
    case JobState::kPassed:
    case JobState::kSkipped:
      return exit_code::kPassed;
    case JobState::kFailed: {
      bool ours = (command_code >= 120 && command_code <= 125) || command_code == 130;
      bool plausible = command_code > 0 && command_code < 256;
      return plausible && !ours ? command_code : 1;
    }
    case JobState::kCanceled:
      return exit_code::kCanceled;
    case JobState::kErrored:
      return reason == Reason::kTimeout || reason == Reason::kSilence || reason == Reason::kLogLimit
                 ? exit_code::kTimedOut
                 : exit_code::kErrored;
    default:
      return exit_code::kPending;
  }
}

}  // namespace waggle
