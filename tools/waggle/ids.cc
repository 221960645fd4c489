#include "tools/waggle/ids.h"

#include <charconv>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace waggle::cli {
namespace {

// A positive decimal number and nothing else; 0 = it is not one.
std::uint64_t Number(std::string_view text) {
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : 0;
}

absl::Status Unreadable(std::string_view text, std::string_view expected) {
  return absl::InvalidArgumentError(
      absl::StrCat("cannot read `", std::string(text), "`\nexpected ", std::string(expected)));
}

constexpr std::string_view kSpellings =
    "a job such as 12, 12@2 (its second attempt) or @last, or a run such as r5";

}  // namespace

absl::StatusOr<Target> ParseTarget(std::string_view text) {
  if (text == "@last") return Target{Target::Kind::kLastJob, 0, 0};
  if (text.starts_with('r')) {
    std::uint64_t run = Number(text.substr(1));
    if (run == 0) return Unreadable(text, kSpellings);
    return Target{Target::Kind::kRun, run, 0};
  }
  std::size_t at = text.find('@');
  Target target{Target::Kind::kJob, Number(text.substr(0, at)), 0};
  if (target.id == 0) return Unreadable(text, kSpellings);
  if (at != std::string_view::npos) {
    std::uint64_t attempt = Number(text.substr(at + 1));
    if (attempt == 0 || attempt > std::numeric_limits<std::uint32_t>::max())
      return Unreadable(text, kSpellings);
    target.attempt = static_cast<std::uint32_t>(attempt);
  }
  return target;
}

absl::StatusOr<Target> ParseJobTarget(std::string_view text) {
  ASSIGN_OR_RETURN(Target target, ParseTarget(text));
  if (target.kind == Target::Kind::kRun) {
    return absl::InvalidArgumentError(absl::StrCat("`", std::string(text), "` is a run, this needs a job",
                                                   "\nnext: waggle jobs --run ", std::string(text)));
  }
  return target;
}

absl::StatusOr<std::uint64_t> ParseRun(std::string_view text) {
  std::uint64_t run = Number(text.starts_with('r') ? text.substr(1) : text);
  if (run == 0) return Unreadable(text, "a run such as r5");
  return run;
}

absl::StatusOr<LineRange> ParseLines(std::string_view text) {
  std::size_t dash = text.find('-');
  LineRange range;
  range.first = Number(text.substr(0, dash));
  if (dash == std::string_view::npos) {
    range.last = range.first;
  } else if (dash + 1 < text.size()) {
    range.last = Number(text.substr(dash + 1));
    if (range.last < range.first) range.first = 0;
  }
  if (range.first == 0) return Unreadable(text, "lines such as 210-240, 210- or 210; the first line is 1");
  return range;
}

}  // namespace waggle::cli
