#pragma once

#include "common/pipeline/job_spec.h"
#include "common/pipeline/reader.h"

namespace waggle::pipeline {

// A phase: a command, a list of steps, or a mapping with `steps`, of which only those are read here.
absl::StatusOr<std::vector<Command>> ReadPhase(const Reader& reader, const yaml::Node& node,
                                               const std::string& path, const Mapping& mapping);

// The kind and the phases of a mapping: the parts a job has in both forms of the file. Nothing but the steps
// is read of `environment`.
absl::Status ReadPhases(const Reader& reader, const yaml::Node& map, const std::string& path, JobSpec& spec);

// A list of names of secrets, added to those that are there.
absl::Status ReadSecrets(const Reader& reader, const yaml::Node& node, const std::string& path,
                         std::vector<std::string>& into);

}  // namespace waggle::pipeline
