#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/yaml/source.h"

namespace waggle::yaml {

// One value of the file. Scalars are texts: what they mean is said by whoever reads them, never by how they
// look.
struct Node {
  enum class Kind { kAbsent, kScalar, kList, kMap };

  Kind kind = Kind::kAbsent;
  Position at;
  std::string text;            // kScalar
  std::vector<Node> children;  // kList, kMap: in the order of the file
  std::string key;             // of a child of a kMap; unique among its siblings
  Position key_at;

  bool IsScalar() const { return kind == Kind::kScalar; }
  bool IsList() const { return kind == Kind::kList; }
  bool IsMap() const { return kind == Kind::kMap; }
  bool IsAbsent() const { return kind == Kind::kAbsent; }
  // The value of a key of a kMap; nullptr if it is not there.
  const Node* Find(std::string_view wanted) const;
};

// Reads the subset of YAML that our files are written in, within kPipelineDepth and kPipelineNodes of
// limits.h. Work is linear in the text, which the caller has bounded; memory beyond the tree is too, within
// 250 × kPipelineUntold. Errors are those of `source`: no document or several, duplicate keys, keys that
// are no scalars, tabs as indentation, anchors, aliases, tags, merge keys, directives. REQUIRES: the text is
// UTF-8 without control characters and carriage returns (Prepare).
absl::StatusOr<Node> Parse(const Source& source);

// Checks what Parse requires; a byte order mark goes and CRLF becomes LF. `file` is for messages.
absl::StatusOr<std::string> Prepare(std::string_view text, std::string_view file, const Dialect& dialect);

}  // namespace waggle::yaml
