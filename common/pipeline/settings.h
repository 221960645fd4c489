#pragma once

#include "common/pipeline/pipeline.h"
#include "common/pipeline/reader.h"

namespace waggle::pipeline {

// The settings that `defaults` and a job have in common, and a few of which may stand in `environment`; those
// of a later call go over those of an earlier one. Other keys of the mapping are left alone.
absl::Status ReadSettings(const Reader& reader, const yaml::Node& map, const std::string& path,
                          PipelineJob& job);

// What `environment` and `prepare` say besides their steps. A setting must not stand both at the job and in
// its environment.
absl::Status ReadSurroundings(const Reader& reader, const yaml::Node& map, const std::string& path,
                              PipelineJob& job);

}  // namespace waggle::pipeline
