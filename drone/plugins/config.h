#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "drone/plugins/manifest.h"

namespace waggle::plugins {

// What one job told one plugin, checked against its manifest.
struct Config {
  bool enabled = true;  // false only if the job says `enabled: false`
  std::string json;     // the object with all defaults in it
  // The same for shells: PLUGIN_NAME, lists with a line for each element, maps with NAME=VALUE lines.
  std::map<std::string, std::string> variables;
};

// InvalidArgument: "config.size must be …": an unknown name, another type, a required one that is missing.
// Pipeline files know only texts, so a text counts as a number or a flag that it spells, and the other way
// round.
absl::StatusOr<Config> ReadConfig(const Manifest& manifest, std::string_view json);

// One value as its type, as JSON. InvalidArgument: "must be a whole number, not a list".
absl::StatusOr<std::string> Typed(const Setting& setting, std::string_view json);

std::string JsonOf(const std::string& text);
std::string JsonOf(const std::vector<std::string>& texts);
std::string JsonOf(const std::map<std::string, std::string>& texts);

}  // namespace waggle::plugins
