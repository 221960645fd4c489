#include "tools/waggle/text.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace waggle::cli {
namespace {

bool LocaleIsUtf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    std::string lower = absl::AsciiStrToLower(value);
    return lower.find("utf-8") != std::string::npos || lower.find("utf8") != std::string::npos;
  }
  return false;
}

bool Terminal(int fd) {
  const char* term = std::getenv("TERM");
  return isatty(fd) == 1 && (term == nullptr || std::string_view(term) != "dumb");
}

struct Look {
  std::string_view icon, ascii, color;
};

Look LookOf(JobState state) {
  switch (state) {
    case JobState::kCreated:
      return {"·", "(.)", "90"};
    case JobState::kQueued:
      return {"◷", "(q)", "33"};
    case JobState::kReceived:
    case JobState::kStarted:
      return {"▶", "(>)", "34"};
    case JobState::kPassed:
      return {"✓", "ok", "32"};
    case JobState::kFailed:
      return {"✗", "XX", "31"};
    case JobState::kErrored:
      return {"⚡", "EE", "35"};
    case JobState::kCanceled:
      return {"⊘", "CA", "90"};
    case JobState::kSkipped:
      return {"»", "--", "90"};
  }
  return {"?", "?", "0"};
}

std::string Two(std::int64_t n) {
  return n < 10 ? absl::StrCat("0", n) : absl::StrCat(n);
}

}  // namespace

Style Style::Detect(ColorMode mode, int fd) {
  const char* no_color = std::getenv("NO_COLOR");
  bool refused = no_color != nullptr && *no_color != '\0';
  Style style;
  style.color = mode == ColorMode::kAlways || (mode == ColorMode::kAuto && !refused && Terminal(fd));
  style.unicode = LocaleIsUtf8();
  return style;
}

std::string_view Style::Icon(JobState state) const {
  Look look = LookOf(state);
  return unicode ? look.icon : look.ascii;
}

std::string Style::Painted(JobState state, std::string_view text) const {
  if (!color) return std::string(text);
  return absl::StrCat("\x1b[", std::string(LookOf(state).color), "m", std::string(text), "\x1b[0m");
}

std::string ClockTime(std::int64_t millis) {
  std::int64_t seconds = std::max<std::int64_t>(millis, 0) / 1000;
  if (seconds < 3600) return absl::StrCat(seconds / 60, ":", Two(seconds % 60));
  return absl::StrCat(seconds / 3600, ":", Two(seconds / 60 % 60), ":", Two(seconds % 60));
}

std::string Seconds(std::int64_t millis) {
  if (millis >= 60'000) return ClockTime(millis);
  millis = std::max<std::int64_t>(millis, 0);
  std::int64_t hundredths = (millis + 5) / 10;
  if (millis >= 10'000) return absl::StrCat(millis / 1000, ".", millis / 100 % 10, " s");
  return absl::StrCat(hundredths / 100, ".", Two(hundredths % 100), " s");
}

std::string Age(std::int64_t millis) {
  std::int64_t seconds = std::max<std::int64_t>(millis, 0) / 1000;
  if (seconds < 60) return absl::StrCat(seconds, "s");
  if (seconds < 3600) return absl::StrCat(seconds / 60, "m");
  if (seconds < 48 * 3600) return absl::StrCat(seconds / 3600, "h");
  return absl::StrCat(seconds / 86400, "d");
}

std::string WallTime(std::int64_t wall_millis) {
  if (wall_millis == 0) return "";
  std::time_t seconds = static_cast<std::time_t>(wall_millis / 1000);
  std::tm utc{};
  if (gmtime_r(&seconds, &utc) == nullptr) return "";
  char text[64];
  std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return std::string(text, size);
}

std::string Count(std::uint64_t number) {
  std::string digits = absl::StrCat(number);
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}

std::string Size(std::uint64_t kib) {
  if (kib == 0) return "";
  if (kib < 10 * 1024) return absl::StrCat(kib, "K");
  if (kib < 10 * 1024 * 1024) return absl::StrCat(kib / 1024, "M");
  return absl::StrCat(kib / (1024 * 1024), "G");
}

std::string Plural(std::uint64_t number, std::string_view noun) {
  return absl::StrCat(number, " ", std::string(noun), number == 1 ? "" : "s");
}

std::string OneLine(std::string_view text, std::size_t max_columns, const Style& style) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  std::size_t end = text.find('\n');
  bool cut = end != std::string_view::npos;
  std::string line;
  std::size_t columns = 0;
  for (char c : text.substr(0, end)) {
    auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0) != 0x80 && ++columns > max_columns) {
      cut = true;
      break;
    }
    line.push_back(c == '\t' ? ' ' : byte < 0x20 || byte == 0x7F ? '?' : c);
  }
  if (cut) absl::StrAppend(&line, " ", std::string(style.Ellipsis()));
  return line;
}

std::size_t Columns(std::string_view text) {
  std::size_t columns = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      i = std::min(text.find('m', i), text.size() - 1);
    } else if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) {
      bool wide = text.substr(i).starts_with("⚡");
      columns += wide ? 2 : 1;
    }
  }
  return columns;
}

std::string Padded(std::string_view text, std::size_t columns) {
  std::size_t have = Columns(text);
  std::string padded(text);
  if (have < columns) padded.append(columns - have, ' ');
  return padded;
}

std::string Table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Columns(row[i]));
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&line, i == 0 ? " " : "  ", Padded(row[i], widths[i]));
    }
    while (line.ends_with(' ')) line.pop_back();
    absl::StrAppend(&out, line, "\n");
  }
  return out;
}

}  // namespace waggle::cli
