#pragma once

#include "common/pipeline/matrix.h"
#include "common/pipeline/pipeline.h"
#include "common/pipeline/reader.h"

namespace waggle::pipeline {

// `trigger`: sets `schedules` and `unwanted` of the pipeline. A nullptr node: the file has none. Manual runs
// and deploys are always wanted.
absl::Status ReadTrigger(const Reader& reader, const yaml::Node* node, const RunFacts& facts,
                         Pipeline& pipeline);

// `when` of a job, for one of its cells: sets `skipped` and `runs_after`.
absl::Status ReadWhen(const Reader& reader, const yaml::Node& node, const std::string& path,
                      const RunFacts& facts, const Cell& cell, PipelineJob& job);

// Whether these are the five fields of cron: minute, hour, day, month, day of the week, as `*`, numbers,
// ranges, lists and steps. "" if they are, else what is wrong.
std::string CronFault(std::string_view text);

}  // namespace waggle::pipeline
