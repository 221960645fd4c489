#pragma once

#include <string>
#include <string_view>

// "ccache@2": a plugin as a job wants it and as a queue of jobs is named. Names have no `@`.
namespace waggle {

struct PluginName {
  std::string_view name, version;  // "" = any version
};

constexpr PluginName SplitPlugin(std::string_view wanted) {
  const std::size_t at = wanted.find('@');
  if (at == std::string_view::npos) return {wanted, {}};
  return {wanted.substr(0, at), wanted.substr(at + 1)};
}

inline std::string JoinPlugin(std::string_view name, std::string_view version) {
  std::string out(name);
  if (!version.empty()) out.append("@").append(version);
  return out;
}

// Whether a version begins with all parts that are wanted: 2.1.0 meets "", 2 and 2.1, not 2.10 or 1.
constexpr bool VersionMeets(std::string_view version, std::string_view wanted) {
  return wanted.empty() ||
         (version.starts_with(wanted) && (version.size() == wanted.size() || version[wanted.size()] == '.'));
}

}  // namespace waggle
