#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/pipeline/keys.h"
#include "common/pipeline/scope.h"
#include "common/yaml/source.h"
#include "common/yaml/tree.h"

// What every part of the grammar reads with: values by their type, errors with their place. `path` is how
// people find a value: jobs.unit.test[2].
namespace waggle::pipeline {

using TextMap = std::map<std::string, std::string>;

std::string Join(const std::string& path, const std::string& key);
std::string Item(const std::string& path, std::size_t index);  // test[2]

// Letters, digits, `-`, `_` and `.`, no `-` or `.` first, at most kNameBytes; and how messages say so.
bool IsName(std::string_view name);
std::string NameRule();

// Stateless but for the scope; keeps references, which must outlive it.
class Reader {
 public:
  Reader(const yaml::Source& source, Scope scope) : source_(source), scope_(std::move(scope)) {}
  const Scope& scope() const { return scope_; }
  // The same file where other names are known.
  Reader With(Scope scope) const { return Reader(source_, std::move(scope)); }

  // Errors at a value and at its key (at the value, where it has none).
  absl::Status Bad(const yaml::Node& node, std::string_view what, std::string_view hint,
                   std::string_view code = {}) const;
  absl::Status BadKey(const yaml::Node& node, std::string_view what, std::string_view hint,
                      std::string_view code = {}) const;
  // "unknown WHAT `word`": with what was meant, if it is near to something, else with all there is.
  absl::Status Unknown(const yaml::Node& node, std::string_view what, std::string_view word,
                       std::span<const std::string_view> known, std::string_view code = {}) const;

  // A mapping with none but the keys it may have; `empty` tells what to write instead.
  absl::Status Map(const yaml::Node& node, const std::string& path, const Mapping& mapping,
                   std::string_view example) const;
  absl::Status CheckKeys(const yaml::Node& map, const std::string& path, const Mapping& mapping) const;

  // A scalar as it stands, and one whose ${…} is resolved.
  absl::StatusOr<std::string> Text(const yaml::Node& node, const std::string& path,
                                   std::string_view example) const;
  absl::StatusOr<std::string> FilledText(const yaml::Node& node, const std::string& path,
                                         std::string_view example) const;
  // One text or a list of them, none empty, none twice.
  absl::StatusOr<std::vector<std::string>> Texts(const yaml::Node& node, const std::string& path,
                                                 std::string_view example) const;
  // For a shell or its environment: ${a.b} is refused.
  absl::StatusOr<std::string> Script(const yaml::Node& node, const std::string& path,
                                     std::string_view example) const;
  absl::Status Variables(const yaml::Node& node, const std::string& path, TextMap& into) const;
  absl::Status Labels(const yaml::Node& node, const std::string& path, TextMap& into) const;
  absl::StatusOr<std::chrono::milliseconds> Limit(const yaml::Node& node, const std::string& path) const;
  // A whole number in its usual spelling.
  absl::StatusOr<std::int32_t> Number(const yaml::Node& node, const std::string& path, std::int32_t least,
                                      std::int32_t most) const;
  absl::StatusOr<bool> Flag(const yaml::Node& node) const;

 private:
  absl::Status InScript(const yaml::Node& node, std::string_view dotted) const;

  const yaml::Source& source_;
  const Scope scope_;
};

}  // namespace waggle::pipeline
