#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/redact/tracker.h"

namespace waggle::redact {

// The second look at one stream that should be masked already: says which secrets are in it and blanks them
// without changing any length. What went by in earlier chunks cannot be taken back. One thread.
class Scanner {
 public:
  // `patterns` must outlive it.
  explicit Scanner(const Patterns& patterns);

  // Writes "*" over every byte of `chunk` that belongs to a pattern; true if there was one.
  bool Blank(std::span<char> chunk);
  // The end of a command: what follows does not belong together with what came before.
  void Finish() { tracker_.Finish(); }

  // Names of the secrets found so far, never their values; ascending, each once.
  std::vector<std::string> names() const;
  // Something that was found began in an earlier chunk, where its front was not blanked.
  bool late() const { return late_; }

 private:
  const Patterns& patterns_;
  std::vector<bool> found_;  // by secret
  Tracker tracker_;
  bool late_ = false;
};

}  // namespace waggle::redact
