#include "common/pipeline/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/pipeline/text.h"

namespace waggle::pipeline {
namespace {

// Carries our error out through the parser's stack; never leaves this file.
struct Refused {
  absl::Status status;
};

char CharacterAt(const YamlSource& source, Position at) {
  std::string_view line = source.Line(at.line);
  return static_cast<std::size_t>(at.column) < line.size() ? line[at.column] : '\0';
}

// Whether the quoted scalar that `text` begins with ends. At the end of the input the library takes it as it
// is, and a forgotten quote would swallow the rest of the file.
bool IsClosed(std::string_view text) {
  const char quote = text.front();
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      const bool doubled = quote == '\'' && i + 1 < text.size() && text[i + 1] == quote;
      if (!doubled) return true;
      ++i;
    }
  }
  return false;
}

absl::Status AliasError(const YamlSource& source, Position at) {
  return source.Excerpt(at, "", "aliases are not part of pipeline files",
                        "write the value again; put a text that begins with * in quotes");
}

absl::Status TabError(const YamlSource& source, Position at) {
  at.column = static_cast<int>(std::min(source.Line(at.line).find('\t'), source.Line(at.line).size()));
  return source.Plain(at, "a tab cannot indent YAML",
                      {absl::StrCat("next: replace the tab on line ", at.line + 1, " by two spaces")},
                      code::kTab);
}

// Builds the tree while the parser reads and ends the parse at the first thing that is not allowed: that is
// what keeps hostile input cheap. Aliases are refused, so no value is ever repeated.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const YamlSource& source) : source_(source) {}

  YamlNode TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) {
      throw Refused{
          source_.Excerpt(At(mark), "---", "a second document begins here", "keep one pipeline per file")};
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    // The library has dropped the text: null, ~ or nothing at all. A null before a colon is the key that
    // follows.
    YamlNode node = Begin(mark, "", anchor);
    std::string_view line = source_.Line(node.at.line);
    line.remove_prefix(std::min<std::size_t>(node.at.column, line.size()));
    for (std::string_view spelling : {"null", "Null", "NULL", "~"}) {
      if (line.substr(0, spelling.size()) != spelling) continue;
      std::string_view after = line.substr(spelling.size());
      after.remove_prefix(std::min(after.find_first_not_of(" \t"), after.size()));
      if (!after.empty() && after.front() == ':') continue;
      node.text = spelling;
      node.kind = YamlNode::Kind::kScalar;
    }
    Add(std::move(node));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw Refused{AliasError(source_, At(mark))};
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode node = Begin(mark, tag, anchor);
    const char first = CharacterAt(source_, node.at);
    if ((first == '"' || first == '\'') && !IsClosed(source_.From(node.at))) {
      throw Refused{
          source_.Excerpt(node.at, "", "a quote is not closed", "write its end on this line or a later one")};
    }
    if (auto bad = FindBadByte(value, false)) {
      throw Refused{
          source_.Excerpt(node.at, "", absl::StrCat("an escape gives ", std::string(bad->why)), "")};
    }
    node.kind = YamlNode::Kind::kScalar;
    node.text = value;
    Add(std::move(node));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, YamlNode::Kind::kList);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, YamlNode::Kind::kMap);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Frame {
    YamlNode node;
    std::optional<std::pair<std::string, Position>> key;  // read, its value has not come yet
    std::unordered_map<std::string, int> lines;           // key → line where it was first
  };

  static Position At(const YAML::Mark& mark) { return {std::max(0, mark.line), std::max(0, mark.column)}; }

  YamlNode Begin(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    const Position at = At(mark);
    if (source_.IsIndentedByTab(at)) throw Refused{TabError(source_, at)};
    // Of an explicit tag the library only sometimes tells; the character at the mark always does.
    const char first = CharacterAt(source_, at);
    if (anchor != 0 || first == '&') {
      throw Refused{
          source_.Excerpt(at, "", "anchors are not part of pipeline files", "write the value again")};
    }
    if (first == '!' || !(tag.empty() || tag == "?" || tag == "!")) {
      throw Refused{source_.Excerpt(at, "", "tags are not part of pipeline files",
                                    "remove it; put a text that begins with ! in quotes")};
    }
    if (++nodes_ > limits::kPipelineNodes) {
      throw Refused{source_.Excerpt(at, "",
                                    absl::StrCat("more than ", limits::kPipelineNodes, " values in one file"),
                                    "split it, or move scripts into files")};
    }
    YamlNode node;
    node.at = at;
    return node;
  }

  void Open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YamlNode::Kind kind) {
    YamlNode node = Begin(mark, tag, anchor);
    node.kind = kind;
    if (stack_.size() >= limits::kPipelineDepth) {
      throw Refused{source_.Excerpt(
          node.at, "", absl::StrCat("more than ", limits::kPipelineDepth, " levels inside each other"), "")};
    }
    if (ExpectsKey()) RefuseKey(node.at);
    stack_.push_back({std::move(node), std::nullopt, {}});
  }

  void Close() {
    YamlNode node = std::move(stack_.back().node);
    stack_.pop_back();
    Add(std::move(node));
  }

  bool ExpectsKey() const { return !stack_.empty() && stack_.back().node.IsMap() && !stack_.back().key; }

  [[noreturn]] void RefuseKey(Position at) {
    throw Refused{source_.Excerpt(at, "", "a key must be one plain word", "")};
  }

  void Add(YamlNode node) {
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& frame = stack_.back();
    if (!ExpectsKey()) {
      if (frame.key) {
        node.key = std::move(frame.key->first);
        node.key_at = frame.key->second;
        frame.key.reset();
      }
      frame.node.children.push_back(std::move(node));
      return;
    }
    if (!node.IsScalar() || node.text.empty()) RefuseKey(node.at);
    if (node.text == "<<") {
      throw Refused{source_.Excerpt(node.at, node.text, "merge keys are not part of pipeline files",
                                    "write the keys out")};
    }
    auto [first, fresh] = frame.lines.emplace(node.text, node.at.line);
    if (!fresh) {
      throw Refused{source_.Plain(
          node.at,
          absl::StrCat("key ", Quoted(node.text), " appears twice (first at line ", first->second + 1, ")"),
          {"YAML would silently keep only one of them", "next: merge the two blocks"}, code::kDuplicateKey)};
    }
    frame.key.emplace(std::move(node.text), node.at);
  }

  const YamlSource& source_;
  YamlNode root_;
  std::vector<Frame> stack_;
  int nodes_ = 0;
  int documents_ = 0;
};

