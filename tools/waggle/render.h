#pragma once

#include <cstdint>
#include <string>

#include "common/base/clock.h"
#include "common/base/vocabulary.h"
#include "tools/waggle/text.h"

namespace waggle::v1 {
class Attempt;
class CommandRecord;
class Job;
class ListDronesResponse;
class ListJobsResponse;
class OutlineResponse;
class VerifyResponse;
}  // namespace waggle::v1

// Text for people about jobs and drones. Pure functions; ASCII or UTF-8, with or without colour, by the
// Style.
namespace waggle::cli {

// A state or phase this build does not know reads as created or "?".
JobState StateOf(const v1::Job& job);

// "queued: no drone has os=windows", "started on bee-1 (attempt 1)", "failed test/unit exit 2", …
std::string DescribeState(const v1::Job& job);
// "job 12 unit  queued: …"
std::string StateLine(const v1::Job& job);
// How its process tree ended: "0 processes left after 6.10 s, 2 killed"; "" when nobody counted.
std::string Receipt(const v1::Job& job);
// "✓ 12 unit passed 0:41"; of a job that was ended with the receipt.
std::string Verdict(const v1::Job& job, const Style& style);
// The exit code a mirroring command leaves with because of this job.
int MirrorExitCodeOf(const v1::Job& job);
// Puts the verdict of one attempt in place of the job's own, for who watches that attempt.
void TakeAttemptVerdict(const v1::Attempt& attempt, v1::Job* job);

// "test/unit" or "test/#3".
std::string StepLabel(const v1::CommandRecord& command);

std::string JobsTable(const v1::ListJobsResponse& jobs, WallMillis now, const Style& style);
std::string DronesTable(const v1::ListDronesResponse& drones, WallMillis now, const Style& style);
std::string JobFacts(const v1::Job& job, const v1::OutlineResponse& outline, std::uint32_t attempt,
                     WallMillis now, const Style& style);
std::string VerifyLine(std::uint64_t job, const v1::VerifyResponse& result, bool late = false);

}  // namespace waggle::cli
