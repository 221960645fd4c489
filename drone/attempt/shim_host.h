#pragma once

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/process/spawn.h"

namespace waggle::attempt {

// The daemon's end of a shim host (drone/shim/host.h): starts shims, which are children of this process. The
// host is started with the first of them, and anew when it is gone or its program has been replaced. One
// thread.
class ShimHost {
 public:
  // It answers at once; longer means that it hangs.
  static constexpr Duration kAnswers = std::chrono::seconds(5);

  // `directories`: where attempt directories are. `identity` of the drone.
  ShimHost(std::string program, std::string directories, std::string identity, Duration answers = kAnswers);
  ~ShimHost();  // ends the host, not its shims

  // Starts a shim in `directory`, marked with `key`; the descriptors are borrowed. Errors as of
  // process::Spawn; Unavailable: the program ended at once, how stands in the message and in `log`;
  // DeadlineExceeded: it hung and was killed. Blocks until then.
  absl::StatusOr<process::Process> Start(const std::string& directory, const std::string& key, int listener,
                                         int log);
  // 0: there is none. A child of this process that is not a shim of an attempt.
  pid_t pid() const { return host_.pidfd.valid() ? host_.pid : 0; }

 private:
  // What tells one program file from its successor.
  struct Version {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    timespec changed{};
    bool operator==(const Version& other) const;
  };

  Version Installed() const;
  absl::Status Launch(int log);
  // Ends the host. Gives how it had ended by itself, if it had.
  std::string Close();
  absl::StatusOr<process::Process> Ask(const std::string& directory, const std::string& key, int listener,
                                       int log);

  const std::string program_, directories_, identity_;
  const Duration answers_;
  Version version_;
  process::Process host_;
  UniqueFd socket_;
};

}  // namespace waggle::attempt
