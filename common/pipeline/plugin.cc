#include <string_view>

#include "common/pipeline/job_spec.h"

namespace waggle::pipeline {
namespace {

// The text from `from` on, without blanks before it.
std::string_view After(std::string_view json, std::size_t from) {
  const std::size_t at = json.find_first_not_of(" \t\r\n", from);
  return at == std::string_view::npos ? std::string_view() : json.substr(at);
}

}  // namespace

// One pass over the object's own fields; pipelines are read where no JSON library is.
bool Plugin::enabled() const {
  const std::string_view json = config_json;
  int depth = 0;
  bool key = false;  // the next text is the name of a field of the outermost object
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (c == '{' || c == '[') key = ++depth == 1;
    if (c == '}' || c == ']') --depth;
    if (c == ',') key = depth == 1;
    if (c != '"') continue;
    std::size_t end = i + 1;
    while (end < json.size() && json[end] != '"') end += json[end] == '\\' ? 2 : 1;
    const bool named = key && end < json.size() && json.substr(i + 1, end - i - 1) == "enabled";
    key = false;
    if (named) {
      const std::string_view colon = After(json, end + 1);
      const std::string_view value = colon.starts_with(':') ? After(colon, 1) : std::string_view();
      return !value.starts_with("false") && !value.starts_with("\"false\"");
    }
    i = end;
  }
  return true;
}

}  // namespace waggle::pipeline
