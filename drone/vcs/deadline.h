#pragma once

#include <chrono>
#include <string>

namespace waggle::vcs {

inline constexpr int kDeadlineExit = 124;

// Ends the process with kDeadlineExit after `limit` on the boot clock: libgit2 has no timeouts of its own, so
// whatever call is stuck then is left to the kernel. A killed fetch or checkout leaves nothing that looks
// complete. Call once.
void ArmDeadline(std::chrono::seconds limit);

// What the process does now; the message of an expired deadline begins with it ("fetch of URL").
void NowDoing(const std::string& work);

}  // namespace waggle::vcs
