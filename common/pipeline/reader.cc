#include "common/pipeline/reader.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/duration.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "common/pipeline/codes.h"

namespace waggle::pipeline {
namespace {

bool Has(std::span<const std::string_view> words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::string Known(std::span<const std::string_view> words) {
  std::string out = "known: ";
  for (std::size_t i = 0; i < words.size(); ++i) out.append(i == 0 ? "" : ", ").append(words[i]);
  return out;
}

// "`timeout` in `jobs.unit`"; the top level has no path.
std::string In(const std::string& path) {
  return path.empty() ? "" : absl::StrCat(" in ", Quoted(path));
}

// Where a word of the grammar belongs that is not known here; "" if it is no such word.
std::string BelongsTo(std::string_view word, const Mapping& here) {
  for (const Mapping* mapping : kMappings) {
    if (mapping == &here || mapping->Find(word) == nullptr) continue;
    if (mapping == &kJob && &here == &kFile) {
      return "it belongs to a job: write it below `jobs:` and the job's name";
    }
    return absl::StrCat("it belongs to ", std::string(mapping->noun));
  }
  return "";
}

// Where `part` stands in the value of `node`, if that is on the line where the value begins.
yaml::Position Find(const yaml::Source& source, const yaml::Node& node, std::string_view part) {
  const std::size_t column = source.Line(node.at.line).find(part, node.at.column);
  if (column == std::string_view::npos) return node.at;
  return {node.at.line, static_cast<int>(column)};
}

}  // namespace

std::string Join(const std::string& path, const std::string& key) {
  return path.empty() ? key : absl::StrCat(path, ".", key);
}

std::string Item(const std::string& path, std::size_t index) {
  return absl::StrCat(path, "[", index, "]");
}

bool IsName(std::string_view name) {
  auto word = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= limits::kNameBytes && word(name[0]) && name[0] != '-' &&
         name[0] != '.' && std::all_of(name.begin(), name.end(), word);
}

std::string NameRule() {
  return absl::StrCat("letters, digits, `-`, `_` and `.`, at most ", limits::kNameBytes);
}

absl::Status Reader::Bad(const yaml::Node& node, std::string_view what, std::string_view hint,
                         std::string_view code) const {
  return source_.Excerpt(node.at, node.text, what, hint, code);
}

absl::Status Reader::BadKey(const yaml::Node& node, std::string_view what, std::string_view hint,
                            std::string_view code) const {
  if (node.key.empty()) return Bad(node, what, hint, code);
  return source_.Excerpt(node.key_at, node.key, what, hint, code);
}

absl::Status Reader::Unknown(const yaml::Node& node, std::string_view what, std::string_view word,
                             std::span<const std::string_view> known, std::string_view code) const {
  const std::string_view meant = DidYouMean(word, known);
  return Bad(node, absl::StrCat("unknown ", std::string(what), " ", Quoted(word)),
             meant.empty() ? Known(known) : absl::StrCat("did you mean ", Quoted(meant), "?"), code);
}

absl::Status Reader::Map(const yaml::Node& node, const std::string& path, const Mapping& mapping,
                         std::string_view example) const {
  if (!node.IsMap()) return BadKey(node, absl::StrCat(Quoted(path), " must be a mapping"), example);
  return CheckKeys(node, path, mapping);
}

absl::Status Reader::CheckKeys(const yaml::Node& map, const std::string& path, const Mapping& mapping) const {
  const auto later = &mapping == &kStep ? kStepLater : kLater;
  for (const yaml::Node& child : map.children) {
    if (mapping.Find(child.key) != nullptr) continue;
    if (mapping.later && Has(later, child.key)) {
      return source_.Excerpt(child.key_at, child.key,
                             absl::StrCat(Quoted(child.key), " is not in this version of Waggle"),
                             "remove it", code::kNotInVersion);
    }
    std::vector<std::string_view> known;
    for (const auto& table : {mapping.keys, mapping.shared}) {
      for (const Key& key : table) known.push_back(key.name);
    }
    const std::string belongs = BelongsTo(child.key, mapping);
    const std::string_view meant = DidYouMean(child.key, known);
    const std::string hint = !belongs.empty() ? belongs
                             : !meant.empty() ? absl::StrCat("did you mean ", Quoted(meant), "?")
                                              : Known(known);
    return source_.Excerpt(child.key_at, child.key, absl::StrCat("unknown key ", Quoted(child.key), In(path)),
                           hint, source_.dialect().unknown_key);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Reader::Text(const yaml::Node& node, const std::string& path,
                                         std::string_view example) const {
  if (node.IsScalar()) return node.text;
  if (node.IsAbsent()) return BadKey(node, absl::StrCat(Quoted(path), " has no value"), example);
  return Bad(node, absl::StrCat(Quoted(path), " must be a text, not a ", node.IsMap() ? "mapping" : "list"),
             example);
}

absl::StatusOr<std::string> Reader::FilledText(const yaml::Node& node, const std::string& path,
                                               std::string_view example) const {
  ASSIGN_OR_RETURN(const std::string text, Text(node, path, example));
  Filled filled = Fill(text, scope_);
  if (filled.unknown.empty()) return std::move(filled.text);
  const yaml::Position at = Find(source_, node, filled.unknown);
  if (filled.name.empty() && filled.unknown == "${") {
    return source_.Excerpt(at, filled.unknown, "a `${` is not closed",
                           "write `}`; for a plain `${` write `$${`", code::kUnknownName);
  }
  std::vector<std::string_view> known;
  for (const auto& [name, value] : scope_.names) known.push_back(name);
  const std::string_view meant = DidYouMean(filled.name, known);
  const bool axis = filled.name.substr(0, 7) == "matrix.";
  const bool any = std::any_of(known.begin(), known.end(),
                               [](std::string_view name) { return name.substr(0, 7) == "matrix."; });
  std::string hint = meant.empty() ? Known(known) : absl::StrCat("did you mean ", Quoted(meant), "?");
  if (axis && !any) hint = "there is no `matrix` here";
  return source_.Excerpt(at, filled.unknown, absl::StrCat("unknown name ", Quoted(filled.name), In(path)),
                         hint, code::kUnknownName);
}

absl::StatusOr<std::vector<std::string>> Reader::Texts(const yaml::Node& node, const std::string& path,
                                                       std::string_view example) const {
  std::vector<std::string> out;
  std::set<std::string_view> seen;
  const std::span<const yaml::Node> items = node.IsList() ? std::span(node.children) : std::span(&node, 1);
  if (items.empty()) return BadKey(node, absl::StrCat(Quoted(path), " is empty"), example);
  for (const yaml::Node& item : items) {
    const std::string at = node.IsList() ? Item(path, out.size()) : path;
    ASSIGN_OR_RETURN(std::string text, Text(item, at, example));
    if (text.empty()) return Bad(item, absl::StrCat(Quoted(at), " is empty"), example);
    if (!seen.insert(item.text).second) {
      return Bad(item, absl::StrCat(Quoted(text), " appears twice in ", Quoted(path)), "remove one of them",
                 code::kTwice);
    }
    out.push_back(std::move(text));
  }
  return out;
}

absl::Status Reader::InScript(const yaml::Node& node, std::string_view dotted) const {
  const bool axis = dotted.substr(0, 9) == "${matrix.";
  std::string hint = "nothing is replaced here; a shell has no such name";
  if (axis) {
    const std::string name(dotted.substr(9, dotted.size() - 10));
    hint = absl::StrCat("write $MATRIX_", absl::AsciiStrToUpper(name), " in the script");
  }
  return source_.Excerpt(Find(source_, node, dotted), dotted,
                         absl::StrCat(Quoted(dotted), " in what a shell is given"), hint, code::kInScript);
}

absl::StatusOr<std::string> Reader::Script(const yaml::Node& node, const std::string& path,
                                           std::string_view example) const {
  ASSIGN_OR_RETURN(std::string text, Text(node, path, example));
  const std::string_view dotted = FindDotted(text);
  if (!dotted.empty()) return InScript(node, dotted);
  return text;
}

absl::Status Reader::Variables(const yaml::Node& node, const std::string& path, TextMap& into) const {
  if (!node.IsMap()) {
    return BadKey(node, absl::StrCat(Quoted(path), " must be a mapping"), "write NAME: value below it");
  }
  for (const yaml::Node& child : node.children) {
    ASSIGN_OR_RETURN(into[child.key], Script(child, Join(path, child.key), "write \"\" for an empty text"));
  }
  return absl::OkStatus();
}

absl::Status Reader::Labels(const yaml::Node& node, const std::string& path, TextMap& into) const {
  if (!node.IsMap()) {
    return BadKey(node, absl::StrCat(Quoted(path), " must be a mapping"),
                  "write LABEL: value below it, such as `os: linux`");
  }
  for (const yaml::Node& child : node.children) {
    ASSIGN_OR_RETURN(into[child.key],
                     FilledText(child, Join(path, child.key), "write \"\" for an empty text"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::chrono::milliseconds> Reader::Limit(const yaml::Node& node,
                                                        const std::string& path) const {
  constexpr std::string_view kHint = "write 10m, 600s or 1h30m";
  ASSIGN_OR_RETURN(const std::string text, FilledText(node, path, kHint));
  const ParsedDuration parsed = ParseDuration(text);
  const std::string shown = Quoted(absl::StrCat(node.key, ": ", text));
  if (parsed.fault == DurationFault::kNoUnit) {
    return source_.Plain(node.at, absl::StrCat(shown, " has no unit"), {std::string(kHint)},
                         source_.dialect().no_unit);
  }
  if (parsed.fault == DurationFault::kMalformed)
    return Bad(node, absl::StrCat(shown, " is no duration"), kHint);
  if (parsed.value.count() == 0)
    return Bad(node, absl::StrCat(shown, " leaves no time"), "write at least 1s");
  if (parsed.value > limits::kOperatorCeiling) {
    return Bad(node, absl::StrCat(shown, " is too long"), "at most 24h");
  }
  return parsed.value;
}

absl::StatusOr<std::int32_t> Reader::Number(const yaml::Node& node, const std::string& path,
                                            std::int32_t least, std::int32_t most) const {
  const std::string range = absl::StrCat("whole number from ", least, " to ", most);
  ASSIGN_OR_RETURN(const std::string text, FilledText(node, path, absl::StrCat("write a ", range)));
  std::int32_t value = 0;
  // Only the usual spelling: 010, +1 and 0x10 mean different things to different people.
  if (!absl::SimpleAtoi(text, &value) || absl::StrCat(value) != text || value < least || value > most) {
    const std::string shown = Quoted(absl::StrCat(node.key.empty() ? path : node.key, ": ", text));
    return Bad(node, absl::StrCat(shown, " is no ", range), "", code::kRange);
  }
  return value;
}

absl::StatusOr<bool> Reader::Flag(const yaml::Node& node) const {
  ASSIGN_OR_RETURN(const std::string text, Text(node, node.key, "write true or false"));
  constexpr std::string_view kTrue = "true", kFalse = "false";
  if (text == kTrue) return true;
  if (text == kFalse) return false;
  return Bad(node, absl::StrCat(Quoted(absl::StrCat(node.key, ": ", text)), " is neither true nor false"),
             "write true or false");
}

}  // namespace waggle::pipeline
