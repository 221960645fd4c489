#include "drone/plugins/config.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"

namespace waggle::plugins {
namespace {

using Json = nlohmann::json;
using Type = Setting::Type;

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

absl::Status Bad(std::string what) {
  return absl::InvalidArgumentError(what);
}

// The text of a scalar; nullopt: it is none.
std::optional<std::string> TextOf(const Json& json) {
  if (const auto* text = json.get_ptr<const Json::string_t*>()) return *text;
  if (json.is_number() || json.is_boolean()) return Dump(json);
  return std::nullopt;
}

std::string Kind(const Json& json) {
  if (json.is_array()) return "a list";
  if (json.is_object()) return "a mapping";
  if (json.is_null()) return "nothing";
  return Quoted(TextOf(json).value_or(""));
}

absl::Status Must(std::string_view be, const Json& json) {
  return Bad(absl::StrCat("must be ", std::string(be), ", not ", Kind(json)));
}

// An environment variable holds no NUL.
absl::StatusOr<std::string> Text(const Json& json, std::string_view be) {
  const std::optional<std::string> text = TextOf(json);
  if (!text) return Must(be, json);
  if (text->find('\0') != std::string::npos) return Bad("has a NUL byte in it");
  return *text;
}

absl::StatusOr<Json> ToList(const Json& json) {
  if (!json.is_array()) return Must("a list of texts", json);
  Json out = Json::array();
  for (const Json& element : json) {
    ASSIGN_OR_RETURN(std::string text, Text(element, "a list of texts"));
    out.push_back(std::move(text));
  }
  return out;
}

absl::StatusOr<Json> ToMap(const Json& json) {
  if (!json.is_object()) return Must("a mapping of texts", json);
  Json out = Json::object();
  for (const auto& [name, element] : json.items()) {
    ASSIGN_OR_RETURN(out[name], Text(element, "a mapping of texts"));
  }
  return out;
}

absl::StatusOr<Json> Take(const Setting& setting, const Json& json) {
  if (setting.type == Type::kList) return ToList(json);
  if (setting.type == Type::kMap) return ToMap(json);
  const bool flag = setting.type == Type::kBoolean, whole = setting.type == Type::kInteger;
  ASSIGN_OR_RETURN(std::string text, Text(json, flag    ? "true or false"
                                                : whole ? "a whole number"
                                                        : "a text"));
  if (flag) {
    if (text != "true" && text != "false") return Must("true or false", json);
    return Json(text == "true");
  }
  if (whole) {
    std::int64_t number = 0;
    if (!absl::SimpleAtoi(text, &number)) return Must("a whole number", json);
    return Json(number);
  }
  if (setting.type == Type::kEnum &&
      std::find(setting.values.begin(), setting.values.end(), text) == setting.values.end()) {
    return Must(absl::StrCat("one of ", absl::StrJoin(setting.values, ", ")), json);
  }
  return Json(std::move(text));
}

std::string ForShell(const Json& json) {
  if (const std::optional<std::string> text = TextOf(json)) return *text;
  std::string out;
  for (const auto& [name, value] : json.items()) {
    absl::StrAppend(&out, out.empty() ? "" : "\n", json.is_object() ? name + "=" : "",
                    TextOf(value).value_or(""));
  }
  return out;
}

absl::Status Unknown(const Manifest& manifest, const std::string& name) {
  std::vector<std::string_view> known = {"enabled"};
  for (const Setting& setting : manifest.config) known.push_back(setting.name);
  const std::string_view meant = DidYouMean(name, known);
  const std::string all =
      absl::StrJoin(known, ", ", [](std::string* out, std::string_view word) { out->append(word); });
  return Bad(absl::StrCat(
      "config.", name, " is not known; ",
      meant.empty() ? absl::StrCat("there is ", all) : absl::StrCat("did you mean ", Quoted(meant), "?")));
}

}  // namespace

absl::StatusOr<std::string> Typed(const Setting& setting, std::string_view json) {
  const Json value = Json::parse(json.begin(), json.end(), nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return Bad("is not JSON");
  ASSIGN_OR_RETURN(const Json typed, Take(setting, value));
  return Dump(typed);
}

absl::StatusOr<Config> ReadConfig(const Manifest& manifest, std::string_view json) {
  const Json given = Json::parse(json.begin(), json.end(), nullptr, /*allow_exceptions=*/false);
  if (!given.is_object()) return Bad("config is not a JSON object");
  Config config;
  for (const auto& [name, value] : given.items()) {
    if (name == "enabled") {
      const absl::StatusOr<Json> flag = Take({.type = Type::kBoolean}, value);
      if (!flag.ok()) return Bad(absl::StrCat("config.enabled ", flag.status().message()));
      config.enabled = *flag == Json(true);
    } else if (std::none_of(manifest.config.begin(), manifest.config.end(),
                            [&, wanted = name](const Setting& s) { return s.name == wanted; })) {
      return Unknown(manifest, Quoted(name).substr(1, Quoted(name).size() - 2));
    }
  }
  Json out = Json::object();
  for (const Setting& setting : manifest.config) {
    const auto found = given.find(setting.name);
    if (found != given.end() && !found->is_null()) {
      absl::StatusOr<Json> value = Take(setting, *found);
      if (!value.ok()) return Bad(absl::StrCat("config.", setting.name, " ", value.status().message()));
      out[setting.name] = *std::move(value);
    } else if (setting.required && config.enabled) {
      return Bad(absl::StrCat("config.", setting.name, " is missing: the plugin needs it"));
    } else if (!setting.fallback.empty()) {
      out[setting.name] = Json::parse(setting.fallback, nullptr, /*allow_exceptions=*/false);
    }
  }
  for (const auto& [name, value] : out.items()) {
    config.variables["PLUGIN_" + absl::AsciiStrToUpper(name)] = ForShell(value);
  }
  config.json = Dump(out);
  return config;
}

std::string JsonOf(const std::string& text) {
  return Dump(text);
}
std::string JsonOf(const std::vector<std::string>& texts) {
  return Dump(texts);
}
std::string JsonOf(const std::map<std::string, std::string>& texts) {
  return Dump(texts);
}

}  // namespace waggle::plugins
