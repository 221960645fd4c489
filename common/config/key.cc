#include "common/config/key.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/duration.h"
#include "common/base/text.h"

namespace waggle::config {
namespace {

absl::string_view View(std::string_view text) {
  return {text.data(), text.size()};
}

std::string Spelled(std::chrono::seconds span) {
  const std::int64_t seconds = span.count();
  if (seconds > 24 * 3600 && seconds % (24 * 3600) == 0) return absl::StrCat(seconds / (24 * 3600), "d");
  if (seconds != 0 && seconds % 3600 == 0) return absl::StrCat(seconds / 3600, "h");
  if (seconds != 0 && seconds % 60 == 0) return absl::StrCat(seconds / 60, "m");
  return absl::StrCat(seconds, "s");
}

std::string Words(std::span<const std::string_view> words) {
  return absl::StrJoin(words, ", ", [](std::string* out, std::string_view word) { out->append(word); });
}

std::string Between(const Whole& rule) {
  return absl::StrCat(rule.least, " to ", rule.most,
                      rule.word.empty() ? "" : absl::StrCat(", or ", View(rule.word)));
}
std::string Between(const Real& rule) {
  return absl::StrCat(rule.least, " to ", rule.most);
}
std::string Between(const Duration& rule) {
  return absl::StrCat(Spelled(rule.least), " to ", Spelled(rule.most),
                      rule.word.empty() ? "" : absl::StrCat(", or ", View(rule.word)));
}

struct Checker {
  std::string_view text;

  std::optional<Fault> operator()(const Text& rule) const {
    if (text.empty()) return Fault{"is empty", "write a value, or leave it out"};
    return rule.check == nullptr ? std::nullopt : rule.check(text);
  }
  std::optional<Fault> operator()(const Path&) const {
    if (text.empty()) return Fault{"is empty", "write a path"};
    return std::nullopt;
  }
  std::optional<Fault> operator()(const Choice& rule) const {
    if (std::find(rule.words.begin(), rule.words.end(), text) != rule.words.end()) return std::nullopt;
    const std::string_view meant = DidYouMean(text, rule.words);
    return Fault{"is not known",
                 absl::StrCat(meant.empty() ? "" : absl::StrCat("did you mean ", Quoted(meant), "? "),
                              "use one of ", Words(rule.words))};
  }
  std::optional<Fault> operator()(const Whole& rule) const {
    std::int64_t number = 0;
    if (!rule.word.empty() && text == rule.word) return std::nullopt;
    const std::string hint = absl::StrCat("write ", Between(rule));
    // Only the usual spelling: 010, +1 and 0x10 mean different things to different people.
    if (!absl::SimpleAtoi(View(text), &number) || absl::StrCat(number) != View(text))
      return Fault{"is not a whole number", hint};
    if (number < rule.least || number > rule.most) return Fault{"is out of range", hint};
    return std::nullopt;
  }
  std::optional<Fault> operator()(const Real& rule) const {
    double number = 0;
    const std::string hint = absl::StrCat("write ", Between(rule), ", such as 1 or 2.5");
    const bool plain = text.find_first_not_of("0123456789.-+e") == std::string_view::npos;
    if (!plain || !absl::SimpleAtod(View(text), &number) || !std::isfinite(number))
      return Fault{"is not a number", hint};
    if (number < static_cast<double>(rule.least) || number > static_cast<double>(rule.most))
      return Fault{"is out of range", hint};
    return std::nullopt;
  }
  std::optional<Fault> operator()(const Duration& rule) const {
    if (!rule.word.empty() && text == rule.word) return std::nullopt;
    const ParsedDuration parsed = ParseDuration(text);
    const std::string hint =
        rule.word.empty() ? "write 90s, 2m or 1h30m" : absl::StrCat("write 12h, 90d or ", View(rule.word));
    if (parsed.fault == DurationFault::kNoUnit) return Fault{"has no unit", hint, /*no_unit=*/true};
    if (parsed.fault != DurationFault::kNone) return Fault{"is no duration", hint};
    if (parsed.value < rule.least || parsed.value > rule.most)
      return Fault{"is out of range", absl::StrCat("write ", Between(rule))};
    return std::nullopt;
  }
  std::optional<Fault> operator()(const Entries&) const { return std::nullopt; }
};

struct Kind {
  std::string operator()(const Text&) const { return "text"; }
  std::string operator()(const Path& rule) const {
    return rule.several ? "paths, a colon between two" : "path";
  }
  std::string operator()(const Choice& rule) const { return absl::StrCat("one of ", Words(rule.words)); }
  std::string operator()(const Whole& rule) const { return absl::StrCat("whole number, ", Between(rule)); }
  std::string operator()(const Real& rule) const { return absl::StrCat("number, ", Between(rule)); }
  std::string operator()(const Duration& rule) const { return absl::StrCat("duration, ", Between(rule)); }
  std::string operator()(const Entries& rule) const {
    return absl::StrCat("NAME: value below it, at most ", rule.most);
  }
};

}  // namespace

std::string FlagsOf(const Key& key) {
  if (!key.flags.empty()) return std::string(key.flags);
  std::string flag = absl::StrCat("--", View(key.name));
  for (char& c : flag) {
    if (c == '.' || c == '_') c = '-';
  }
  return flag;
}

std::string FlagOf(const Key& key) {
  const std::string flags = FlagsOf(key);
  const std::string from = flags.substr(flags.find("--"));
  return from.substr(0, from.find(','));
}

std::string VariableOf(const Program& program, const Key& key) {
  std::string name = absl::AsciiStrToUpper(View(key.name));
  std::replace(name.begin(), name.end(), '.', '_');
  return absl::StrCat(View(program.prefix), name);
}

std::string KindOf(const Key& key) {
  return std::visit(Kind{}, key.rule);
}

std::optional<Fault> Check(const Key& key, std::string_view text) {
  if (const auto bad = FindBadByte(text, true)) {
    return Fault{absl::StrCat("has ", View(bad->why), " in it"), "write plain UTF-8 text"};
  }
  return std::visit(Checker{text}, key.rule);
}

std::optional<std::pair<std::string, std::string>> SplitEntry(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string_view::npos) return std::nullopt;
  return std::make_pair(std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)));
}

}  // namespace waggle::config
