#pragma once

#include "common/pipeline/pipeline.h"
#include "common/pipeline/reader.h"

namespace waggle::pipeline {

// The jobs of a file, `jobs:` or the one that stands at its top, expanded. REQUIRES: the keys of `root` are
// checked, and the pipeline has its name and `cancel_previous`.
absl::Status ReadJobs(const Reader& reader, const yaml::Node& root, const RunFacts& facts,
                      Pipeline& pipeline);

}  // namespace waggle::pipeline
