#pragma once

#include <string>

namespace waggle::pipeline {

// The JSON Schema (2020-12) of a pipeline file, as JSON on one line: every key of keys.h where it may stand,
// and the shape of its value. What else makes a file wrong, such as a job of `after` that is not there, only
// ParsePipeline knows.
std::string PipelineSchema();

}  // namespace waggle::pipeline
