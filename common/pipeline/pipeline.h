#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/limits.h"
#include "common/pipeline/facts.h"
#include "common/pipeline/job_spec.h"

namespace waggle::pipeline {

// How often a job is tried again, by how the attempt before ended.
struct Retry {
  int infra = limits::kInfrastructureRetries;  // trouble of ours: a lost drone, …
  int failed = 0;                              // the commands said no
  bool operator==(const Retry&) const = default;
};

// One job of a run before the run's facts (repository, ref, trigger) are filled in.
struct PipelineJob {
  std::string name;                // "unit", or "build-test/gcc-12-amd64" for a cell of a matrix; unique
  JobSpec spec;                    // repo, ref, trigger and user_id are the run's; the rest is set
  std::vector<std::size_t> after;  // indexes into Pipeline::jobs, rising; never in a circle
  RunsAfter runs_after = RunsAfter::kPassed;
  bool allow_failure = false;  // a failure is shown and does not fail the run
  Retry retry;
  bool cancel_previous = false;  // a newer run of the branch cancels this job
  std::string skipped;           // why `when` does not want it in this run; "" = it is wanted
};

// Runs whose groups are the same text go on at most `limit` at a time.
struct Concurrency {
  std::string group;
  int limit = 1;
};

struct Pipeline {
  std::string name;
  std::vector<PipelineJob> jobs;  // cells side by side, in the order of the file
  bool cancel_previous = false;
  std::optional<Concurrency> concurrency;
  std::map<std::string, std::string> schedules;  // of `trigger`: name → five fields of cron, UTC
  std::string unwanted;  // why `trigger` starts no run of this event; "" = it does. The jobs are there anyway
};

// Reads a .waggle.yml: `test: COMMAND` for one job, or the whole grammar. `file` is only for messages; no
// file depends on `facts` for being right or wrong but by the texts that ${…} brings in. At most
// kPipelineJobs jobs within kPipelineExpanded bytes, both computed before anything is expanded. Every error
// is InvalidArgument in the form
//   .waggle.yml:14:5: unknown key `brances` in `trigger.push`
//     14 |     brances: [main]
//        |     ^^^^^^^ did you mean `branches`? [WG101]
// Unknown and duplicate keys, wrong types, tabs, anchors, aliases, tags, too large or too deep documents are
// errors; what this version does not act on is refused by name.
absl::StatusOr<Pipeline> ParsePipeline(std::string_view text, std::string_view file, const RunFacts& facts);

}  // namespace waggle::pipeline
