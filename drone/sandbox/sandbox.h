#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "drone/sandbox/enter.h"
#include "drone/sandbox/plan.h"
#include "drone/sandbox/users.h"

namespace waggle::sandbox {

// Where an attempt's own things are, the same inside and outside.
struct Places {
  std::string attempt;  // holds home/, tmp/ and steps/ (scripts, for the job to read)
  std::string base;     // working directory of the environment phase; that of the others is below it
  std::string mark;     // value of WAGGLE_ATTEMPT_KEY
};

// What one attempt's commands are started in. The base class keeps them apart by their user alone. A stronger
// kind has a holder: processes of its own that keep what commands are born into, from Open() to Close().
// One thread; the caller is the parent of the holder and reaps its children.
class Sandbox {
 public:
  Sandbox(Plan plan, Places places) : plan_(std::move(plan)), places_(std::move(places)) {}
  virtual ~Sandbox() = default;

  // Once, before anything of the job runs: takes a user (looked for from `start` on), makes the places the
  // job's.
  absl::Status Prepare(std::uint64_t start);

  // Begins to make what commands are born into, if it is not there; Open() also waits for it. Both may come
  // again after it was closed or somebody killed it. FailedPrecondition: it was not prepared, or does not
  // work here.
  virtual absl::Status Begin() { return absl::OkStatus(); }
  absl::StatusOr<Entry> Open();
  // Kills the holder, and with it all that is in there; the caller reaps it.
  virtual void Close() {}

  // From Close() until the holder is reaped.
  virtual bool closing() const { return false; }

  // Processes that are no job's. The first is the caller's child.
  virtual std::vector<pid_t> Holders() const { return {}; }
  // Tells of a reaped child; true: it was the holder.
  virtual bool Reaped(pid_t /*pid*/) { return false; }

  bool isolated() const { return plan_.isolated(); }
  const Plan& plan() const { return plan_; }
  std::optional<uid_t> user() const { return lease_ ? std::optional<uid_t>(lease_->user()) : std::nullopt; }

 protected:
  virtual absl::StatusOr<Entry> DoOpen() { return Entry{-1, 0, user()}; }

  const Plan plan_;
  const Places places_;

 private:
  bool prepared_ = false;
  std::optional<UserLease> lease_;
};

// REQUIRES: the caller is not multi-threaded.
std::unique_ptr<Sandbox> Make(Plan plan, Places places);

// Below the attempt's directory: what the shim writes for the job to read.
inline constexpr char kSteps[] = "/steps";

}  // namespace waggle::sandbox
