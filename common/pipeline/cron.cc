#include <algorithm>
#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/text.h"
#include "common/pipeline/trigger.h"

namespace waggle::pipeline {
namespace {

struct Field {
  std::string_view name;
  int least, most;
};
constexpr Field kFields[] = {
    {"minute", 0, 59}, {"hour", 0, 23}, {"day", 1, 31}, {"month", 1, 12}, {"weekday", 0, 7}};

// A number at the front of `text`, which is taken; -1 if there is none.
int TakeNumber(std::string_view* text) {
  int value = -1;
  for (int digits = 0; digits < 4 && !text->empty() && absl::ascii_isdigit(text->front()); ++digits) {
    value = std::max(value, 0) * 10 + (text->front() - '0');
    text->remove_prefix(1);
  }
  return value;
}

// `*`, N or N-M, with /STEP behind it.
bool IsPart(std::string_view part, const Field& field) {
  if (!part.empty() && part.front() == '*') {
    part.remove_prefix(1);
  } else {
    const int first = TakeNumber(&part);
    int last = first;
    if (!part.empty() && part.front() == '-') {
      part.remove_prefix(1);
      last = TakeNumber(&part);
    }
    if (first < field.least || last < first || last > field.most) return false;
  }
  if (part.empty()) return true;
  if (part.front() != '/') return false;
  part.remove_prefix(1);
  const int step = TakeNumber(&part);
  return part.empty() && step >= 1 && step <= field.most;
}

bool IsField(std::string_view text, const Field& field) {
  while (true) {
    const std::size_t comma = std::min(text.find(','), text.size());
    if (!IsPart(text.substr(0, comma), field)) return false;
    if (comma == text.size()) return true;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace

std::string CronFault(std::string_view text) {
  std::size_t count = 0;
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    if (text.empty()) break;
    const std::string_view field = text.substr(0, text.find(' '));
    if (count < std::size(kFields) && !IsField(field, kFields[count])) {
      return absl::StrCat(Quoted(field), " is no ", std::string(kFields[count].name));
    }
    ++count;
    text.remove_prefix(field.size());
  }
  return count == std::size(kFields) ? "" : absl::StrCat(count, " fields instead of 5");
}

}  // namespace waggle::pipeline
