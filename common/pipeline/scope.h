#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace waggle::pipeline {

// The names that ${…} may hold at one place of the file, with their values.
struct Scope {
  std::vector<std::pair<std::string, std::string>> names;  // "branch" → "main", "matrix.cc" → "gcc-12"
  const std::string* Find(std::string_view name) const;
};

struct Filled {
  std::string text;
  // What could not be resolved, as it stands in the text: "${brnch}"; "" = everything was.
  std::string unknown;
  std::string name;  // of it: "brnch"; "" when the ${ has no end
};

// Replaces every ${NAME}; `$${` is a plain `${`. Stops at the first that is unknown.
Filled Fill(std::string_view text, const Scope& scope);

// The first ${a.b} or ${{ of a text that is given to a shell, where only the shell's own ${NAME} means
// anything; "" if there is none.
std::string_view FindDotted(std::string_view script);

}  // namespace waggle::pipeline