// A syntax error of the library in our form. Tabs get their own: the library's words for them differ by
// place.
absl::Status SyntaxError(const YamlSource& source, const YAML::Exception& error) {
  const Position at{std::max(0, error.mark.line), std::max(0, error.mark.column)};
  for (int line : {at.line, at.line - 1}) {
    const std::size_t text = source.Line(line).find_first_not_of(" \t");
    const Position indent{line, static_cast<int>(std::min(text, source.Line(line).size()))};
    if (source.IsIndentedByTab(indent)) return TabError(source, indent);
  }
  if (CharacterAt(source, at) == '*') return AliasError(source, at);
  std::string_view hint;
  if (error.msg == YAML::ErrorMsg::MAP_VALUE) hint = "a value with `: ` in it needs quotes";
  if (error.msg == YAML::ErrorMsg::EOF_IN_SCALAR) hint = "a quote before this is not closed";
  if (error.msg == YAML::ErrorMsg::END_OF_SEQ_FLOW) hint = "a `[` is not closed";
  if (error.msg == YAML::ErrorMsg::END_OF_MAP_FLOW) hint = "a `{` is not closed";
  return source.Excerpt(at, "", absl::StrCat("not valid YAML: ", error.msg), hint);
}

// The library obeys directives (%YAML, %TAG) without a word to us. They can only stand before everything
// else.
absl::Status RefuseDirectives(const YamlSource& source) {
  for (int i = 0; i < source.lines(); ++i) {
    std::string_view line = source.Line(i);
    if (line.empty() || line[0] == '#') continue;
    if (line[0] != '%') break;
    return source.Excerpt({i, 0}, "%", "directives are not part of pipeline files", "remove the line");
  }
  return absl::OkStatus();
}

}  // namespace

const YamlNode* YamlNode::Find(std::string_view wanted) const {
  for (const YamlNode& child : children) {
    if (child.key == wanted) return &child;
  }
  return nullptr;
}

absl::StatusOr<std::string> PrepareYaml(std::string_view text, std::string_view file) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.substr(0, kByteOrderMark.size()) == kByteOrderMark) text.remove_prefix(kByteOrderMark.size());
  auto bad = FindBadByte(text, true);
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size() && !bad; ++i) {
    if (text[i] != '\r') {
      out += text[i];
    } else if (i + 1 == text.size() || text[i + 1] != '\n') {
      bad = BadByte{i, "a carriage return without a line feed"};
    }
  }
  if (!bad) return out;
  // Only the place: the line itself is not fit to be shown.
  const Position at = YamlSource(text, file).At(bad->offset);
  return absl::InvalidArgumentError(absl::StrCat(absl::string_view(file.data(), file.size()), ":",
                                                 at.line + 1, ":", at.column + 1, ": ", std::string(bad->why),
                                                 "\n  next: save the file as plain UTF-8 text [",
                                                 std::string(code::kGeneral), "]"));
}

absl::StatusOr<YamlNode> ParseYaml(const YamlSource& source) {
  RETURN_IF_ERROR(RefuseDirectives(source));
  TreeBuilder builder(source);
  try {
    std::istringstream in{std::string(source.text())};
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Refused& refused) {
    return refused.status;
  } catch (const YAML::Exception& error) {
    return SyntaxError(source, error);
  }
  return builder.TakeRoot();
}

}  // namespace waggle::pipeline
