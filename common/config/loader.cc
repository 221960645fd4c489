// Reads the layers of settings, lowest first, each over the one before.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/fd.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "common/config/settings.h"
#include "common/yaml/source.h"
#include "common/yaml/tree.h"

namespace waggle::config {
namespace {

constexpr std::string_view kWriteEntry = "write it as NAME=VALUE";

absl::string_view View(std::string_view text) {
  return {text.data(), text.size()};
}

// The words that may stand at one place of a file: "log." leads to "level" and "format".
std::vector<std::string_view> WordsBelow(const Program& program, std::string_view path) {
  std::vector<std::string_view> words;
  for (const Key& key : program.keys) {
    if (key.name.substr(0, path.size()) != path) continue;
    const std::string_view rest = key.name.substr(path.size());
    const std::string_view word = rest.substr(0, rest.find('.'));
    if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
  }
  return words;
}

const Key* FindKey(const Program& program, std::string_view name) {
  for (const Key& key : program.keys) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

std::string Flat(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    if (c == '_' || c == '-') c = '.';
  }
  return out;
}

std::string NoUnitCode(const Fault& fault) {
  return std::string(fault.no_unit ? yaml::kConfigurationFile.no_unit : yaml::kConfigurationFile.general);
}

}  // namespace

class Loader {
 public:
  Loader(const Program& program, const Sources& sources)
      : program_(program), sources_(sources), settings_(program), dialect_(yaml::kConfigurationFile) {
    dialect_.closing = sources.closing;
  }

  absl::StatusOr<Settings> Load();

 private:
  using Value = Settings::Value;

  void BuiltIn();
  absl::Status File(const std::string& path, bool must_exist);
  absl::Status DropIns(const std::string& directory);
  absl::Status Environment();
  absl::Status Flags();

  // Of a file.
  absl::Status Map(const yaml::Source& source, const yaml::Node& map, const std::string& path);
  absl::Status UnknownKey(const yaml::Source& source, const yaml::Node& child, const std::string& path) const;
  absl::Status One(const yaml::Source& source, const yaml::Node& node, const Key& key);
  absl::Status Several(const yaml::Source& source, const yaml::Node& node, const Key& key);
  absl::Status Paths(const yaml::Source& source, const yaml::Node& node, const Key& key);
  absl::StatusOr<std::string> Scalar(const yaml::Source& source, const yaml::Node& node,
                                     const std::string& name) const;

  absl::Status UnknownVariable(const std::string& name) const;
  // One value or entry that is written on one line. The fault goes to the caller, who knows the place.
  std::optional<Fault> Take(const Key& key, const std::string& text, const std::string& origin);
  std::optional<Fault> TakeEntry(const Key& key, const std::string& name, const std::string& value,
                                 const std::string& origin);
  // About a file as a whole, or a variable.
  absl::Status Wrong(std::string what, std::string_view code) const;

  Settings::Slot& SlotOf(const Key& key) { return settings_.slots_[&key - program_.keys.data()]; }

