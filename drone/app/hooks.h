#pragma once

#include <string>
#include <string_view>

#include "common/base/clock.h"

namespace waggle::drone {

// Longer than this no hook may take: the drone does not start or end meanwhile.
inline constexpr Duration kHookLimit = std::chrono::seconds(30);

// Runs a command of the host's owner with sh and waits for it; "" = there is none. `when` is start or exit.
// What it prints and how it fails goes to the log; a failure changes nothing else. What it leaves running in
// its process group is ended.
// REQUIRES: nothing in this process reaps every child meanwhile.
void RunHook(std::string_view when, const std::string& command, const std::string& drone,
             const std::string& data);

}  // namespace waggle::drone
