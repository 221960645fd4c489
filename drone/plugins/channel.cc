#include "drone/plugins/channel.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"

namespace waggle::plugins {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kMessages[] = {"env",     "path", "command", "comment",
                                          "warning", "data", "nothing", "done"};

absl::string_view View(std::string_view text) {
  return {text.data(), text.size()};
}

// The library reads without recursion and writes with it: what is nested too deep is never made a value.
bool TooDeep(std::string_view line) {
  int depth = 0;
  bool text = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (text) {
      if (c == '\\') ++i;
      if (c == '"') text = false;
    } else if (c == '"') {
      text = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kDepth) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

absl::Status Bad(std::string what) {
  return absl::InvalidArgumentError(what);
}

// A text that ends up in the environment, an argument or a path.
absl::Status TakeText(const std::string& field, const Json& value, std::string* out) {
  const auto* text = value.get_ptr<const Json::string_t*>();
  if (text == nullptr) return Bad(absl::StrCat(field, " must be a text, not ", value.type_name()));
  if (text->find('\0') != std::string::npos) return Bad(absl::StrCat(field, " has a NUL byte in it"));
  *out = *text;
  return absl::OkStatus();
}

absl::Status TakeFlag(const std::string& field, const Json& value, bool* out) {
  const auto* flag = value.get_ptr<const Json::boolean_t*>();
  if (flag == nullptr) return Bad(absl::StrCat(field, " must be true or false"));
  *out = *flag;
  return absl::OkStatus();
}

absl::Status TakeList(const std::string& field, const Json& value, std::vector<std::string>* out) {
  if (!value.is_array()) return Bad(absl::StrCat(field, " must be a list of texts, not ", value.type_name()));
  for (const Json& element : value) {
    const std::string at = absl::StrCat(field, "[", out->size(), "]");
    RETURN_IF_ERROR(TakeText(at, element, &out->emplace_back()));
  }
  return absl::OkStatus();
}

bool IsName(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  });
}

absl::Status TakeEnv(const std::string& field, const Json& value, std::map<std::string, std::string>* out) {
  if (!value.is_object()) return Bad(absl::StrCat(field, " must be an object, not ", value.type_name()));
  for (const auto& [name, text] : value.items()) {
    if (!IsName(name)) return Bad(absl::StrCat(field, " has ", Quoted(name), ", which is no variable"));
    RETURN_IF_ERROR(TakeText(absl::StrCat(field, ".", name), text, &(*out)[name]));
  }
  return absl::OkStatus();
}

absl::Status Unknown(const std::string& field, const std::string& name,
                     std::span<const std::string_view> known) {
  const std::string_view meant = DidYouMean(name, known);
  return Bad(
      absl::StrCat(field, Quoted(name), " is not part of the protocol",
                   meant.empty() ? std::string() : absl::StrCat("; did you mean ", Quoted(meant), "?")));
}

absl::Status TakePath(const Json& value, AddPath* out) {
  RETURN_IF_ERROR(TakeList("path", value, &out->directories));
  for (const std::string& directory : out->directories) {
    if (directory.empty() || directory.find(':') != std::string::npos) {
      return Bad(absl::StrCat("path has ", Quoted(directory), ", which is no directory of a PATH"));
    }
  }
  return absl::OkStatus();
}

