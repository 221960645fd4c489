#include "common/yaml/tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <istream>
#include <optional>
#include <streambuf>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"

namespace waggle::yaml {
namespace {

// Carries our error out through the parser's stack; never leaves this file.
struct Refused {
  absl::Status status;
};

char CharacterAt(const Source& source, Position at) {
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

std::string Noun(const Source& source) {
  return std::string(source.dialect().noun);
}

std::string NotPart(const Source& source, std::string_view what) {
  return absl::StrCat(std::string(what), " are not part of ", Noun(source), " files");
}

absl::Status AliasError(const Source& source, Position at) {
  return source.Excerpt(at, "", NotPart(source, "aliases"),
                        "write the value again; put a text that begins with * in quotes");
}

absl::Status TabError(const Source& source, Position at) {
  at.column = static_cast<int>(std::min(source.Line(at.line).find('\t'), source.Line(at.line).size()));
  return source.Plain(at, "a tab cannot indent YAML",
                      {absl::StrCat("next: replace the tab on line ", at.line + 1, " by two spaces")},
                      source.dialect().tab);
}

// Gives the text to the library, no further than a bound ahead of the last value it has told us of. In
// brackets it keeps every token until the last of them is closed, at up to 250 bytes for each byte of text.
class BoundedText : public std::streambuf {
 public:
  explicit BoundedText(std::string_view text) : text_(text) {}
  void Told() { told_ = given_; }
  bool starved() const { return starved_; }

 private:
  int_type underflow() override {
    starved_ = starved_ || (given_ < text_.size() && given_ - told_ >= limits::kPipelineUntold);
    if (starved_ || given_ == text_.size()) return traits_type::eof();
    const std::size_t size = std::min<std::size_t>(text_.size() - given_, 4 * limits::kKiB);
    char* begin = const_cast<char*>(text_.data() + given_);  // read only: nothing is ever put
    setg(begin, begin, begin + size);
    given_ += size;
    return traits_type::to_int_type(*begin);
  }

  const std::string_view text_;
  std::size_t given_ = 0, told_ = 0;
  bool starved_ = false;
};

// Builds the tree while the parser reads and ends the parse at the first thing that is not allowed: that is
// what keeps hostile input cheap. Aliases are refused, so no value is ever repeated.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const Source& source, BoundedText& text) : source_(source), text_(text) {}

  Node TakeRoot() { return std::move(root_); }
  Position last() const { return last_; }  // where the last value began

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) {
      throw Refused{source_.Excerpt(At(mark), "---", "a second document begins here",
                                    absl::StrCat("keep one ", Noun(source_), " per file"))};
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    // The library has dropped the text: null, ~ or nothing at all. A null before a colon is the key that
    // follows.
    Node node = Begin(mark, "", anchor);
    std::string_view line = source_.Line(node.at.line);
    line.remove_prefix(std::min<std::size_t>(node.at.column, line.size()));
    for (std::string_view spelling : {"null", "Null", "NULL", "~"}) {
      if (line.substr(0, spelling.size()) != spelling) continue;
      std::string_view after = line.substr(spelling.size());
      after.remove_prefix(std::min(after.find_first_not_of(" \t"), after.size()));
      if (!after.empty() && after.front() == ':') continue;
      node.text = spelling;
      node.kind = Node::Kind::kScalar;
    }
    Add(std::move(node));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw Refused{AliasError(source_, At(mark))};
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node node = Begin(mark, tag, anchor);
    const char first = CharacterAt(source_, node.at);
    if ((first == '"' || first == '\'') && !IsClosed(source_.From(node.at))) {
      throw Refused{
          source_.Excerpt(node.at, "", "a quote is not closed", "write its end on this line or a later one")};
    }
    if (auto bad = FindBadByte(value, false)) {
      throw Refused{
          source_.Excerpt(node.at, "", absl::StrCat("an escape gives ", std::string(bad->why)), "")};
    }
    node.kind = Node::Kind::kScalar;
    node.text = value;
    Add(std::move(node));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, Node::Kind::kList);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, Node::Kind::kMap);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Frame {
    Node node;
    std::optional<std::pair<std::string, Position>> key;  // read, its value has not come yet
    std::unordered_map<std::string, int> lines;           // key → line where it was first
  };

  static Position At(const YAML::Mark& mark) { return {std::max(0, mark.line), std::max(0, mark.column)}; }

