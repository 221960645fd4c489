#pragma once

#include <string>
#include <vector>

#include "common/base/clock.h"
#include "tools/waggle/text.h"

namespace waggle::v1 {
class Job;
class ListRunsResponse;
class Run;
}  // namespace waggle::v1

// Text for people about runs. Pure functions, as render.h.
namespace waggle::cli {

std::string RunsTable(const v1::ListRunsResponse& runs, WallMillis now, const Style& style);
std::string RunFacts(const v1::Run& run, WallMillis now, const Style& style);
// "✗ r412 failed   4 passed · 1 failed   3:38", from how its jobs ended.
std::string RunSummary(std::uint64_t run, const std::vector<v1::Job>& jobs, const Style& style);

}  // namespace waggle::cli
