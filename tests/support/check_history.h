#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tests/support/history.h"

// What must hold in every history of a hive, however much went wrong while it was written. Pure.
namespace waggle::test {

enum class Rule : std::uint8_t {
  kNoVerdict,       // an accepted job has no verdict at the end
  kVerdictChanged,  // two verdicts, or a question asked after the verdict was answered with an open state
  kTwoEffects,      // a phase ran under two attempts though the earlier was not given up, or twice under one
  kDeployTwice,     // a deploy phase was started twice, under whatever attempts
  kOutput,          // a watcher's bytes are not those the queen has, or have a gap, a repeat or an early end
  kJobLost,         // a job was unknown to a question asked after its submit was acknowledged
  kKey,             // one key gave two jobs, or one job was given for two keys
};
const char* Name(Rule rule);  // "no_verdict", …

struct Violation {
  Rule rule = Rule::kNoVerdict;
  std::uint64_t job = 0;
  std::string text;                // one sentence
  std::vector<std::size_t> lines;  // of the history, from 1: what it rests on, in order
};

// The rules over a whole history, whose end is the end: everybody was asked, nothing runs. What it needs:
//  * kSubmit of every acknowledged submit, kState of what anybody was told, kAttempt of every attempt that is
//    not the job's last one: an attempt is given up when it is `errored` or `canceled`;
//  * the witness (LoadWitness), in its order, anywhere in the history;
//  * kStored of each stream that watchers saw. Without it only gaps and repeats are found.
// A TEST phase may run again, and beside its predecessor, once the predecessor is given up: only its effect
// on the queen is fenced. A deploy phase may not.
std::vector<Violation> CheckHistory(std::span<const HistoryEntry> history);

// For people: "1,204 entries, 40 jobs: 40 passed; no violations", or each violation with the lines it rests
// on, some of them cut.
std::string Summary(std::span<const HistoryEntry> history, std::span<const Violation> violations);

}  // namespace waggle::test
