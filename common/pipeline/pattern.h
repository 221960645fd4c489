#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Patterns of branches, tags and paths, and the ordered rules of a project's branches.
namespace waggle::pipeline {

// Whether all of `text` matches: `*` is any number of characters, slashes too, and `**` is the same; every
// other character is itself. Linear in both.
bool MatchesPattern(std::string_view pattern, std::string_view text);

bool HasWildcard(std::string_view pattern);

bool MatchesAny(const std::vector<std::string>& patterns, std::string_view text);

// What a project wants for the branches that a pattern names.
struct BranchRule {
  std::string pattern;
  bool active = true;             // false: no jobs; whoever asks is told so
  bool mirrors_main = false;      // runs with the settings of the main branch
  bool deploys_on_green = false;  // a passed run is deployed by itself; never taken from the main branch
  bool parallel = false;          // runs of one branch may overlap
};

// The rules of a project in the order they were written. An exact name beats every pattern; among patterns
// the first that matches wins; nullptr: no rule is about this branch. The result lives as long as `rules`.
const BranchRule* FindRule(const std::vector<BranchRule>& rules, std::string_view branch);

}  // namespace waggle::pipeline
