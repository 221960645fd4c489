#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/pipeline/reader.h"

namespace waggle::pipeline {

// One combination: names and values, in the order of the axes; behind them what `include` added.
using Cell = std::vector<std::pair<std::string, std::string>>;

// A `matrix` as it was read, not expanded. Refers to the nodes of the file.
struct Matrix {
  struct Entry {  // of include or exclude
    const yaml::Node* node;
    Cell values;
  };
  std::vector<std::pair<std::string, std::vector<std::string>>> axes;
  std::vector<Entry> include, exclude;
};

// Axes are variable names with lists of distinct values; kMatrixAxes, kMatrixValues.
absl::StatusOr<Matrix> ReadMatrix(const Reader& reader, const yaml::Node& node, const std::string& path);

// How many cells the axes alone make: no more work than there are axes. Stays at its largest value when it
// does not fit.
std::uint64_t CountCells(const Matrix& matrix);

// REQUIRES: CountCells is within bounds. First every combination of the axes; without those that an entry of
// `exclude` names by some of its values. Then `include`: an entry whose axes name cells that are there gives
// them more values; one that names every axis, and no cell that is there, is a cell of its own. An entry that
// does nothing is an error. Without axes each entry is a cell.
absl::StatusOr<std::vector<Cell>> ExpandMatrix(const Reader& reader, const Matrix& matrix,
                                               const yaml::Node& node, const std::string& path);

// Names for the cells of one job, all different: the values joined by "-", other characters than names may
// have as "_".
std::vector<std::string> CellNames(const std::vector<Cell>& cells);

}  // namespace waggle::pipeline
