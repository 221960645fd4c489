#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/config/settings.h"

namespace waggle::config {
namespace {

absl::string_view View(std::string_view text) {
  return {text.data(), text.size()};
}

bool IsPlain(std::string_view text) {
  constexpr std::string_view kAlways = "_./@%+=-";
  if (text.empty() || !(absl::ascii_isalnum(static_cast<unsigned char>(text[0])) || text[0] == '/'))
    return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool inner_colon = text[i] == ':' && i + 1 < text.size();
    if (!absl::ascii_isalnum(static_cast<unsigned char>(text[i])) &&
        kAlways.find(text[i]) == std::string_view::npos && !inner_colon) {
      return false;
    }
  }
  return true;
}

// As a YAML scalar. Values are UTF-8 without control characters but tab and line ends.
std::string Scalar(std::string_view text) {
  if (IsPlain(text)) return std::string(text);
  std::string out = "\"";
  for (char c : text) {
    switch (c) {
      case '"':
      case '\\':
        out += '\\';
        out += c;
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += c;
    }
  }
  return out + "\"";
}

struct Line {
  std::string text, comment;
};

std::string Indent(std::size_t levels) {
  return std::string(2 * levels, ' ');
}

// The key's own line, below its group.
Line ValueLine(const Shown& shown, std::size_t levels, std::string_view word) {
  if (!shown.set) return {absl::StrCat(Indent(levels), "# ", View(word), ": ", shown.value), ""};
  return {absl::StrCat(Indent(levels), Scalar(word), ": ", Scalar(shown.value)), shown.origin};
}

}  // namespace

std::string ShowSettings(const Settings& settings, bool origin) {
  std::vector<Line> lines;
  std::string group;  // the mapping that is open
  for (const Key& key : settings.program().keys) {
    const std::string name(key.name);
    const bool several = std::holds_alternative<Entries>(key.rule);
    const std::size_t dot = name.find('.');
    for (const Shown& shown : settings.All()) {
      const bool entry = several && absl::StartsWith(shown.key, name + ".");
      if (shown.key != name && !entry) continue;
      const std::string within = entry ? name : dot == std::string::npos ? "" : name.substr(0, dot);
      if (within != group && !within.empty()) lines.push_back({within + ":", ""});
      group = within;
      const std::string word = within.empty() ? shown.key : shown.key.substr(within.size() + 1);
      lines.push_back(ValueLine(shown, within.empty() ? 0 : 1, word));
    }
  }
  std::size_t width = 0;
  for (const Line& line : lines) {
    if (!line.comment.empty()) width = std::max(width, line.text.size());
  }
  std::string out;
  for (const Line& line : lines) {
    out += line.text;
    if (origin && !line.comment.empty())
      absl::StrAppend(&out, std::string(width - line.text.size() + 2, ' '), "# ", line.comment);
    out += '\n';
  }
  return out;
}

std::string ShowKeys(const Program& program) {
  std::string out;
  for (const Key& key : program.keys) {
    absl::StrAppend(&out, View(key.name), "\n  ", View(key.help), "\n  ", KindOf(key));
    if (!key.fallback.empty()) {
      absl::StrAppend(&out, "; default ", View(key.fallback));
    } else {
      absl::StrAppend(&out, "; ",
                      key.unset.empty() ? "must be given" : absl::StrCat("default: ", View(key.unset)));
    }
    absl::StrAppend(&out, "; ", key.live ? "live" : View(program.changes), "\n  ", FlagsOf(key), " ",
                    View(key.placeholder), " · ", VariableOf(program, key), "\n");
  }
  return out;
}

}  // namespace waggle::config
