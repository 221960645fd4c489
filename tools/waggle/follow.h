#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/waggle/narrate.h"

namespace waggle::v1 {
class Job;
}

namespace waggle::cli {

class Client;
class Session;

enum class Prefix { kAuto, kAlways, kNever };

// Follows jobs to their ends, prints their output and verdicts, and returns the exit code that mirrors them.
// `jobs` in the order of the pipeline file; `attempt` only with one job; `run` 0 when they are not one run.
int Follow(Session& session, Client& client, const std::vector<v1::Job>& jobs, std::uint32_t attempt,
           std::uint64_t run, Prefix prefix);

// The code of several ended jobs: that of the first failed; else 122 if any errored; else 120 if any was
// canceled.
int MirrorExitCodeOf(const std::vector<v1::Job>& jobs);

// From now on Ctrl-C says that `what` ("job 12") keeps running and how to stop it (`cancel` is the argument
// of `waggle cancel`), and leaves with 130.
void DetachOnInterrupt(const std::string& what, const std::string& cancel);

// From now on Ctrl-C says this line and leaves with 130.
void LeaveOnInterrupt(const std::string& line);

}  // namespace waggle::cli