  const Program& program_;
  const Sources& sources_;
  Settings settings_;
  yaml::Dialect dialect_;
  std::string shown_file_;  // the file being read
};

absl::Status Loader::Wrong(std::string what, std::string_view code) const {
  if (!dialect_.closing.empty()) absl::StrAppend(&what, "\n", View(dialect_.closing));
  return absl::FailedPreconditionError(absl::StrCat(what, " [", View(code), "]"));
}

void Loader::BuiltIn() {
  for (const Key& key : program_.keys) {
    if (!key.fallback.empty()) SlotOf(key).value = Value{std::string(key.fallback), "built-in"};
  }
  for (const Sources::Found& found : sources_.found)
    SlotOf(*found.key).value = Value{found.value, found.origin};
}

std::optional<Fault> Loader::TakeEntry(const Key& key, const std::string& name, const std::string& value,
                                       const std::string& origin) {
  const Entries& rule = std::get<Entries>(key.rule);
  for (const std::string* text : {&name, &value}) {
    if (const auto bad = FindBadByte(*text, true)) {
      return Fault{absl::StrCat("has ", View(bad->why), " in it"), "write plain UTF-8 text"};
    }
  }
  if (auto fault = rule.check(name, value)) return fault;
  auto& entries = SlotOf(key).entries;
  entries[name] = Value{value, origin};
  if (entries.size() > rule.most)
    return Fault{"is one too many", absl::StrCat("at most ", rule.most, " are kept")};
  return std::nullopt;
}

std::optional<Fault> Loader::Take(const Key& key, const std::string& text, const std::string& origin) {
  if (!std::holds_alternative<Entries>(key.rule)) {
    if (auto fault = Check(key, text)) return fault;
    SlotOf(key).value = Value{text, origin};
    return std::nullopt;
  }
  const auto entry = SplitEntry(text);
  if (!entry) return Fault{"has no NAME=VALUE", std::string(kWriteEntry)};
  return TakeEntry(key, entry->first, entry->second, origin);
}

absl::Status Loader::UnknownKey(const yaml::Source& source, const yaml::Node& child,
                                const std::string& path) const {
  const std::vector<std::string_view> words = WordsBelow(program_, path);
  std::string hint;
  for (const Key& key : program_.keys) {
    if (Flat(key.name) != Flat(absl::StrCat(path, child.key)) || key.name.find('.') == std::string_view::npos)
      continue;
    const std::size_t dot = key.name.rfind('.');
    hint = absl::StrCat("write `", View(key.name.substr(dot + 1)), ":` below `",
                        View(key.name.substr(0, dot)), ":`");
  }
  if (const std::string_view meant = DidYouMean(child.key, words); hint.empty() && !meant.empty()) {
    hint = absl::StrCat("did you mean ", Quoted(meant), "?");
  }
  if (hint.empty()) {
    hint = absl::StrCat("known: ", absl::StrJoin(words, ", ", [](std::string* out, std::string_view word) {
                          out->append(word);
                        }));
  }
  const std::string in = path.empty() ? "" : absl::StrCat(" in ", Quoted(path.substr(0, path.size() - 1)));
  return source.Excerpt(child.key_at, child.key, absl::StrCat("unknown key ", Quoted(child.key), in), hint,
                        dialect_.unknown_key);
}

absl::StatusOr<std::string> Loader::Scalar(const yaml::Source& source, const yaml::Node& node,
                                           const std::string& name) const {
  if (node.IsScalar()) return node.text;
  if (node.IsAbsent())
    return source.Excerpt(node.key_at, node.key, absl::StrCat(Quoted(name), " has no value"),
                          "write one, or remove the line");
  return source.Excerpt(
      node.key_at, node.key,
      absl::StrCat(Quoted(name), " must be one value, not a ", node.IsMap() ? "mapping" : "list"),
      absl::StrCat("write `", node.key, ": VALUE`"));
}

absl::Status Loader::One(const yaml::Source& source, const yaml::Node& node, const Key& key) {
  const Path* path = std::get_if<Path>(&key.rule);
  if (path != nullptr && path->several && node.IsList()) return Paths(source, node, key);
  ASSIGN_OR_RETURN(const std::string text, Scalar(source, node, std::string(key.name)));
  std::optional<Fault> fault;
  if (path != nullptr && !text.empty() && text[0] != '/') {
    fault = Fault{"is not an absolute path", "begin it with /"};
  } else {
    fault = Take(key, text, absl::StrCat(shown_file_, ":", node.at.line + 1));
  }
  if (!fault) return absl::OkStatus();
  return source.Excerpt(node.at, node.text,
                        absl::StrCat(Quoted(absl::StrCat(node.key, ": ", text)), " ", fault->what),
                        fault->hint, NoUnitCode(*fault));
}

absl::Status Loader::Paths(const yaml::Source& source, const yaml::Node& node, const Key& key) {
  std::string all;
  for (const yaml::Node& child : node.children) {
    if (!child.IsScalar() || !child.text.starts_with('/') || child.text.find(':') != std::string::npos) {
      return source.Excerpt(child.at, child.text,
                            absl::StrCat(Quoted(key.name), " has what is no absolute path"),
                            "begin each with /, without a colon in it");
    }
    absl::StrAppend(&all, all.empty() ? "" : ":", child.text);
  }
  if (all.empty()) return absl::OkStatus();
  const auto fault = Take(key, all, absl::StrCat(shown_file_, ":", node.at.line + 1));
  return fault ? source.Excerpt(node.at, "", fault->what, fault->hint) : absl::OkStatus();
}

absl::Status Loader::Several(const yaml::Source& source, const yaml::Node& node, const Key& key) {
  if (node.IsAbsent()) return absl::OkStatus();  // every line below it may be a comment
  if (!node.IsMap()) {
    return source.Excerpt(node.key_at, node.key, absl::StrCat(Quoted(key.name), " must be a mapping"),
                          "write `NAME: value` lines below it");
  }
  for (const yaml::Node& child : node.children) {
    ASSIGN_OR_RETURN(const std::string text,
                     Scalar(source, child, absl::StrCat(View(key.name), ".", child.key)));
    const auto fault = TakeEntry(key, child.key, text, absl::StrCat(shown_file_, ":", child.at.line + 1));
    if (!fault) continue;
    return source.Excerpt(child.key_at, child.key,
                          absl::StrCat(Quoted(absl::StrCat(child.key, ": ", text)), " ", fault->what),
                          fault->hint);
  }
  return absl::OkStatus();
}

absl::Status Loader::Map(const yaml::Source& source, const yaml::Node& map, const std::string& path) {
  for (const yaml::Node& child : map.children) {
    const std::string name = path + child.key;
    if (child.key.find('.') != std::string::npos) return UnknownKey(source, child, path);
    if (const Key* key = FindKey(program_, name)) {
      const bool several = std::holds_alternative<Entries>(key->rule);
      RETURN_IF_ERROR(several ? Several(source, child, *key) : One(source, child, *key));
      continue;
    }
    if (WordsBelow(program_, name + ".").empty()) return UnknownKey(source, child, path);
    if (child.IsAbsent()) continue;
    if (!child.IsMap()) {
      return source.Excerpt(
          child.key_at, child.key, absl::StrCat(Quoted(name), " must be a mapping"),
          absl::StrCat("write `", std::string(WordsBelow(program_, name + ".")[0]), ": …` below it"));
    }
    RETURN_IF_ERROR(Map(source, child, name + "."));
  }
  return absl::OkStatus();
}

absl::Status Loader::File(const std::string& path, bool must_exist) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (!must_exist && (errno == ENOENT || errno == ENOTDIR)) return absl::OkStatus();
    return Wrong(absl::StrCat("cannot read the configuration file ", path, ": ", std::strerror(errno)),
                 dialect_.general);
  }
  if (S_ISDIR(info.st_mode)) {
    return Wrong(absl::StrCat(path, " is a directory; a configuration file is expected"), dialect_.general);
  }
  absl::StatusOr<std::string> text = ReadFile(path, limits::kPipelineBytes);
  if (absl::IsResourceExhausted(text.status())) {
    return Wrong(
        absl::StrCat("the configuration file ", path, " has more than ", limits::kPipelineBytes, " bytes"),
        dialect_.general);
  }
  if (absl::IsPermissionDenied(text.status())) {
    return Wrong(absl::StrCat("may not read the configuration file ", path, ": Permission denied"),
                 dialect_.general);
  }
  if (!text.ok()) return Wrong(std::string(text.status().message()), dialect_.general);
  shown_file_ = path;
  auto read = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const std::string prepared, yaml::Prepare(*text, path, dialect_));
    const yaml::Source source(prepared, path, dialect_);
    ASSIGN_OR_RETURN(const yaml::Node root, yaml::Parse(source));
    if (root.IsAbsent()) return absl::OkStatus();
    if (!root.IsMap()) {
      return source.Excerpt(root.at, root.text, "the file must be a mapping",
                            absl::StrCat("write `", View(program_.keys[0].name), ": …`"));
    }
    return Map(source, root, "");
  };
  const absl::Status status = read();
  return status.ok() ? status : absl::FailedPreconditionError(status.message());
}

