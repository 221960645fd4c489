#include "common/config/command_line.h"
#include "common/base/failpoint.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/synchronization/mutex.h"
#include "common/base/text.h"
#include "common/base/vocabulary.h"

namespace waggle::config {
namespace {

absl::string_view View(std::string_view text) {
  return {text.data(), text.size()};
}

std::string Help(const Program& program, const Key& key) {
  const std::string_view otherwise = key.fallback.empty() ? key.unset : key.fallback;
  return absl::StrCat(View(key.help),
                      otherwise.empty() ? "" : absl::StrCat(" (default: ", View(otherwise), ")"), " [",
                      VariableOf(program, key), "]");
}

std::string PathOf(const CLI::App& app) {
  const CLI::App* parent = app.get_parent();
  return parent == nullptr ? app.get_name() : absl::StrCat(PathOf(*parent), " ", app.get_name());
}

// The command the line got to.
const CLI::App& Reached(const CLI::App& root) {
  const CLI::App* at = &root;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().back();
  return *at;
}

std::vector<std::string> FlagsKnown(const CLI::App& app, bool parents) {
  std::vector<std::string> names;
  for (const CLI::App* at = &app; at != nullptr; at = parents ? at->get_parent() : nullptr) {
    for (const CLI::Option* option : at->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
      for (const std::string& name : option->get_snames()) names.push_back("-" + name);
    }
  }
  return names;
}

std::string Meant(std::string_view word, const std::vector<std::string>& names) {
  const std::vector<std::string_view> candidates(names.begin(), names.end());
  return std::string(DidYouMean(word, candidates));
}

std::vector<std::string> CommandsOf(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

std::string UnknownFlag(const CLI::App& at, std::string word) {
  word = word.substr(0, word.find('='));
  const std::vector<std::string> elsewhere = FlagsKnown(at, /*parents=*/true);
  std::string out = absl::StrCat(PathOf(at), " has no flag ", Quoted(word));
  if (std::find(elsewhere.begin(), elsewhere.end(), word) != elsewhere.end()) {
    return absl::StrCat(out, " at this place\nwrite it behind the command it belongs to");
  }
  const std::string meant = absl::StartsWith(word, "--") ? Meant(word, elsewhere) : "";
  if (!meant.empty()) absl::StrAppend(&out, "\ndid you mean ", Quoted(meant), "?");
  return out;
}

std::string UnknownCommand(const CLI::App& at, const std::string& word) {
  std::string out = absl::StrCat("there is no command ", Quoted(absl::StrCat(PathOf(at), " ", word)));
  const std::string meant = Meant(word, CommandsOf(at));
  if (!meant.empty())
    absl::StrAppend(&out, "\ndid you mean ", Quoted(absl::StrCat(PathOf(at), " ", meant)), "?");
  return out;
}

// The first word nobody took. A flag before it is named first: the word may be its value.
std::string Extra(const CLI::App& at, const std::vector<std::string>& extras) {
  for (const std::string& word : extras) {
    if (word.size() > 1 && word[0] == '-') return UnknownFlag(at, word);
    const bool wants_command = !CommandsOf(at).empty();
    return wants_command
               ? UnknownCommand(at, word)
               : absl::StrCat(PathOf(at), " does not take ", Quoted(word), ": it is one word too many");
  }
  return "";
}

// "foo not in {auto,always}" and "Value 0 not in range 0.000000 to 1797…".
std::string OutOfBounds(const std::string& option, std::string text) {
  if (absl::StartsWith(text, "Value ")) text = text.substr(6);
  const std::size_t set = text.find(" not in {");
  if (set != std::string::npos) {
    const std::string words = text.substr(set + 9, text.find('}', set) - set - 9);
    return absl::StrCat(option, " ", Quoted(text.substr(0, set)), " is not known\nuse one of ",
                        absl::StrReplaceAll(words, {{",", ", "}}));
  }
  return absl::StrCat(option, " ", Quoted(text.substr(0, text.find(" not in range"))),
                      " is not a number it can take");
}

// The parser's own words begin with the option: "--slots: 1 required TEXT missing".
std::string Reworded(const CLI::App& at, const CLI::ParseError& error) {
  const std::string text = error.what();
  const std::string option = text.substr(0, text.find(':'));
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    if (absl::StrContains(text, "override"))
      return absl::StrCat(text.substr(0, text.find(' ')), " takes no value");
    return absl::StrContains(text, "At Most") ? absl::StrCat(option, " is given more than once")
                                              : absl::StrCat(option, " needs a value");
  }
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    if (absl::StrContains(text, "ubcommand")) {
      std::string names;
      for (const std::string& name : CommandsOf(at)) absl::StrAppend(&names, names.empty() ? "" : ", ", name);
      return absl::StrCat(PathOf(at), " needs a command: ", names);
    }
    return absl::StrCat(PathOf(at), " needs ", text.substr(0, text.find(' ')));
  }
  if (const std::size_t equals = text.find(" = ");
      dynamic_cast<const CLI::ConversionError*>(&error) != nullptr && equals != std::string::npos) {
    std::string flag = text.substr(0, equals);
    flag = flag.substr(flag.find(": ") + 2);
    const CLI::Option* known = at.get_option_no_throw(flag);
    if (known != nullptr && known->get_items_expected_max() == 0) return flag + " takes no value";
    return absl::StrCat(flag, " ", Quoted(text.substr(equals + 3)), " is not a number it can take");
  }
  if (dynamic_cast<const CLI::ValidationError*>(&error) != nullptr && text.size() > option.size() + 2) {
    return OutOfBounds(option, text.substr(option.size() + 2));
  }
  return text;
}

int Show(const Program& program, const Given& given, bool origin) {
  Sources sources = SystemSources(program);
  sources.flags = given.flags;
  sources.file = given.file;
  absl::StatusOr<Settings> settings = Settings::Load(program, sources);
  if (!settings.ok())
    return Fail(absl::IsInvalidArgument(settings.status()) ? exit_code::kUsage : exit_code::kBadConfig,
                settings.status());
  const std::string text = ShowSettings(*settings, origin);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return std::fflush(stdout) == 0
             ? exit_code::kOk
             : Fail(exit_code::kRuntimeFailure, absl::UnknownError("cannot write the settings"));
}

// `keys`: what must be set; nullptr: everything that has no default.
int Run(const Program& program, const Given& given, const std::vector<std::string_view>* keys,
        const std::function<int(const Settings&)>& run) {
  Sources sources = SystemSources(program);
  sources.flags = given.flags;
  sources.file = given.file;
  sources.closing = keys == nullptr ? absl::StrCat("the ", View(program.name), " was not started")
                                    : std::string("nothing was done");
  absl::StatusOr<Settings> settings = Settings::Load(program, sources);
  absl::Status status = settings.status();
  if (status.ok()) status = keys == nullptr ? settings->RequireAll() : settings->Require(*keys);
  if (!status.ok())
    return Fail(absl::IsInvalidArgument(status) ? exit_code::kUsage : exit_code::kBadConfig, status);
  return run(*settings);
}

}  // namespace

