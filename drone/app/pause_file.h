#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/base/clock.h"

namespace waggle::drone {

// DATA/paused: the pause of a drone, for its next start. First line: until when, as wall-clock ms, 0 = until
// somebody resumes. The rest: the reason.
class PauseFile {
 public:
  struct Pause {
    WallMillis until = 0;
    std::string reason;
  };

  explicit PauseFile(const std::string& data) : path_(data + "/paused") {}

  // Nothing: there is none, or it is over. One that cannot be read counts as a pause without end, whose
  // reason says so: whoever paused this drone did not want it to take work.
  std::optional<Pause> Load(WallMillis now) const;
  absl::Status Save(const Pause& pause) const;  // durably
  absl::Status Remove() const;                  // also when there is none

 private:
  std::string path_;
};

}  // namespace waggle::drone
