#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/fd.h"
#include "common/base/ids.h"

namespace waggle::attempt {

// Where things are in a drone's data directory:
//
//   DATA/identity           32 hex digits, made once
//   DATA/lock               flock: one daemon per directory
//   DATA/drone.sock         where `drone status` and its like find the daemon (drone/app)
//   DATA/paused             the pause of a drone, for its next start (drone/app)
//   DATA/highest-epoch      highest attempt epoch ever seen
//   DATA/attempts/EPOCH/    attempt.bin, shim.sock, shim.log, spool.NNN, reserve, home/, tmp/,
//                           handed-back if it was ended because the drone was stopped
//   DATA/attempts.bad/      attempt directories that could not be understood
//   DATA/work/JOB-ATTEMPT/  base directory of a job; src/ below it is the checkout
//   DATA/mirrors/           of waggle-git
//   DATA/spare/             attempt directories for the next attempts, with work/ in each (spares.h)
//   DATA/used/              attempt directories that are over, spares as soon as the Janitor has cleaned them
//   DATA/trash/             renamed here, removed by the Janitor
class Layout {
 public:
  explicit Layout(std::string data) : data_(std::move(data)) {}

  const std::string& data() const { return data_; }
  std::string Attempts() const { return data_ + "/attempts"; }
  std::string Attempt(Epoch epoch) const { return Attempts() + "/" + std::to_string(epoch.value()); }
  std::string Bad() const { return data_ + "/attempts.bad"; }
  std::string Work() const { return data_ + "/work"; }
  std::string Mirrors() const { return data_ + "/mirrors"; }
  std::string Spare() const { return data_ + "/spare"; }
  std::string Used() const { return data_ + "/used"; }
  std::string Trash() const { return data_ + "/trash"; }

  // Makes the directories that are not there yet, 0700.
  absl::Status Prepare() const;
  // The identity of this drone; made at the first call ever. DataLoss: the file is not an identity.
  absl::StatusOr<std::string> Identity() const;
  // Moves a file or directory to the trash at once; how long its removal takes does not matter to the caller.
  absl::Status Discard(const std::string& path) const;
  // The same for an attempt directory without processes: the next attempt may have it. Gives its new path.
  absl::StatusOr<std::string> Retire(const std::string& path) const;
  // Moves an attempt directory that cannot be understood out of the way, for a person to look at.
  absl::Status SetAside(const std::string& name) const;

 private:
  // Gives where it is now; "" if there was nothing.
  absl::StatusOr<std::string> MoveInto(const std::string& path, const std::string& directory) const;

  std::string data_;
};

// The highest epoch ever seen. Written in place, not synced: after a power loss the queen's own memory is the
// better one.
class HighestEpoch {
 public:
  static absl::StatusOr<HighestEpoch> Open(const Layout& layout);
  Epoch value() const { return value_; }
  void Raise(Epoch seen);

 private:
  UniqueFd file_;
  Epoch value_;
};

}  // namespace waggle::attempt
