#include "common/yaml/source.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace waggle::yaml {
namespace {

constexpr std::size_t kShownCharacters = 100;  // of a line in an excerpt
constexpr std::size_t kShownBefore = 40;       // of them before the position, when the line is longer

absl::string_view View(std::string_view text) {
  return {text.data(), text.size()};
}

bool StartsCharacter(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

std::size_t Characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), StartsCharacter));
}

// The first `count` characters.
std::string_view Prefix(std::string_view text, std::size_t count) {
  std::size_t i = 0;
  for (; i < text.size(); ++i) {
    if (StartsCharacter(text[i]) && count-- == 0) break;
  }
  return text.substr(0, i);
}

}  // namespace

Source::Source(std::string_view text, std::string_view file, const Dialect& dialect)
    : text_(text), file_(file), dialect_(dialect), starts_{0} {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') starts_.push_back(i + 1);
  }
}

std::string_view Source::Line(int line) const {
  if (line < 0 || static_cast<std::size_t>(line) >= starts_.size()) return {};
  const auto next = static_cast<std::size_t>(line) + 1;
  const std::size_t end = next < starts_.size() ? starts_[next] - 1 : text_.size();
  return text_.substr(starts_[line], end - starts_[line]);
}

Position Source::At(std::size_t offset) const {
  auto after = std::upper_bound(starts_.begin(), starts_.end(), offset);
  const auto line = static_cast<int>(after - starts_.begin()) - 1;
  return {line, static_cast<int>(offset - starts_[line])};
}

std::string_view Source::From(Position at) const {
  if (at.line < 0 || at.line >= lines()) return {};
  return text_.substr(std::min(text_.size(), starts_[at.line] + at.column));
}

bool Source::IsIndentedByTab(Position at) const {
  std::string_view before = Line(at.line).substr(0, at.column);
  return before.find('\t') != std::string_view::npos &&
         before.find_first_not_of(" \t") == std::string_view::npos;
}

std::string Source::Head(Position at, std::string_view what) const {
  std::string_view line = Line(at.line);
  const std::size_t column = std::min<std::size_t>(at.column, line.size());
  return absl::StrCat(View(file_), ":", at.line + 1, ":", Characters(line.substr(0, column)) + 1, ": ",
                      View(what));
}

absl::Status Source::End(std::string message, std::string_view code) const {
  if (!dialect_.closing.empty()) absl::StrAppend(&message, "\n  ", View(dialect_.closing));
  if (code.empty()) code = dialect_.general;
  if (!code.empty()) absl::StrAppend(&message, " [", View(code), "]");
  return absl::InvalidArgumentError(message);
}

absl::Status Source::Excerpt(Position at, std::string_view word, std::string_view what, std::string_view hint,
                             std::string_view code) const {
  std::string_view line = Line(at.line);
  const std::size_t column = std::min<std::size_t>(at.column, line.size());
  std::string_view before = line.substr(0, column), after = line.substr(column);
  word = word.substr(0, word.find('\n'));
  if (word.empty() || after.substr(0, word.size()) != word) word = {};
  std::string_view lead, trail;
  if (Characters(line) > kShownCharacters) {
    const std::size_t skipped = Characters(before) > kShownBefore ? Characters(before) - kShownBefore : 0;
    if (skipped > 0) lead = "…";
    before.remove_prefix(Prefix(before, skipped).size());
    std::string_view kept = Prefix(after, kShownCharacters - Characters(before));
    if (kept.size() < after.size()) trail = "…";
    after = kept;
  }
  const std::size_t carets = std::max<std::size_t>(1, Characters(after.substr(0, word.size())));
  // Blanks are copied so that a tab before the caret is as wide as the one above it.
  std::string pad(Characters(lead), ' ');
  for (char c : before) {
    if (StartsCharacter(c)) pad += c == '\t' ? '\t' : ' ';
  }
  const std::string number = absl::StrCat(at.line + 1);
  std::string out = Head(at, what);
  absl::StrAppend(&out, "\n  ", number, " | ", View(lead), View(before));
  absl::StrAppend(&out, View(after), View(trail));
  absl::StrAppend(&out, "\n  ", std::string(number.size(), ' '), " | ", pad, std::string(carets, '^'));
  if (!hint.empty()) absl::StrAppend(&out, " ", View(hint));
  return End(std::move(out), code);
}

absl::Status Source::Plain(Position at, std::string_view what, std::vector<std::string> lines,
                           std::string_view code) const {
  std::string out = Head(at, what);
  for (const std::string& line : lines) absl::StrAppend(&out, "\n  ", line);
  return End(std::move(out), code);
}

}  // namespace waggle::yaml
