#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/pipeline/pipeline.h"
#include "common/pipeline/reader.h"

namespace waggle::pipeline {

// A job of the file and where its cells are in Pipeline::jobs.
struct Placed {
  const yaml::Node* node;  // its key is the job's name
  std::size_t first, count;
};

// Reads `after` of every job into the indexes of its cells. No job may come after itself, directly or not.
absl::Status ReadOrder(const Reader& reader, const std::vector<Placed>& placed, Pipeline& pipeline);

}  // namespace waggle::pipeline
