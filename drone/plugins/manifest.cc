#include "drone/plugins/manifest.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "common/yaml/source.h"
#include "common/yaml/tree.h"
#include "drone/plugins/config.h"

namespace waggle::plugins {
namespace {

constexpr yaml::Dialect kPluginFile{"plugin", "WG710", "WG711", "WG712", "WG713", "WG714", ""};
constexpr std::size_t kSettings = 64;
constexpr std::size_t kNeeds = 64;
constexpr std::size_t kDescriptionBytes = 1024;

using Words = std::span<const std::string_view>;
using yaml::Node;

constexpr std::string_view kTop[] = {"name", "version", "description", "phases", "needs", "config"};
constexpr std::string_view kOfSetting[] = {"type", "required", "default", "values", "description"};
constexpr std::string_view kTypes[] = {"string", "integer", "boolean", "list", "map", "enum"};

std::string Known(Words words) {
  return absl::StrJoin(words, ", ", [](std::string* out, std::string_view word) { out->append(word); });
}

bool IsWord(std::string_view text, std::string_view more) {
  return !text.empty() && text.size() <= limits::kNameBytes && text[0] != '-' && text[0] != '.' &&
         std::all_of(text.begin(), text.end(), [&](unsigned char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                  more.find(static_cast<char>(c)) != more.npos;
         });
}

class Reader {
 public:
  explicit Reader(const yaml::Source& source) : source_(source) {}
  absl::StatusOr<Manifest> Read() const;

 private:
  absl::Status At(const Node& node, std::string_view what, std::string_view hint) const {
    return node.IsScalar() && !node.text.empty() ? source_.Excerpt(node.at, node.text, what, hint)
                                                 : source_.Excerpt(node.key_at, node.key, what, hint);
  }
  absl::Status Keys(const Node& map, Words known) const;
  absl::Status Word(const Node& node, Words known, std::string_view what) const;
  absl::StatusOr<std::string> Text(const Node& node) const;
  absl::StatusOr<std::vector<std::string>> Texts(const Node& node) const;
  absl::StatusOr<bool> Flag(const Node& node) const;
  absl::Status Top(const Node& node, Manifest* out) const;
  absl::Status Phases(const Node& node, Manifest* out) const;
  absl::Status Config(const Node& node, Manifest* out) const;
  absl::StatusOr<Setting> One(const Node& node) const;
  absl::Status Default(const Node& node, Setting* setting) const;

