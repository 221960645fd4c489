#pragma once

#include <span>
#include <string_view>

// The words of the pipeline file's grammar, by the mapping they stand in. Used by pipeline.cc only.
namespace waggle::pipeline {

using Words = std::span<const std::string_view>;

// The keys each mapping may have, and those of the full grammar that this version does not act on: they are
// refused by name, for a key that is silently without effect is worse than an error. Adding a feature moves
// its key to the left.
struct Keys {
  Words known, later;
};

inline constexpr std::string_view kTopKnown[] = {"version", "name", "jobs",   "kind",   "environment",
                                                 "prepare", "test", "deploy", "cleanup"};
inline constexpr std::string_view kTopLater[] = {"trigger",  "cancel_previous", "concurrency", "vars",
                                                 "defaults", "image",           "services",    "matrix",
                                                 "plugins",  "secrets"};
inline constexpr std::string_view kJobKnown[] = {"kind",    "environment", "prepare", "test",
                                                 "deploy",  "cleanup",     "env",     "needs",
                                                 "timeout", "silence",     "priority"};
inline constexpr std::string_view kJobLater[] = {
    "matrix",   "after", "when",      "servers", "strategy",  "approval",       "retry",    "image",
    "services", "cache", "artifacts", "reports", "plugins",   "secrets",        "checkout", "concurrency",
    "trigger",  "vars",  "defaults",  "steps",   "isolation", "cancel_previous"};
inline constexpr std::string_view kStepKnown[] = {"name", "run", "env", "cwd", "silent", "screen"};
inline constexpr std::string_view kStepLater[] = {"timeout", "allow_failure", "shell",
                                                  "retry",   "when",          "silence"};
// A phase written as a mapping; no key of it is in this version.
inline constexpr std::string_view kPhaseLater[] = {
    "steps",    "image", "env",     "services",  "plugins",  "secrets", "isolation",
    "checkout", "cache", "reports", "artifacts", "rollback", "lock"};

inline constexpr Keys kTop{kTopKnown, kTopLater};
inline constexpr Keys kJob{kJobKnown, kJobLater};
inline constexpr Keys kStep{kStepKnown, kStepLater};
inline constexpr Keys kPhase{{}, kPhaseLater};

}  // namespace waggle::pipeline
