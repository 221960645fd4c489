#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/limits.h"
#include "common/redact/automaton.h"
#include "common/redact/secret.h"
#include "common/redact/skip.h"

namespace waggle::redact {

// All forms of a job's secrets, ready to be looked for. Immutable; any thread may read; must outlive the
// Maskers and Scanners that use it. Holds the secrets, and zeroes them in the end.
class Patterns {
 public:
  // InvalidArgument: a secret that CheckSecret refuses, or more than limits::kSecretBytes in all. The same
  // value or name may come twice. Of the forms so many bytes are looked for, the likeliest first; raw values
  // and lines always.
  static absl::StatusOr<std::unique_ptr<const Patterns>> Create(
      std::span<const Secret> secrets, std::size_t pattern_bytes = limits::kPatternBytes);

  bool empty() const { return count_ == 0; }
  std::size_t size() const { return count_; }         // patterns
  std::size_t longest() const { return longest_; }    // bytes of the longest pattern
  std::size_t left_out() const { return left_out_; }  // forms beyond pattern_bytes
  std::size_t memory() const;                         // bytes
  const std::vector<std::string>& names() const { return names_; }

  const Automaton& automaton() const { return automaton_; }
  const Skip& skip() const { return skip_; }

 private:
  Patterns(std::vector<std::string> names, const PatternList& list);

  const std::vector<std::string> names_;  // of the secrets, by owner
  const std::size_t count_, left_out_;
  std::size_t longest_ = 0;
  const Automaton automaton_;
  const Skip skip_;
};

}  // namespace waggle::redact
