#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "common/pipeline/pipeline.h"

namespace waggle::pipeline {

// A file that is right; an empty pipeline after a failure.
inline Pipeline Parse(std::string_view text, const RunFacts& facts = {}) {
  auto pipeline = ParsePipeline(text, ".waggle.yml", facts);
  EXPECT_TRUE(pipeline.ok()) << pipeline.status().message() << "\n" << text.substr(0, 2000);
  return pipeline.ok() ? *std::move(pipeline) : Pipeline();
}

// The message about a file that is wrong.
inline std::string Fault(std::string_view text, const RunFacts& facts = {}) {
  auto pipeline = ParsePipeline(text, ".waggle.yml", facts);
  EXPECT_EQ(pipeline.status().code(), absl::StatusCode::kInvalidArgument) << text.substr(0, 2000);
  return std::string(pipeline.status().message());
}

// A file of one job, `unit`, that is right with the lines it is given in its mapping.
inline std::string Unit(std::string_view lines) {
  return "jobs:\n  unit:\n    test: make\n    " + std::string(lines) + "\n";
}

// The only job of a file; an empty one after a failure.
inline PipelineJob Only(std::string_view text, const RunFacts& facts = {}) {
  Pipeline pipeline = Parse(text, facts);
  EXPECT_EQ(pipeline.jobs.size(), 1u) << text;
  return pipeline.jobs.size() == 1 ? std::move(pipeline.jobs[0]) : PipelineJob();
}

}  // namespace waggle::pipeline