  const yaml::Source& source_;
};

absl::Status Reader::Keys(const Node& map, Words known) const {
  for (const Node& child : map.children) {
    if (std::find(known.begin(), known.end(), child.key) != known.end()) continue;
    const std::string_view meant = DidYouMean(child.key, known);
    return source_.Excerpt(child.key_at, child.key, absl::StrCat("unknown key ", Quoted(child.key)),
                           meant.empty() ? absl::StrCat("known: ", Known(known))
                                         : absl::StrCat("did you mean ", Quoted(meant), "?"),
                           source_.dialect().unknown_key);
  }
  return absl::OkStatus();
}

absl::Status Reader::Word(const Node& node, Words known, std::string_view what) const {
  if (std::find(known.begin(), known.end(), node.text) != known.end()) return absl::OkStatus();
  const std::string_view meant = DidYouMean(node.text, known);
  return At(node, absl::StrCat(Quoted(node.text), " is no ", std::string(what)),
            meant.empty() ? absl::StrCat("known: ", Known(known))
                          : absl::StrCat("did you mean ", Quoted(meant), "?"));
}

absl::StatusOr<std::string> Reader::Text(const Node& node) const {
  if (node.IsScalar()) return node.text;
  return At(node, absl::StrCat(Quoted(node.key), " must be a text"),
            absl::StrCat("write `", node.key, ": TEXT`"));
}

absl::StatusOr<std::vector<std::string>> Reader::Texts(const Node& node) const {
  std::vector<std::string> out;
  if (!node.IsList()) {
    return At(node, absl::StrCat(Quoted(node.key), " must be a list"),
              absl::StrCat("write `", node.key, ": [ONE, TWO]`"));
  }
  for (const Node& child : node.children) {
    if (!child.IsScalar()) return source_.Excerpt(child.at, "", "a text is expected here", "write a word");
    out.push_back(child.text);
  }
  return out;
}

absl::StatusOr<bool> Reader::Flag(const Node& node) const {
  if (node.IsScalar() && (node.text == "true" || node.text == "false")) return node.text == "true";
  return At(node, absl::StrCat(Quoted(node.key), " must be true or false"), "write true or false");
}

absl::Status Reader::Phases(const Node& node, Manifest* out) const {
  std::vector<std::string_view> known;
  for (Phase phase : kPhases) known.push_back(waggle::Name(phase));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, Texts(node));
  for (const Node& child : node.children) {
    RETURN_IF_ERROR(Word(child, known, "phase"));
    bool& taken = out->phases[static_cast<int>(*ParsePhase(child.text))];
    if (taken) return At(child, absl::StrCat(Quoted(child.text), " stands here twice"), "remove one");
    taken = true;
  }
  if (names.empty()) return At(node, "a plugin takes part in at least one phase", "write `phases: [test]`");
  return absl::OkStatus();
}

absl::Status Reader::Default(const Node& node, Setting* setting) const {
  std::optional<std::string> json;
  if (node.IsScalar()) json = JsonOf(node.text);
  if (node.IsList()) {
    ASSIGN_OR_RETURN(const std::vector<std::string> texts, Texts(node));
    json = JsonOf(texts);
  }
  if (node.IsMap()) {
    std::map<std::string, std::string> texts;
    for (const Node& child : node.children) {
      ASSIGN_OR_RETURN(texts[child.key], Text(child));
    }
    json = JsonOf(texts);
  }
  if (!json) return At(node, "`default` has no value", "write one, or remove the line");
  const absl::StatusOr<std::string> typed = Typed(*setting, *json);
  if (!typed.ok()) {
    return At(node, absl::StrCat("the default ", typed.status().message()),
              absl::StrCat("the type is ", std::string(Name(setting->type))));
  }
  setting->fallback = *typed;
  return absl::OkStatus();
}

absl::StatusOr<Setting> Reader::One(const Node& node) const {
  Setting setting;
  setting.name = node.key;
  if (!IsWord(node.key, "_")) {
    return source_.Excerpt(node.key_at, node.key, absl::StrCat(Quoted(node.key), " is no name for a setting"),
                           "use a-z, 0-9 and _");
  }
  if (node.key == "enabled") {
    return source_.Excerpt(node.key_at, node.key, "`enabled` is every plugin's already", "remove it");
  }
  if (!node.IsMap()) {
    return At(node, absl::StrCat(Quoted(node.key), " must be a mapping"), "write `{type: string}`");
  }
  RETURN_IF_ERROR(Keys(node, kOfSetting));
  const Node* type = node.Find("type");
  if (type == nullptr)
    return At(node, absl::StrCat(Quoted(node.key), " has no type"), "write `type: string`");
  ASSIGN_OR_RETURN(const std::string word, Text(*type));
  RETURN_IF_ERROR(Word(*type, kTypes, "type of a setting"));
  setting.type = static_cast<Setting::Type>(std::find(std::begin(kTypes), std::end(kTypes), word) - kTypes);
  const bool chooses = setting.type == Setting::Type::kEnum;
  if (const Node* values = node.Find("values")) {
    if (!chooses) return At(*values, "only an enum has values", "remove it, or write `type: enum`");
    ASSIGN_OR_RETURN(setting.values, Texts(*values));
  }
  if (chooses && setting.values.empty()) {
    return At(node, absl::StrCat(Quoted(node.key), " has no values"), "write `values: [ONE, TWO]`");
  }
  if (const Node* required = node.Find("required")) {
    ASSIGN_OR_RETURN(setting.required, Flag(*required));
  }
  if (const Node* description = node.Find("description")) {
    ASSIGN_OR_RETURN(setting.description, Text(*description));
  }
  if (const Node* fallback = node.Find("default")) {
    if (setting.required) return At(*fallback, "what is required has no default", "remove one of the two");
    RETURN_IF_ERROR(Default(*fallback, &setting));
  }
  return setting;
}

absl::Status Reader::Config(const Node& node, Manifest* out) const {
  if (node.IsAbsent()) return absl::OkStatus();
  if (!node.IsMap()) return At(node, "`config` must be a mapping", "write `NAME: {type: string}` below it");
  if (node.children.size() > kSettings) {
    return At(node, absl::StrCat("`config` has ", node.children.size(), " settings"),
              absl::StrCat("at most ", kSettings));
  }
  for (const Node& child : node.children) {
    ASSIGN_OR_RETURN(Setting setting, One(child));
    out->config.push_back(std::move(setting));
  }
  return absl::OkStatus();
}

absl::Status Reader::Top(const Node& node, Manifest* out) const {
  if (node.key == "phases") return Phases(node, out);
  if (node.key == "config") return Config(node, out);
  if (node.key == "needs") {
    ASSIGN_OR_RETURN(out->needs, Texts(node));
    return out->needs.size() <= kNeeds ? absl::OkStatus()
                                       : At(node, "too many programs", absl::StrCat("at most ", kNeeds));
  }
  ASSIGN_OR_RETURN(std::string text, Text(node));
  if (node.key == "name") {
    if (!IsWord(text, "-_"))
      return At(node, absl::StrCat(Quoted(text), " is no name"), "use a-z, 0-9, - and _");
    out->name = std::move(text);
  } else if (node.key == "version") {
    if (!IsWord(text, ".-_") || text[0] < '0' || text[0] > '9') {
      return At(node, absl::StrCat(Quoted(text), " is no version"), "write it as 1.2.3");
    }
    out->version = std::move(text);
  } else {
    if (text.size() > kDescriptionBytes) {
      return At(node, "the description is too long", absl::StrCat("at most ", kDescriptionBytes, " bytes"));
    }
    out->description = std::move(text);
  }
  return absl::OkStatus();
}

absl::StatusOr<Manifest> Reader::Read() const {
  ASSIGN_OR_RETURN(const Node root, yaml::Parse(source_));
  if (!root.IsMap()) {
    return source_.Excerpt(root.at, root.text, "the file must be a mapping", "begin with `name: NAME`");
  }
  RETURN_IF_ERROR(Keys(root, kTop));
  for (std::string_view needed : {"name", "version", "phases"}) {
    if (root.Find(needed) != nullptr) continue;
    return source_.Plain(root.at, absl::StrCat(Quoted(needed), " is missing"),
                         {"a plugin.yaml has name, version and phases"});
  }
  Manifest manifest;
  for (const Node& child : root.children) RETURN_IF_ERROR(Top(child, &manifest));
  return manifest;
}

}  // namespace

std::string_view Name(Setting::Type type) {
  return kTypes[static_cast<int>(type)];
}

absl::StatusOr<Manifest> ReadManifest(std::string_view text, std::string_view file) {
  if (text.size() > limits::kPipelineBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(std::string(file), " has more than ", limits::kPipelineBytes, " bytes"));
  }
  ASSIGN_OR_RETURN(const std::string prepared, yaml::Prepare(text, file, kPluginFile));
  const yaml::Source source(prepared, file, kPluginFile);
  return Reader(source).Read();
}

}  // namespace waggle::plugins