absl::Status TakeCommand(const Json& value, AskCommand* out) {
  constexpr std::string_view kKnown[] = {"name", "run", "argv", "screen", "silent", "env", "cwd"};
  if (!value.is_object()) return Bad(absl::StrCat("command must be an object, not ", value.type_name()));
  for (const auto& [name, field] : value.items()) {
    const std::string at = "command." + name;
    if (name == "name") {
      RETURN_IF_ERROR(TakeText(at, field, &out->name));
    } else if (name == "run") {
      RETURN_IF_ERROR(TakeText(at, field, &out->run));
    } else if (name == "argv") {
      RETURN_IF_ERROR(TakeList(at, field, &out->argv));
    } else if (name == "screen") {
      RETURN_IF_ERROR(TakeText(at, field, &out->screen));
    } else if (name == "silent") {
      RETURN_IF_ERROR(TakeFlag(at, field, &out->silent));
    } else if (name == "env") {
      RETURN_IF_ERROR(TakeEnv(at, field, &out->env));
    } else if (name == "cwd") {
      RETURN_IF_ERROR(TakeText(at, field, &out->cwd));
    } else {
      return Unknown("command.", name, kKnown);
    }
  }
  if (!out->argv.empty() && out->argv[0].empty()) return Bad("command.argv names no program");
  if (out->run.empty() == out->argv.empty()) return Bad("command needs either run or argv");
  return absl::OkStatus();
}

absl::Status TakeWarning(const Json& value, Warn* out) {
  constexpr std::string_view kKnown[] = {"title", "description", "severity"};
  if (!value.is_object()) return Bad(absl::StrCat("warning must be an object, not ", value.type_name()));
  std::string severity = "minor";
  for (const auto& [name, field] : value.items()) {
    const std::string at = "warning." + name;
    if (name == "title") {
      RETURN_IF_ERROR(TakeText(at, field, &out->title));
    } else if (name == "description") {
      RETURN_IF_ERROR(TakeText(at, field, &out->description));
    } else if (name == "severity") {
      RETURN_IF_ERROR(TakeText(at, field, &severity));
    } else {
      return Unknown("warning.", name, kKnown);
    }
  }
  if (out->title.empty()) return Bad("warning needs a title");
  if (severity != "minor" && severity != "major") {
    return Bad(absl::StrCat("warning.severity is ", Quoted(severity), "; write minor or major"));
  }
  out->major = severity == "major";
  return absl::OkStatus();
}

absl::Status TakeData(const Json& value, Data* out) {
  constexpr std::string_view kKnown[] = {"method", "path", "value"};
  if (!value.is_object()) return Bad(absl::StrCat("data must be an object, not ", value.type_name()));
  out->value = "null";
  for (const auto& [name, field] : value.items()) {
    const std::string at = "data." + name;
    if (name == "method") {
      RETURN_IF_ERROR(TakeText(at, field, &out->method));
    } else if (name == "path") {
      RETURN_IF_ERROR(TakeText(at, field, &out->path));
    } else if (name == "value") {
      out->value = field.dump(-1, ' ', false, Json::error_handler_t::replace);
    } else {
      return Unknown("data.", name, kKnown);
    }
  }
  if (out->method.empty()) return Bad("data needs a method: replace, push or extend");
  return absl::OkStatus();
}

template <typename T, typename Take>
absl::Status Append(const Json& value, Take&& take, std::vector<Message>* out) {
  T message;
  RETURN_IF_ERROR(take(value, &message));
  out->push_back(std::move(message));
  return absl::OkStatus();
}

// A line between the greeting and the end.
absl::Status TakeMessage(const std::string& kind, const Json& value, bool* done, std::vector<Message>* out) {
  if (kind == "env") {
    auto take = [](const Json& v, SetEnv* to) { return TakeEnv("env", v, &to->env); };
    return Append<SetEnv>(value, take, out);
  }
  if (kind == "comment") {
    auto take = [](const Json& v, Comment* to) { return TakeText("comment", v, &to->text); };
    return Append<Comment>(value, take, out);
  }
  if (kind == "path") return Append<AddPath>(value, TakePath, out);
  if (kind == "command") return Append<AskCommand>(value, TakeCommand, out);
  if (kind == "warning") return Append<Warn>(value, TakeWarning, out);
  if (kind == "data") return Append<Data>(value, TakeData, out);
  if (kind != "nothing" && kind != "done") return Unknown("", kind, kMessages);
  bool flag = false;
  RETURN_IF_ERROR(TakeFlag(kind, value, &flag));
  if (!flag) return Bad(absl::StrCat(kind, " can only be true"));
  if (kind == "done") {
    *done = true;
  } else {
    out->push_back(Nothing{});
  }
  return absl::OkStatus();
}

