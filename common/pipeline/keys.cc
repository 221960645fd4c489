#include "common/pipeline/keys.h"

#include <algorithm>

namespace waggle::pipeline {
namespace {

constexpr std::string_view kLaterWords[] = {"services", "cache",    "artifacts", "reports",  "image",
                                            "servers",  "strategy", "approval",  "rollback", "lock"};
constexpr std::string_view kStepLaterWords[] = {"retry", "when", "artifacts", "reports"};

constexpr Key kFileKeys[] = {
    {"version", Shape::kVersion, "Version of the grammar: 1"},
    {"name", Shape::kName, "Name of the pipeline; of a file without `jobs` also of its one job"},
    {"trigger", Shape::kTrigger, "What starts a run; default: pushes, tags and pull requests"},
    {"cancel_previous", Shape::kFlag, "A newer run of the same branch cancels the older one"},
    {"concurrency", Shape::kConcurrency, "How many runs of one group may go on at a time"},
    {"vars", Shape::kVariables, "Plain variables for every script"},
    {"defaults", Shape::kDefaults, "Settings of every job that has none of its own"},
    {"jobs", Shape::kJobs, "The jobs by name"},
    {"kind", Shape::kKind, "Of the one job of a file without `jobs`"},
    {"environment", Shape::kEnvironment, "First phase: what the scripts live in"},
    {"prepare", Shape::kPrepare, "Second phase: dependencies and the build"},
    {"test", Shape::kPhase, "Third phase"},
    {"deploy", Shape::kPhase, "Fourth phase; started at most once"},
    {"cleanup", Shape::kPhase, "Always runs, whatever happened"},
};

constexpr Key kJobKeys[] = {
    {"kind", Shape::kKind, "TEST (default), DEPLOY or TEST_AND_DEPLOY"},
    {"matrix", Shape::kMatrix, "One job for every combination of the values"},
    {"after", Shape::kTexts, "Jobs that come before this one: all their cells"},
    {"when", Shape::kWhen, "Which runs want this job"},
    {"environment", Shape::kEnvironment, "First phase: what the scripts live in"},
    {"prepare", Shape::kPrepare, "Second phase: dependencies and the build"},
    {"test", Shape::kPhase, "Third phase"},
    {"deploy", Shape::kPhase, "Fourth phase; started at most once"},
    {"cleanup", Shape::kPhase, "Always runs, whatever happened"},
};

// What a job may set and `defaults` may set for all; the first of them may stand in `environment` instead.
constexpr Key kSettings[] = {
    {"env", Shape::kVariables, "Plain variables for every script of the job"},
    {"secrets", Shape::kSecrets, "Names of the secrets that exist in the job; masked in its log"},
    {"plugins", Shape::kPlugins, "Plugins the job uses, in order"},
    {"isolation", Shape::kIsolation, "What keeps the job apart from its host"},
    {"network", Shape::kFlag, "false: the job cannot reach the network"},
    {"needs", Shape::kLabels, "Labels a drone must have"},
    {"timeout", Shape::kDuration, "For the whole job; a unit is required"},
    {"silence", Shape::kDuration, "Without output for so long the job is stopped"},
    {"retry", Shape::kRetry, "How often it is tried again"},
    {"priority", Shape::kPriority, "Higher first; default 0"},
    {"allow_failure", Shape::kFlag, "A failure is shown and does not fail the run"},
    {"cancel_previous", Shape::kFlag, "false: a newer run does not cancel this job"},
};
constexpr std::span<const Key> kInEnvironment(kSettings, 5);

constexpr Key kPhaseKeys[] = {
    {"steps", Shape::kSteps, "Scripts, one after the other; the first that fails ends the phase"},
};
constexpr Key kPrepareKeys[] = {
    {"steps", Shape::kSteps, "Scripts, one after the other; the first that fails ends the phase"},
    {"checkout", Shape::kCheckout, "How the repository is checked out"},
};
constexpr Key kCheckoutKeys[] = {{"submodules", Shape::kFlag, "Also its submodules, recursively"}};

constexpr Key kStepKeys[] = {
    {"name", Shape::kText, "Shown instead of the script"},
    {"run", Shape::kText, "The script"},
    {"env", Shape::kVariables, "Plain variables for this step"},
    {"cwd", Shape::kText, "A directory below the checkout"},
    {"silent", Shape::kFlag, "Its output is withheld"},
    {"screen", Shape::kText, "Stored and shown everywhere instead of the script"},
    {"timeout", Shape::kDuration, "For this step; a unit is required"},
    {"silence", Shape::kDuration, "Without output for so long the step is stopped"},
    {"allow_failure", Shape::kFlag, "A failure is shown, and the phase goes on"},
    {"shell", Shape::kShell, "Runs the script: bash or sh; default: bash where there is one"},
    {"secrets", Shape::kSecrets, "Names of secrets that only this step has"},
};

constexpr Key kTriggerKeys[] = {
    {"push", Shape::kFilter, "Pushes, by branch"},
    {"pull_request", Shape::kFilter, "Pull requests, by the branch they are to be merged into"},
    {"tag", Shape::kPatterns, "Tags, by name"},
    {"schedule", Shape::kSchedules, "Names and times, as cron writes them, in UTC"},
    {"paths_ignore", Shape::kTexts, "What changes nothing but these starts no run"},
};
constexpr Key kFilterKeys[] = {
    {"branches", Shape::kTexts, "Patterns; `*` stands for any characters"},
    {"ignore", Shape::kTexts, "Patterns of what starts no run"},
};
constexpr Key kWhenKeys[] = {
    {"event", Shape::kEvents, "manual, push, pull_request, tag, cron or deploy"},
    {"branch", Shape::kTexts, "Patterns of branches"},
    {"tag", Shape::kTexts, "Patterns of tags"},
    {"status", Shape::kStatus, "How the jobs of `after` have to end: passed (default), failed or always"},
    {"matrix", Shape::kCells, "Cells of the matrix that are wanted"},
};
constexpr Key kRetryKeys[] = {
    {"infra", Shape::kRetries, "After trouble that is not the job's own, such as a lost drone; default 2"},
    {"failed", Shape::kRetries, "After a failure; default 0"},
};
constexpr Key kConcurrencyKeys[] = {
    {"group", Shape::kText, "Runs with the same text are of one group"},
    {"limit", Shape::kCount, "So many of them go on at a time; default 1"},
};
constexpr Key kPluginKeys[] = {
    {"use", Shape::kText, "NAME or NAME@VERSION"},
    {"with", Shape::kAnything, "What the plugin is told; all values are texts"},
};

constexpr const Mapping* kAll[] = {
    &kJob,     &kStep,        &kFile,        &kEnvironmentMap, &kPrepareMap, &kPhaseMap,       &kTriggerMap,
    &kWhenMap, &kCheckoutMap, &kDefaultsMap, &kFilterMap,      &kRetryMap,   &kConcurrencyMap, &kPlugin};

}  // namespace

const Key* Mapping::Find(std::string_view word) const {
  for (const auto& table : {keys, shared}) {
    const auto found = std::find_if(table.begin(), table.end(), [&](const Key& k) { return k.name == word; });
    if (found != table.end()) return &*found;
  }
  return nullptr;
}

constinit const std::span<const std::string_view> kLater = kLaterWords;
constinit const std::span<const std::string_view> kStepLater = kStepLaterWords;

constinit const Mapping kFile{"the top of the file", kFileKeys, {}, true};
constinit const Mapping kDefaultsMap{"`defaults`", {}, kSettings, true};
constinit const Mapping kJob{"a job", kJobKeys, kSettings, true};
constinit const Mapping kEnvironmentMap{"`environment`", kPhaseKeys, kInEnvironment, true};
constinit const Mapping kPrepareMap{"`prepare`", kPrepareKeys, {}, true};
constinit const Mapping kPhaseMap{"a phase", kPhaseKeys, {}, true};
constinit const Mapping kStep{"a step", kStepKeys, {}, true};
constinit const Mapping kTriggerMap{"`trigger`", kTriggerKeys, {}};
constinit const Mapping kFilterMap{"`trigger.push`", kFilterKeys, {}};
constinit const Mapping kWhenMap{"`when`", kWhenKeys, {}};
constinit const Mapping kRetryMap{"`retry`", kRetryKeys, {}};
constinit const Mapping kConcurrencyMap{"`concurrency`", kConcurrencyKeys, {}};
constinit const Mapping kCheckoutMap{"`checkout`", kCheckoutKeys, {}};
constinit const Mapping kPlugin{"a plugin", kPluginKeys, {}};
constinit const std::span<const Mapping* const> kMappings = kAll;

}  // namespace waggle::pipeline
