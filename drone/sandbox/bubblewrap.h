#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "drone/sandbox/sandbox.h"

namespace waggle::sandbox {

// Namespaces made by bwrap once for the whole attempt, held by our own first process in there (`waggle-shim
// --hold`), and joined by each command: a step finds what an earlier one left running, and starting a command
// costs no bwrap. Commands stay children of the shim, so exit codes, signals and resource use are exact.
//
// As root no user namespace is needed: bwrap works with root's rights, commands become the attempt's user
// after they have joined. Without root bwrap makes one, and they keep their user.
class Bubblewrap : public Sandbox {
 public:
  using Sandbox::Sandbox;
  ~Bubblewrap() override { Close(); }

  absl::Status Begin() override;
  absl::StatusOr<Entry> DoOpen() override;
  void Close() override;
  bool closing() const override { return closing_; }
  std::vector<pid_t> Holders() const override;
  bool Reaped(pid_t pid) override;

  // bwrap and its arguments, up to and with the program that holds.
  std::vector<std::string> Arguments() const;

 private:
  absl::Status WriteNames() const;
  absl::Status AwaitReady();

  pid_t bwrap_ = -1, init_ = -1;
  bool closing_ = false;
  UniqueFd init_fd_, ready_;
};

// Longer means that it hangs.
inline constexpr Duration kHolderReady = std::chrono::seconds(10);

// What `waggle-shim --hold` does: the first process of the namespaces. Says "ready" on its standard output,
// closes it, and takes every zombie until it is killed.
[[noreturn]] void Hold();

}  // namespace waggle::sandbox
