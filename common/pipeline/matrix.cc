#include "common/pipeline/matrix.h"

#include <algorithm>
#include <limits>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "common/pipeline/codes.h"
#include "common/pipeline/job_spec.h"

namespace waggle::pipeline {
namespace {

const std::string* Find(const Cell& cell, std::string_view name) {
  for (const auto& [known, value] : cell) {
    if (known == name) return &value;
  }
  return nullptr;
}

std::vector<std::string_view> AxisNames(const Matrix& matrix) {
  std::vector<std::string_view> names;
  for (const auto& axis : matrix.axes) names.push_back(axis.first);
  return names;
}

const std::vector<std::string>* Axis(const Matrix& matrix, std::string_view name) {
  for (const auto& [known, values] : matrix.axes) {
    if (known == name) return &values;
  }
  return nullptr;
}

absl::StatusOr<std::string> ReadValue(const Reader& reader, const yaml::Node& node, const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, reader.Text(node, path, "write a value"));
  if (text.size() <= limits::kLabelBytes && text.find_first_of("\t\n\r") == std::string::npos) return text;
  return reader.Bad(node, absl::StrCat(Quoted(path), " is no value of a matrix"),
                    absl::StrCat("write one line of at most ", limits::kLabelBytes, " bytes"), code::kMatrix);
}

// The name of an axis, or of what `include` adds: it becomes MATRIX_NAME, where case is lost.
absl::Status CheckAxisName(const Reader& reader, const yaml::Node& node, const Cell& others) {
  if (!IsVariableName(node.key)) {
    return reader.BadKey(node, absl::StrCat(Quoted(node.key), " is no name for an axis"),
                         "letters, digits and `_`, no digit first", code::kMatrix);
  }
  for (const auto& [name, unused] : others) {
    if (absl::AsciiStrToUpper(name) != absl::AsciiStrToUpper(node.key)) continue;
    return reader.BadKey(node,
                         absl::StrCat(Quoted(name), " and ", Quoted(node.key), " would be the same variable"),
                         absl::StrCat("both are MATRIX_", absl::AsciiStrToUpper(name)), code::kMatrix);
  }
  return absl::OkStatus();
}

absl::Status ReadAxis(const Reader& reader, const yaml::Node& node, const std::string& path, Matrix& matrix) {
  Cell before;
  for (const auto& [name, values] : matrix.axes) before.emplace_back(name, "");
  RETURN_IF_ERROR(CheckAxisName(reader, node, before));
  if (!node.IsList() || node.children.empty()) {
    return reader.BadKey(node, absl::StrCat(Quoted(path), " must be a list of values"),
                         "write it as [one, two]", code::kMatrix);
  }
  if (node.children.size() > limits::kMatrixValues) {
    return reader.BadKey(node, absl::StrCat(Quoted(path), " has ", node.children.size(), " values"),
                         absl::StrCat("at most ", limits::kMatrixValues), code::kMatrix);
  }
  std::vector<std::string> values;
  for (const yaml::Node& child : node.children) {
    ASSIGN_OR_RETURN(std::string value, ReadValue(reader, child, Item(path, values.size())));
    if (std::find(values.begin(), values.end(), value) != values.end()) {
      return reader.Bad(child, absl::StrCat(Quoted(value), " appears twice in ", Quoted(path)),
                        "remove one of them", code::kMatrix);
    }
    values.push_back(std::move(value));
  }
  matrix.axes.emplace_back(node.key, std::move(values));
  if (matrix.axes.size() <= limits::kMatrixAxes) return absl::OkStatus();
  return reader.BadKey(node, absl::StrCat("more than ", limits::kMatrixAxes, " axes"), "", code::kMatrix);
}

absl::StatusOr<std::vector<Matrix::Entry>> ReadEntries(const Reader& reader, const yaml::Node& node,
                                                       const std::string& path) {
  if (!node.IsList() || node.children.empty()) {
    return reader.BadKey(node, absl::StrCat(Quoted(path), " must be a list of mappings"),
                         "write it as [{AXIS: value}]", code::kMatrix);
  }
  if (node.children.size() > limits::kMatrixValues) {
    return reader.BadKey(node, absl::StrCat(Quoted(path), " has ", node.children.size(), " entries"),
                         absl::StrCat("at most ", limits::kMatrixValues), code::kMatrix);
  }
  std::vector<Matrix::Entry> entries;
  for (const yaml::Node& child : node.children) {
    const std::string at = Item(path, entries.size());
    if (!child.IsMap() || child.children.empty()) {
      return reader.Bad(child, absl::StrCat(Quoted(at), " must be a mapping"), "write it as {AXIS: value}",
                        code::kMatrix);
    }
    Matrix::Entry entry{&child, {}};
    for (const yaml::Node& value : child.children) {
      RETURN_IF_ERROR(CheckAxisName(reader, value, entry.values));
      ASSIGN_OR_RETURN(std::string text, ReadValue(reader, value, Join(at, value.key)));
      entry.values.emplace_back(value.key, std::move(text));
    }
    if (entry.values.size() > limits::kMatrixAxes) {
      return reader.Bad(child, absl::StrCat(Quoted(at), " has more than ", limits::kMatrixAxes, " names"), "",
                        code::kMatrix);
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

// An entry must be about axes and values there are; `exclude` about nothing else.
absl::Status CheckEntry(const Reader& reader, const Matrix& matrix, const Matrix::Entry& entry,
                        bool excludes) {
  const std::vector<std::string_view> names = AxisNames(matrix);
  for (std::size_t i = 0; i < entry.values.size(); ++i) {
    const auto& [name, value] = entry.values[i];
    const yaml::Node& at = entry.node->children[i];
    const std::vector<std::string>* values = Axis(matrix, name);
    if (values == nullptr) {
      const std::string_view meant = DidYouMean(name, names);
      // A new name of `include` that looks like an axis which the entry lacks is a slip.
      if (!excludes && (meant.empty() || Find(entry.values, meant) != nullptr)) {
        Cell others;
        for (std::string_view axis : names) others.emplace_back(axis, "");
        RETURN_IF_ERROR(CheckAxisName(reader, at, others));
        continue;
      }
      std::string hint = "axes:";
      for (std::string_view axis : names) absl::StrAppend(&hint, " ", std::string(axis));
      if (!meant.empty()) hint = absl::StrCat("did you mean ", Quoted(meant), "?");
      return reader.BadKey(at, absl::StrCat("the matrix has no axis ", Quoted(name)), hint, code::kMatrix);
    }
    if (!excludes || std::find(values->begin(), values->end(), value) != values->end()) continue;
    const std::vector<std::string_view> known(values->begin(), values->end());
    const std::string_view meant = DidYouMean(value, known);
    return reader.Bad(at, absl::StrCat("axis ", Quoted(name), " has no value ", Quoted(value)),
                      meant.empty() ? "" : absl::StrCat("did you mean ", Quoted(meant), "?"), code::kMatrix);
  }
  return absl::OkStatus();
}

// Whether the cell has all those of `values` that are axes.
bool Matches(const Matrix& matrix, const Cell& cell, const Cell& values) {
  return std::all_of(values.begin(), values.end(), [&](const auto& wanted) {
    if (Axis(matrix, wanted.first) == nullptr) return true;
    const std::string* value = Find(cell, wanted.first);
    return value != nullptr && *value == wanted.second;
  });
}

std::vector<Cell> Product(const Matrix& matrix) {
  std::vector<Cell> cells;
  if (!matrix.axes.empty()) cells.emplace_back();
  for (const auto& [name, values] : matrix.axes) {
    std::vector<Cell> longer;
    for (const Cell& cell : cells) {
      for (const std::string& value : values) {
        longer.push_back(cell);
        longer.back().emplace_back(name, value);
      }
    }
    cells = std::move(longer);
  }
  return cells;
}

absl::Status Include(const Reader& reader, const Matrix& matrix, const Matrix::Entry& entry,
                     std::vector<Cell>& cells) {
  Cell own, more;  // its values of axes, in their order; the others
  for (const auto& [name, values] : matrix.axes) {
    if (const std::string* value = Find(entry.values, name)) own.emplace_back(name, *value);
  }
  for (const auto& pair : entry.values) {
    if (Axis(matrix, pair.first) == nullptr) more.push_back(pair);
  }
  bool found = false;
  for (Cell& cell : cells) {
    if (matrix.axes.empty() || own.empty() || !Matches(matrix, cell, own)) continue;
    found = true;
    for (const auto& [name, value] : more) {
      if (Find(cell, name) != nullptr) {
        return reader.Bad(*entry.node, absl::StrCat("a cell gets ", Quoted(name), " twice"),
                          "merge the entries of `include`", code::kMatrix);
      }
      cell.emplace_back(name, value);
    }
    if (cell.size() > limits::kMatrixAxes) {
      return reader.Bad(*entry.node, absl::StrCat("a cell gets more than ", limits::kMatrixAxes, " values"),
                        "", code::kMatrix);
    }
  }
  if (found && more.empty()) {
    return reader.Bad(*entry.node, "this entry of `include` adds nothing: its cell is there already",
                      "remove it, or give it another value", code::kMatrix);
  }
  if (found) return absl::OkStatus();
  if (own.size() < matrix.axes.size()) {
    return reader.Bad(*entry.node, "this entry of `include` matches no cell", "name every axis to add a cell",
                      code::kMatrix);
  }
  own.insert(own.end(), more.begin(), more.end());
  cells.push_back(std::move(own));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Matrix> ReadMatrix(const Reader& reader, const yaml::Node& node, const std::string& path) {
  if (!node.IsMap() || node.children.empty()) {
    return reader.BadKey(node, absl::StrCat(Quoted(path), " must be a mapping of axes"),
                         "write AXIS: [one, two] below it", code::kMatrix);
  }
  Matrix matrix;
  for (const yaml::Node& child : node.children) {
    const std::string at = Join(path, child.key);
    if (child.key == "include") {
      ASSIGN_OR_RETURN(matrix.include, ReadEntries(reader, child, at));
    } else if (child.key == "exclude") {
      ASSIGN_OR_RETURN(matrix.exclude, ReadEntries(reader, child, at));
    } else {
      RETURN_IF_ERROR(ReadAxis(reader, child, at, matrix));
    }
  }
  for (const Matrix::Entry& entry : matrix.exclude) {
    RETURN_IF_ERROR(CheckEntry(reader, matrix, entry, true));
  }
  for (const Matrix::Entry& entry : matrix.include) {
    RETURN_IF_ERROR(CheckEntry(reader, matrix, entry, false));
  }
  return matrix;
}

std::uint64_t CountCells(const Matrix& matrix) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t count = matrix.axes.empty() ? 0 : 1;
  for (const auto& [name, values] : matrix.axes) {
    count = count > kMost / values.size() ? kMost : count * values.size();
  }
  return count;
}

absl::StatusOr<std::vector<Cell>> ExpandMatrix(const Reader& reader, const Matrix& matrix,
                                               const yaml::Node& node, const std::string& path) {
  std::vector<Cell> cells = Product(matrix);
  for (const Matrix::Entry& entry : matrix.exclude) {
    const auto kept = std::remove_if(cells.begin(), cells.end(),
                                     [&](const Cell& cell) { return Matches(matrix, cell, entry.values); });
    if (kept == cells.end()) {
      return reader.Bad(*entry.node, "this entry of `exclude` matches no cell",
                        "an entry before it has taken them all", code::kMatrix);
    }
    cells.erase(kept, cells.end());
  }
  for (const Matrix::Entry& entry : matrix.include) {
    RETURN_IF_ERROR(Include(reader, matrix, entry, cells));
  }
  if (!cells.empty()) return cells;
  return reader.BadKey(node, absl::StrCat(Quoted(path), " leaves no cell"), "exclude fewer of them",
                       code::kMatrix);
}

std::vector<std::string> CellNames(const std::vector<Cell>& cells) {
  auto safe = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.' ? c : '_';
  };
  std::set<std::string> taken;
  std::vector<std::string> names;
  for (const Cell& cell : cells) {
    std::string name;
    for (const auto& [axis, value] : cell) {
      if (value.empty()) continue;
      if (!name.empty()) name += '-';
      std::transform(value.begin(), value.end(), std::back_inserter(name), safe);
    }
    if (name.find_first_not_of('.') == std::string::npos) name += "_";  // nothing, or `..`
    std::string unique = name;
    for (int i = 2; !taken.insert(unique).second; ++i) unique = absl::StrCat(name, "-", i);
    names.push_back(std::move(unique));
  }
  return names;
}

}  // namespace waggle::pipeline