  Node Begin(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    const Position at = At(mark);
    text_.Told();
    last_ = at;
    if (source_.IsIndentedByTab(at)) throw Refused{TabError(source_, at)};
    // Of an explicit tag the library only sometimes tells; the character at the mark always does.
    const char first = CharacterAt(source_, at);
    if (anchor != 0 || first == '&') {
      throw Refused{source_.Excerpt(at, "", NotPart(source_, "anchors"), "write the value again")};
    }
    if (first == '!' || !(tag.empty() || tag == "?" || tag == "!")) {
      throw Refused{source_.Excerpt(at, "", NotPart(source_, "tags"),
                                    "remove it; put a text that begins with ! in quotes")};
    }
    if (++nodes_ > limits::kPipelineNodes) {
      throw Refused{source_.Excerpt(at, "",
                                    absl::StrCat("more than ", limits::kPipelineNodes, " values in one file"),
                                    "split it, or move scripts into files")};
    }
    Node node;
    node.at = at;
    return node;
  }

  void Open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node::Kind kind) {
    Node node = Begin(mark, tag, anchor);
    node.kind = kind;
    if (stack_.size() >= limits::kPipelineDepth) {
      throw Refused{source_.Excerpt(
          node.at, "", absl::StrCat("more than ", limits::kPipelineDepth, " levels inside each other"), "")};
    }
    if (ExpectsKey()) RefuseKey(node.at);
    stack_.push_back({std::move(node), std::nullopt, {}});
  }

  void Close() {
    Node node = std::move(stack_.back().node);
    stack_.pop_back();
    Add(std::move(node));
  }

  bool ExpectsKey() const { return !stack_.empty() && stack_.back().node.IsMap() && !stack_.back().key; }

  [[noreturn]] void RefuseKey(Position at) {
    throw Refused{source_.Excerpt(at, "", "a key must be one plain word", "")};
  }

  void Add(Node node) {
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
      throw Refused{
          source_.Excerpt(node.at, node.text, NotPart(source_, "merge keys"), "write the keys out")};
    }
    auto [first, fresh] = frame.lines.emplace(node.text, node.at.line);
    if (!fresh) {
      throw Refused{source_.Plain(
          node.at,
          absl::StrCat("key ", Quoted(node.text), " appears twice (first at line ", first->second + 1, ")"),
          {"YAML would silently keep only one of them", "next: merge the two blocks"},
          source_.dialect().duplicate_key)};
    }
    frame.key.emplace(std::move(node.text), node.at);
  }

  const Source& source_;
  BoundedText& text_;
  Position last_;
  Node root_;
  std::vector<Frame> stack_;
  int nodes_ = 0;
  int documents_ = 0;
};

// A syntax error of the library in our form. Tabs get their own: the library's words for them differ by
// place.
absl::Status SyntaxError(const Source& source, const YAML::Exception& error) {
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
  std::string what = error.msg;
  if (what.rfind(YAML::ErrorMsg::INVALID_ESCAPE, 0) == 0) {
    // The library ends this one with a raw byte of the text, which may be a part of a character.
    what = "this is no escape";
    hint = "write \\\\ for a backslash, or put the text in single quotes";
  }
  return source.Excerpt(at, "", absl::StrCat("not valid YAML: ", what), hint);
}

absl::Status StarvedError(const Source& source, Position at) {
  return source.Excerpt(at, "",
                        absl::StrCat("more than ", limits::kPipelineUntold / limits::kKiB,
                                     " KiB in one text or one pair of brackets"),
                        "move scripts into files; write long lists without brackets, one `- ` to a line");
}

// The library obeys directives (%YAML, %TAG) without a word to us. They can only stand before everything
// else.
absl::Status RefuseDirectives(const Source& source) {
  for (int i = 0; i < source.lines(); ++i) {
    std::string_view line = source.Line(i);
    if (line.empty() || line[0] == '#') continue;
    if (line[0] != '%') break;
    return source.Excerpt({i, 0}, "%", NotPart(source, "directives"), "remove the line");
  }
  return absl::OkStatus();
}

}  // namespace

const Node* Node::Find(std::string_view wanted) const {
  for (const Node& child : children) {
    if (child.key == wanted) return &child;
  }
  return nullptr;
}

absl::StatusOr<std::string> Prepare(std::string_view text, std::string_view file, const Dialect& dialect) {
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
  const Source source(text, file, dialect);
  return source.Plain(source.At(bad->offset), bad->why, {"next: save the file as plain UTF-8 text"});
}

absl::StatusOr<Node> Parse(const Source& source) {
  RETURN_IF_ERROR(RefuseDirectives(source));
  BoundedText text(source.text());
  TreeBuilder builder(source, text);
  try {
    std::istream in(&text);
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Refused& refused) {
    return refused.status;
  } catch (const YAML::Exception& error) {
    return text.starved() ? StarvedError(source, builder.last()) : SyntaxError(source, error);
  }
  if (text.starved()) return StarvedError(source, builder.last());
  return builder.TakeRoot();
}

}  // namespace waggle::yaml
