#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

// The closed words of architecture.md section 1, with the one spelling each has in text, JSON and the store.
// Values are stored and sent: never renumber, only add.
namespace waggle {

enum class JobType : std::uint8_t { kTest = 1, kDeploy = 2, kTestAndDeploy = 3 };

enum class JobState : std::uint8_t {
  kCreated = 1,
  kQueued = 2,
  kReceived = 3,
  kStarted = 4,
  kPassed = 5,
  kFailed = 6,
  kErrored = 7,
  kCanceled = 8,
  kSkipped = 9,
};
constexpr bool IsTerminal(JobState s) {
  return s >= JobState::kPassed;
}

// Why a job is errored or canceled; kNone for passed and failed.
enum class Reason : std::uint8_t {
  kNone = 0,
  kDroneLost = 1,
  kShimLost = 2,
  kTimeout = 3,
  kSilence = 4,
  kLogLimit = 5,
  kLogIncomplete = 6,
  kBadConfig = 7,
  kUnknown = 8,      // a deploy whose drone was lost after the grant
  kCanceled = 9,     // a person said so
  kSource = 10,      // the repository could not be fetched or checked out
  kSpawn = 11,       // the drone could not start the attempt or a command's process
  kRejected = 12,    // every drone that was offered the job refused it
  kHandedBack = 13,  // its drone was stopped and gave it back
  kPlugin = 14,      // a plugin of the job failed, hung or broke its protocol
};
inline constexpr Reason kLastReason = Reason::kPlugin;

enum class Phase : std::uint8_t { kEnvironment = 0, kPrepare = 1, kTest = 2, kDeploy = 3, kCleanup = 4 };
inline constexpr int kPhaseCount = 5;
inline constexpr std::array<Phase, kPhaseCount> kPhases = {Phase::kEnvironment, Phase::kPrepare, Phase::kTest,
                                                           Phase::kDeploy, Phase::kCleanup};

// What keeps a job apart from its host; from weak to strong. kAuto: the strongest that works on the drone.
enum class Isolation : std::uint8_t { kAuto = 0, kNone = 1, kUser = 2, kBubblewrap = 3 };

std::string_view Name(JobType type);    // "TEST", "DEPLOY", "TEST_AND_DEPLOY"
std::string_view Name(JobState state);  // "created" … "skipped"
std::string_view Name(Reason reason);   // "drone_lost" …; "" for kNone
std::string_view Name(Phase phase);     // "environment" …

std::string_view Name(Isolation isolation);  // "auto", "none", "user", "bubblewrap"

std::optional<Isolation> ParseIsolation(std::string_view text);
std::optional<JobType> ParseJobType(std::string_view text);
std::optional<JobState> ParseJobState(std::string_view text);  // also accepts "cancelled"
std::optional<Phase> ParsePhase(std::string_view text);

// Exit codes of commands that mirror a job (submit --watch, watch): ux.md 3.4.
namespace exit_code {
inline constexpr int kPassed = 0;
inline constexpr int kCanceled = 120;
inline constexpr int kTimedOut = 121;
inline constexpr int kErrored = 122;
inline constexpr int kPending = 123;
inline constexpr int kWatchTimeout = 124;
inline constexpr int kWaggleFailed = 125;
inline constexpr int kInterrupted = 130;
// All other commands.
inline constexpr int kOk = 0;
inline constexpr int kFailure = 1;
inline constexpr int kUsage = 2;
inline constexpr int kNotFound = 3;
inline constexpr int kNotAllowed = 4;
inline constexpr int kUnreachable = 5;
// Daemons.
inline constexpr int kRuntimeFailure = 1;
inline constexpr int kStorageFailure = 70;  // a failed sync or commit: recovery is the normal start path
inline constexpr int kBadConfig = 78;
}  // namespace exit_code

// The exit code a watcher leaves with, from the job's end. `command_code` is the failing command's own code
// (128 + signal when it died by one); codes that would read as one of ours become 1.
int MirrorExitCode(JobState state, Reason reason, int command_code);

}  // namespace waggle
