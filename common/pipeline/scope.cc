#include "common/pipeline/scope.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace waggle::pipeline {

const std::string* Scope::Find(std::string_view name) const {
  for (const auto& [known, value] : names) {
    if (known == name) return &value;
  }
  return nullptr;
}

Filled Fill(std::string_view text, const Scope& scope) {
  Filled out;
  while (!text.empty()) {
    const std::size_t at = std::min(text.find("${"), text.size());
    if (at > 0 && at < text.size() && text[at - 1] == '$') {
      out.text.append(text.substr(0, at - 1)).append("${");
      text.remove_prefix(at + 2);
      continue;
    }
    out.text.append(text.substr(0, at));
    text.remove_prefix(at);
    if (text.empty()) break;
    const std::size_t end = text.find('}');
    std::string_view name = text.substr(2, end == std::string_view::npos ? 0 : end - 2);
    const std::string* value = scope.Find(name);
    if (value == nullptr) {
      out.unknown = text.substr(0, end == std::string_view::npos ? 2 : end + 1);
      out.name = name;
      return out;
    }
    out.text.append(*value);
    text.remove_prefix(end + 1);
  }
  return out;
}

std::string_view FindDotted(std::string_view script) {
  auto word = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.';
  };
  for (std::size_t at = script.find("${"); at != std::string_view::npos; at = script.find("${", at + 2)) {
    if (at > 0 && script[at - 1] == '\\') continue;  // escaped: for whoever reads what the script prints
    if (script.substr(at, 3) == "${{") {
      const std::size_t end = script.find("}}", at);
      const std::size_t line = script.find('\n', at);
      return script.substr(at, end < line ? end + 2 - at : 3);
    }
    std::size_t end = at + 2;
    while (end < script.size() && word(script[end])) ++end;
    const std::string_view name = script.substr(at + 2, end - at - 2);
    const bool closed = end < script.size() && script[end] == '}';
    const bool dotted = name.find('.') != std::string_view::npos && name.front() != '.' && name.back() != '.';
    if (closed && dotted && absl::ascii_isalpha(static_cast<unsigned char>(name.front()))) {
      return script.substr(at, end + 1 - at);
    }
  }
  return {};
}

}  // namespace waggle::pipeline