absl::Status Loader::DropIns(const std::string& directory) {
  std::error_code error;
  std::vector<std::string> files;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    // Hidden files, backups of editors and of the package manager are not meant.
    if (name[0] != '.' && it->path().extension() == ".yaml") files.push_back(it->path().string());
    if (files.size() > limits::kConfigFiles) {
      return Wrong(absl::StrCat(directory, " has more than ", limits::kConfigFiles, " files"),
                   dialect_.general);
    }
  }
  if (error == std::errc::no_such_file_or_directory) return absl::OkStatus();
  if (error)
    return Wrong(absl::StrCat("cannot read the directory ", directory, ": ", error.message()),
                 dialect_.general);
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) RETURN_IF_ERROR(File(file, /*must_exist=*/true));
  return absl::OkStatus();
}

absl::Status Loader::UnknownVariable(const std::string& name) const {
  std::vector<std::string> names;
  for (const Key& key : program_.keys)
    names.push_back(VariableOf(program_, key).substr(program_.prefix.size()));
  const std::vector<std::string_view> words(names.begin(), names.end());
  const std::string_view meant = DidYouMean(std::string_view(name).substr(program_.prefix.size()), words);
  const std::string next =
      meant.empty()
          ? absl::StrCat("next: unset it; `", View(program_.name), " config keys` lists what there is")
          : absl::StrCat("did you mean ", View(program_.prefix), View(meant), "?");
  return Wrong(absl::StrCat("the environment variable ", Quoted(name), " is no setting of the ",
                            View(program_.name), "\n", next),
               dialect_.unknown_key);
}