absl::Status TakeHello(const std::string& kind, const Json& value) {
  if (kind != "hello") return Bad("a plugin says {\"hello\":1} first");
  if (!value.is_number_integer()) return Bad("hello must be the number of a protocol version");
  if (value == Json(kProtocol)) return absl::OkStatus();
  return Bad(
      absl::StrCat("it speaks version ", value.dump(), " of the protocol; this drone speaks ", kProtocol));
}

bool IsBlank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

std::string Escaped(std::string_view text) {
  return Json(std::string(text)).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

absl::Status Channel::Fail(std::string_view what) {
  partial_.clear();
  return failed_ = absl::InvalidArgumentError(absl::StrCat("line ", lines_, ": ", View(what)));
}

absl::Status Channel::Line(std::string_view line, std::vector<Message>* out) {
  if (++lines_ > kLines) return Fail(absl::StrCat("more than ", kLines, " lines"));
  if (line.size() > kLineBytes) return Fail(absl::StrCat("longer than ", kLineBytes, " bytes"));
  if (IsBlank(line)) return absl::OkStatus();
  if (TooDeep(line)) return Fail(absl::StrCat("nested deeper than ", kDepth, " levels"));
  const Json json = Json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return Fail(absl::StrCat(Quoted(line), " is not JSON"));
  if (!json.is_object() || json.size() != 1) {
    return Fail(absl::StrCat(Quoted(line), " is not an object of one field"));
  }
  if (done_) return Fail("said after done");
  const std::string& kind = json.begin().key();
  const Json& value = json.begin().value();
  absl::Status taken;
  if (greeted_) {
    taken = TakeMessage(kind, value, &done_, out);
  } else {
    taken = TakeHello(kind, value);
    greeted_ = taken.ok();
  }
  return taken.ok() ? taken : Fail(std::string_view(taken.message().data(), taken.message().size()));
}

absl::Status Channel::Feed(std::string_view bytes, std::vector<Message>* out) {
  while (failed_.ok() && !bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    bytes_ += part.size();
    // Of a line that is too long no more is kept than it takes to know that.
    partial_.append(part.substr(0, kLineBytes + 1 - std::min(kLineBytes + 1, partial_.size())));
    const bool too_long = partial_.size() > kLineBytes;
    if (!too_long && bytes_ > kChannelBytes) {
      ++lines_;
      return Fail(absl::StrCat("more than ", kChannelBytes, " bytes in all"));
    }
    if (end == std::string_view::npos && !too_long) return absl::OkStatus();
    const std::string line = std::exchange(partial_, {});
    RETURN_IF_ERROR(Line(line, out));
    bytes.remove_prefix(end + 1);
  }
  return failed_;
}

absl::Status Channel::Close(std::vector<Message>* out) {
  if (failed_.ok() && !partial_.empty()) {
    const std::string line = std::exchange(partial_, {});
    RETURN_IF_ERROR(Line(line, out));
  }
  if (failed_.ok() && !greeted_) failed_ = absl::InvalidArgumentError("it ended without {\"hello\":1}");
  return failed_;
}

std::string Encode(const Greeting& greeting) {
  std::string env;
  for (const auto& [name, value] : greeting.env) {
    absl::StrAppend(&env, env.empty() ? "" : ",", Escaped(name), ":", Escaped(value));
  }
  auto object = [](const std::string& json) { return json.empty() ? std::string("{}") : json; };
  return absl::StrCat("{\"waggle\":", kProtocol, ",\"plugin\":", Escaped(greeting.plugin),
                      ",\"phase\":", Escaped(greeting.phase), ",\"config\":", object(greeting.config),
                      ",\"job\":", object(greeting.job), ",\"data\":", object(greeting.data), ",\"env\":{",
                      env, "}}\n");
}

}  // namespace waggle::plugins
