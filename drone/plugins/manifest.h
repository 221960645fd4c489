#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/vocabulary.h"

namespace waggle::plugins {

// One field of what a job may configure.
struct Setting {
  enum class Type { kString, kInteger, kBoolean, kList, kMap, kEnum };

  std::string name, description;
  Type type = Type::kString;
  bool required = false;
  std::string fallback;             // as JSON; "" = none
  std::vector<std::string> values;  // of kEnum
};

std::string_view Name(Setting::Type type);  // as in a plugin.yaml: "string" …

// What a plugin.yaml says.
struct Manifest {
  std::string name, version, description;
  std::array<bool, kPhaseCount> phases{};
  std::vector<std::string> needs;  // programs that must be in PATH
  std::vector<Setting> config;
};

inline constexpr std::string_view kManifestName = "plugin.yaml";

// Reads a plugin.yaml; strict. `file` is for messages: excerpts as those of pipeline files. InvalidArgument.
absl::StatusOr<Manifest> ReadManifest(std::string_view text, std::string_view file);

}  // namespace waggle::plugins
