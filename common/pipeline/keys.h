#pragma once

#include <cstdint>
#include <span>
#include <string_view>

// The words of the pipeline file's grammar, by the mapping they stand in: what the readers of this folder
// accept, and from the same tables what the JSON Schema says.
namespace waggle::pipeline {

// What may stand behind a key.
enum class Shape {
  kText,         // any scalar
  kName,         // letters, digits, `-`, `_`, `.`
  kVersion,      // 1
  kFlag,         // true or false
  kDuration,     // 10m, 1h30m
  kPriority,     // a 32-bit number
  kCount,        // a number above zero
  kRetries,      // a small number
  kKind,         // TEST, DEPLOY, TEST_AND_DEPLOY
  kIsolation,    // auto, host, user, bubblewrap
  kShell,        // bash, sh
  kStatus,       // passed, failed, always
  kEvents,       // one event or a list of them
  kTexts,        // a text or a list of texts
  kVariables,    // a mapping of variable names to texts
  kLabels,       // a mapping of labels to texts
  kCells,        // a mapping of axes to texts or lists of them
  kSecrets,      // a list of names
  kPlugins,      // a list: NAME@VERSION, or a mapping kPlugin
  kAnything,     // a mapping of whatever the plugin understands
  kSchedules,    // a mapping of names to cron expressions
  kPatterns,     // true, false, or patterns
  kFilter,       // the same, or a mapping kFilterMap
  kMatrix,       // axes, include, exclude
  kRetry,        // a number, or a mapping kRetryMap
  kConcurrency,  // a text, or a mapping kConcurrencyMap
  kSteps,        // a list of steps
  kPhase,        // a text, a list of steps, or a mapping of its own
  kEnvironment,
  kPrepare,
  kCheckout,
  kTrigger,
  kWhen,
  kDefaults,
  kJobs,  // a mapping of names to kJob
};

struct Key {
  std::string_view name;
  Shape shape;
  std::string_view help;  // shown by editors
};

// One mapping of the grammar. `later` are keys of the whole grammar that this version does not act on: they
// are refused by name, for a key that is silently without effect is worse than an error.
struct Mapping {
  std::string_view noun;        // "a job": where a key that stands elsewhere belongs
  std::span<const Key> keys;    // of this mapping alone
  std::span<const Key> shared;  // settings it has in common with others
  bool later = false;           // whether kLater is about it
  const Key* Find(std::string_view word) const;
};

// The words of closed choices, and the ranges of numbers.
inline constexpr std::string_view kIsolations[] = {"auto", "host", "none", "user",
                                                   "bubblewrap"};  // host: none
inline constexpr std::string_view kShells[] = {"bash", "sh"};
inline constexpr std::string_view kStatuses[] = {"passed", "failed", "always"};
inline constexpr std::int32_t kMostRetries = 10;
inline constexpr std::int32_t kMostAtATime = 1'000;  // runs of a concurrency group

// Services, caches, artifacts, …: anywhere in a file, a job or a phase.
extern const std::span<const std::string_view> kLater;
extern const std::span<const std::string_view> kStepLater;

extern const Mapping kFile, kDefaultsMap, kJob, kEnvironmentMap, kPrepareMap, kPhaseMap, kStep, kTriggerMap,
    kFilterMap, kWhenMap, kRetryMap, kConcurrencyMap, kCheckoutMap, kPlugin;
// All of them, the most usual first.
extern const std::span<const Mapping* const> kMappings;

}  // namespace waggle::pipeline
