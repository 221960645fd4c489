#pragma once

#include <string>
#include <vector>

// What builds and tests a project, told by the files at its top: what `waggle init` writes of it.
namespace waggle::cli {

struct Tool {
  std::string name;  // as shown: "CMake + CTest"
  std::string job;   // of the file: "cmake"
  std::vector<std::string> prepare;
  std::string test;
};

// All that are found, in a fixed order; a Makefile only where nothing else is. Reads the beginnings of a few
// files and changes nothing.
std::vector<Tool> DetectTools(const std::string& directory);

// A pipeline file of one job for each of them; of one that says what to write, if there are none.
std::string StarterFile(const std::vector<Tool>& tools);

}  // namespace waggle::cli
