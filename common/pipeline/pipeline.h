#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/pipeline/job_spec.h"

namespace waggle::pipeline {

// One job of a .waggle.yml before the run's facts (repository, ref, trigger) are filled in.
struct PipelineJob {
  std::string name;
  JobSpec spec;  // name, type, phases, env, needs and limits are set; the rest is the run's
};

// Reads a .waggle.yml: `test: COMMAND` for one job, or `jobs:` with phases. `file` is only for messages.
// Every error is InvalidArgument in the form
//   .waggle.yml:14:5: unknown key `brances` in `jobs.unit`
//     14 |     brances: [main]
//        |     ^^^^^^^ did you mean `branches`?
// Unknown and duplicate keys, wrong types, tabs, anchors, aliases, tags, too large or too deep documents are
// errors.
absl::StatusOr<std::vector<PipelineJob>> ParsePipeline(std::string_view text, std::string_view file);

}  // namespace waggle::pipeline
