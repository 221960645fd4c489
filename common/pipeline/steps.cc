#include "common/pipeline/steps.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"

namespace waggle::pipeline {
namespace {

// One key of a step that is a mapping.
absl::Status ReadStepKey(const Reader& reader, const yaml::Node& child, const std::string& at,
                         Command& command) {
  const std::string& key = child.key;
  if (key == "name") {
    ASSIGN_OR_RETURN(command.name, reader.FilledText(child, at, "write a name"));
  } else if (key == "run") {
    ASSIGN_OR_RETURN(command.command, reader.Script(child, at, "write a command"));
  } else if (key == "screen") {
    ASSIGN_OR_RETURN(command.screen, reader.Script(child, at, "write what to show instead of the command"));
  } else if (key == "cwd") {
    ASSIGN_OR_RETURN(command.cwd, reader.FilledText(child, at, "write a path below the checkout"));
  } else if (key == "env") {
    RETURN_IF_ERROR(reader.Variables(child, at, command.env));
  } else if (key == "silent") {
    ASSIGN_OR_RETURN(command.silent, reader.Flag(child));
  } else if (key == "timeout") {
    ASSIGN_OR_RETURN(command.wall, reader.Limit(child, at));
  } else if (key == "silence") {
    ASSIGN_OR_RETURN(command.silence, reader.Limit(child, at));
  } else if (key == "allow_failure") {
    ASSIGN_OR_RETURN(command.allow_failure, reader.Flag(child));
  } else if (key == "shell") {
    ASSIGN_OR_RETURN(command.shell, reader.Text(child, at, "write bash or sh"));
    if (std::find(std::begin(kShells), std::end(kShells), command.shell) == std::end(kShells)) {
      return reader.Unknown(child, "shell", command.shell, kShells);
    }
  } else if (key == "secrets") {
    RETURN_IF_ERROR(ReadSecrets(reader, child, at, command.secrets));
  }
  return absl::OkStatus();
}

absl::StatusOr<Command> ReadStep(const Reader& reader, const yaml::Node& node, const std::string& path) {
  Command command;
  if (node.IsMap()) {
    RETURN_IF_ERROR(reader.CheckKeys(node, path, kStep));
    for (const yaml::Node& child : node.children) {
      RETURN_IF_ERROR(ReadStepKey(reader, child, Join(path, child.key), command));
    }
    if (node.Find("run") == nullptr) {
      return reader.Bad(node, absl::StrCat(Quoted(path), " has no `run`"), "write `run: COMMAND`");
    }
  } else {
    ASSIGN_OR_RETURN(command.command, reader.Script(node, path, "write a command, or `run:` and a command"));
  }
  if (command.command.find_first_not_of(" \t\n") == std::string::npos) {
    return reader.Bad(node, absl::StrCat(Quoted(path), " is empty"), "write a command");
  }
  return command;
}

// A command or a list of steps.
absl::StatusOr<std::vector<Command>> ReadSteps(const Reader& reader, const yaml::Node& node,
                                               const std::string& path) {
  std::vector<Command> commands;
  if (node.IsAbsent() || (node.IsList() && node.children.empty())) {
    return reader.BadKey(node, absl::StrCat(Quoted(path), " is empty"),
                         "write a command or a list of steps, or remove the key");
  }
  if (node.IsMap()) {
    return reader.BadKey(node, absl::StrCat(Quoted(path), " must be a list of steps"),
                         "begin each step with `- `");
  }
  if (node.IsScalar()) {
    ASSIGN_OR_RETURN(Command command, ReadStep(reader, node, path));
    commands.push_back(std::move(command));
  }
  for (const yaml::Node& child : node.children) {
    ASSIGN_OR_RETURN(Command command, ReadStep(reader, child, Item(path, commands.size())));
    commands.push_back(std::move(command));
  }
  return commands;
}

absl::StatusOr<JobType> ReadKind(const Reader& reader, const yaml::Node& node) {
  constexpr std::string_view kHint = "write TEST, DEPLOY or TEST_AND_DEPLOY";
  ASSIGN_OR_RETURN(const std::string text, reader.Text(node, "kind", kHint));
  if (auto type = ParseJobType(text)) return *type;
  return reader.Bad(node, absl::StrCat(Quoted(text), " is no kind of job"), kHint);
}

const Mapping& MappingOf(Phase phase) {
  return phase == Phase::kEnvironment ? kEnvironmentMap : phase == Phase::kPrepare ? kPrepareMap : kPhaseMap;
}

}  // namespace

absl::StatusOr<std::vector<Command>> ReadPhase(const Reader& reader, const yaml::Node& node,
                                               const std::string& path, const Mapping& mapping) {
  if (!node.IsMap()) return ReadSteps(reader, node, path);
  RETURN_IF_ERROR(reader.CheckKeys(node, path, mapping));
  if (node.children.empty()) {
    return reader.BadKey(node, absl::StrCat(Quoted(path), " is empty"),
                         "write a command or a list of steps, or remove the key");
  }
  const yaml::Node* steps = node.Find("steps");
  if (steps == nullptr) return std::vector<Command>();
  return ReadSteps(reader, *steps, Join(path, "steps"));
}

absl::Status ReadPhases(const Reader& reader, const yaml::Node& map, const std::string& path, JobSpec& spec) {
  if (const yaml::Node* kind = map.Find("kind")) {
    ASSIGN_OR_RETURN(spec.type, ReadKind(reader, *kind));
  }
  for (const yaml::Node& child : map.children) {
    const auto phase = ParsePhase(child.key);
    if (!phase) continue;
    if (*phase == Phase::kDeploy && spec.type == JobType::kTest) {
      return reader.BadKey(child, "a job of kind TEST has no `deploy` phase",
                           "set `kind: TEST_AND_DEPLOY` or `kind: DEPLOY`");
    }
    if (*phase == Phase::kTest && spec.type == JobType::kDeploy) {
      return reader.BadKey(child, "a job of kind DEPLOY has no `test` phase",
                           "set `kind: TEST_AND_DEPLOY`, or use `prepare`");
    }
    ASSIGN_OR_RETURN(spec.phases[static_cast<std::size_t>(*phase)],
                     ReadPhase(reader, child, Join(path, child.key), MappingOf(*phase)));
  }
  return absl::OkStatus();
}

absl::Status ReadSecrets(const Reader& reader, const yaml::Node& node, const std::string& path,
                         std::vector<std::string>& into) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names,
                   reader.Texts(node, path, "write a list of names, such as [NPM_TOKEN]"));
  for (const std::string& name : names) {
    if (std::find(into.begin(), into.end(), name) == into.end()) into.push_back(name);
  }
  return absl::OkStatus();
}

}  // namespace waggle::pipeline