namespace {

void AddFlags(const Program& program, const std::vector<std::string_view>* names, CLI::App& app,
              Given* given) {
  app.add_option(
         "--config", given->file,
         program.daemon ? "Read this file too, over those in /etc" : "Read this file in place of your own")
      ->type_name("FILE");
  for (const Key& key : program.keys) {
    if (names != nullptr && std::find(names->begin(), names->end(), key.name) == names->end()) continue;
    CLI::Option* option = nullptr;
    if (std::holds_alternative<Entries>(key.rule)) {
      option = app.add_option_function<std::vector<std::string>>(
          FlagsOf(key),
          [given, &key](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) given->flags.emplace_back(&key, text);
          },
          Help(program, key));
      option->allow_extra_args(false);
    } else {
      option = app.add_option_function<std::string>(
          FlagsOf(key), [given, &key](const std::string& text) { given->flags.emplace_back(&key, text); },
          Help(program, key));
    }
    option->type_name(std::string(key.placeholder));
  }
}

}  // namespace

void AddFlags(const Program& program, CLI::App& app, Given* given) {
  AddFlags(program, nullptr, app, given);
}

std::string UsageMessage(const CLI::App& root, const CLI::ParseError& error) {
  const CLI::App& at = Reached(root);
  const std::string extra = Extra(at, root.remaining(/*recurse=*/true));
  return absl::StrCat(extra.empty() ? Reworded(at, error) : extra, "\nnext: ", PathOf(at), " --help");
}

int Fail(int code, const absl::Status& status) {
  std::fputs(ErrorText({status.message().data(), status.message().size()}).c_str(), stderr);
  return code;
}

int RunDaemon(const Program& program, const DaemonWords& words, int argc, char** argv,
              const std::function<int(const Settings&)>& serve, const std::vector<Verb>& verbs) {
  // The packaged Abseil has the detector of debug builds on: a shared table and its lock at every lock taken.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  CLI::App app(absl::StrCat(View(words.what), "\n\nExample: ", View(words.example)),
               std::string(program.name));
  app.set_version_flag("--version", std::string(words.version));
  app.require_subcommand(1);
  Given given;
  bool origin = false;
  CLI::App* serve_command = app.add_subcommand("serve", std::string(words.serve));
  AddFlags(program, *serve_command, &given);
  CLI::App* config = app.add_subcommand("config", "What may be set, and what is set");
  config->require_subcommand(1);
  CLI::App* show =
      config->add_subcommand("show", "The settings as `serve` would use them with the same flags");
  AddFlags(program, *show, &given);
  show->add_flag("--origin", origin, "Also where each value comes from");
  CLI::App* keys = config->add_subcommand("keys", "Every setting: its key, flag, variable, kind and default");
  std::vector<CLI::App*> others;
  for (const Verb& verb : verbs) {
    others.push_back(app.add_subcommand(std::string(verb.name), std::string(verb.help)));
    AddFlags(program, &verb.keys, *others.back(), &given);
    verb.add(*others.back());
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help_or_version) {
    return app.exit(help_or_version);
  } catch (const CLI::ParseError& error) {
    return Fail(exit_code::kUsage, absl::InvalidArgumentError(UsageMessage(app, error)));
  }
  if (const absl::Status armed = failpoint::ArmFromEnvironment(); !armed.ok()) {
    return Fail(exit_code::kBadConfig, armed);
  }
  if (!failpoint::Armed().empty()) {
    std::fprintf(stderr, "%s\n",
                 absl::StrCat("warning: ", failpoint::kVariable, "=", failpoint::Armed(),
                              ": a process of this ", View(program.name), " will be killed on purpose")
                     .c_str());
  }
  if (keys->parsed())
    return std::fputs(ShowKeys(program).c_str(), stdout) < 0 ? exit_code::kRuntimeFailure : exit_code::kOk;
  for (std::size_t i = 0; i < verbs.size(); ++i) {
    if (others[i]->parsed()) return Run(program, given, &verbs[i].keys, verbs[i].run);
  }
  return show->parsed() ? Show(program, given, origin) : Run(program, given, nullptr, serve);
}

}  // namespace waggle::config