absl::Status Loader::Environment() {
  for (const auto& [name, text] : sources_.environment) {
    if (name.compare(0, program_.prefix.size(), program_.prefix) != 0) continue;
    const Key* found = nullptr;
    for (const Key& key : program_.keys) {
      if (VariableOf(program_, key) == name) found = &key;
    }
    if (found == nullptr && program_.daemon) return UnknownVariable(name);
    if (found == nullptr || text.empty()) continue;
    std::vector<std::string> parts = {text};
    if (std::holds_alternative<Entries>(found->rule)) parts = absl::StrSplit(text, ',', absl::SkipEmpty());
    for (const std::string& part : parts) {
      const auto fault = Take(*found, part, name);
      if (!fault) continue;
      const std::string more = parts.size() > 1 ? ", a comma between two" : "";
      return Wrong(absl::StrCat("environment variable ", name, ": ", Quoted(part), " ", fault->what, "\n",
                                fault->hint, more),
                   NoUnitCode(*fault));
    }
  }
  return absl::OkStatus();
}

absl::Status Loader::Flags() {
  for (const auto& [key, text] : sources_.flags) {
    if (const auto fault = Take(*key, text, FlagOf(*key))) {
      return absl::InvalidArgumentError(
          absl::StrCat(FlagOf(*key), " ", Quoted(text), " ", fault->what, "\n", fault->hint));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Settings> Loader::Load() {
  const std::string base =
      sources_.directory.empty() ? "" : absl::StrCat(sources_.directory, "/", View(program_.name));
  BuiltIn();
  if (!base.empty()) {
    RETURN_IF_ERROR(File(base + ".yaml", /*must_exist=*/false));
    RETURN_IF_ERROR(DropIns(base + ".d"));
  }
  const bool named = !sources_.file.empty();
  const std::string& own = named ? sources_.file : sources_.user_file;
  if (!own.empty()) RETURN_IF_ERROR(File(own, named));
  RETURN_IF_ERROR(Environment());
  RETURN_IF_ERROR(Flags());
  return std::move(settings_);
}

absl::StatusOr<Settings> Settings::Load(const Program& program, const Sources& sources) {
  return Loader(program, sources).Load();
}

Sources SystemSources(const Program& program) {
  Sources sources;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    sources.environment.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  std::sort(sources.environment.begin(), sources.environment.end());
  // Of systemd: one or several with colons between them.
  const char* given = program.daemon ? std::getenv("CONFIGURATION_DIRECTORY") : nullptr;
  const std::string_view directory = given == nullptr ? "" : given;
  sources.directory = directory.substr(0, directory.find(':'));
  if (sources.directory.empty()) sources.directory = absl::StrCat("/etc/", View(program.name));
  return sources;
}

}  // namespace waggle::config
