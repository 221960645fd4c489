#include "common/pipeline/pipeline.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/duration.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "common/pipeline/keys.h"
#include "common/yaml/source.h"
#include "common/yaml/tree.h"

namespace waggle::pipeline {
namespace {

bool Has(Words words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

constexpr std::size_t Index(Phase phase) {
  return static_cast<std::size_t>(phase);
}

// "`timeout` in `jobs.unit`"; the top level has no path.
std::string In(const std::string& path) {
  return path.empty() ? "" : absl::StrCat(" in ", Quoted(path));
}
std::string Join(const std::string& path, const std::string& key) {
  return path.empty() ? key : absl::StrCat(path, ".", key);
}

bool IsJobName(std::string_view name) {
  auto word = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= limits::kNameBytes && word(name[0]) && name[0] != '-' &&
         name[0] != '.' && std::all_of(name.begin(), name.end(), word);
}

// Reads the tree into jobs. One method per thing of the grammar; `path` is how people find it:
// jobs.unit.test[2].
class PipelineReader {
 public:
  explicit PipelineReader(const yaml::Source& source) : source_(source) {}

  absl::StatusOr<std::vector<PipelineJob>> Read(const yaml::Node& root) const;

 private:
  absl::Status Key(const yaml::Node& child, std::string_view what, std::string_view hint) const {
    return source_.Excerpt(child.key_at, child.key, what, hint);
  }
  absl::Status Value(const yaml::Node& node, std::string_view what, std::string_view hint) const {
    return source_.Excerpt(node.at, node.text, what, hint);
  }

  absl::Status CheckKeys(const yaml::Node& map, const std::string& path, const Keys& keys) const;
  absl::StatusOr<std::string> Text(const yaml::Node& node, const std::string& path,
                                   std::string_view example) const;
  absl::StatusOr<std::map<std::string, std::string>> TextMap(const yaml::Node& node, const std::string& path,
                                                             std::string_view example) const;
  absl::StatusOr<std::chrono::milliseconds> Limit(const yaml::Node& node, const std::string& path) const;
  absl::StatusOr<JobType> Kind(const yaml::Node& node) const;
  absl::StatusOr<std::int32_t> Priority(const yaml::Node& node) const;
  absl::StatusOr<bool> Flag(const yaml::Node& node) const;
  absl::Status Version(const yaml::Node& node) const;

  absl::StatusOr<Command> Step(const yaml::Node& node, const std::string& path) const;
  absl::StatusOr<std::vector<Command>> Steps(const yaml::Node& node, const std::string& path) const;
  absl::Status Phases(const yaml::Node& map, const std::string& path, JobSpec& spec) const;
  absl::StatusOr<PipelineJob> Job(const yaml::Node& node, const std::string& path) const;
  absl::Status Complete(const PipelineJob& job, yaml::Position at, std::string_view word) const;
  absl::StatusOr<std::vector<PipelineJob>> Jobs(const yaml::Node& root) const;
  absl::StatusOr<std::vector<PipelineJob>> SingleJob(const yaml::Node& root, std::string name) const;

  const yaml::Source& source_;
};

absl::Status PipelineReader::CheckKeys(const yaml::Node& map, const std::string& path,
                                       const Keys& keys) const {
  for (const yaml::Node& child : map.children) {
    if (Has(keys.known, child.key)) continue;
    if (Has(keys.later, child.key)) {
      return Key(child, absl::StrCat(Quoted(child.key), " is not in this version of Waggle"), "remove it");
    }
    std::vector<std::string_view> all(keys.known.begin(), keys.known.end());
    all.insert(all.end(), keys.later.begin(), keys.later.end());
    std::string hint;
    if (&keys == &kTop && Has(kJobKnown, child.key)) {
      hint = "it belongs to a job: write it below `jobs:` and the job's name";
    } else if (std::string_view meant = DidYouMean(child.key, all); !meant.empty()) {
      hint = absl::StrCat("did you mean ", Quoted(meant), "?");
    } else if (keys.known.empty()) {
      hint = "write a command or a list of steps";
    } else {
      hint = absl::StrCat(
          "known: ",
          absl::StrJoin(keys.known, ", ", [](std::string* out, std::string_view key) { out->append(key); }));
    }
    return source_.Excerpt(child.key_at, child.key, absl::StrCat("unknown key ", Quoted(child.key), In(path)),
                           hint, source_.dialect().unknown_key);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> PipelineReader::Text(const yaml::Node& node, const std::string& path,
                                                 std::string_view example) const {
  if (node.IsScalar()) return node.text;
  if (node.IsAbsent()) {
    return source_.Excerpt(node.key.empty() ? node.at : node.key_at, node.key,
                           absl::StrCat(Quoted(path), " has no value"), example);
  }
  return Value(node, absl::StrCat(Quoted(path), " must be a text, not a ", node.IsMap() ? "mapping" : "list"),
               example);
}

absl::StatusOr<std::map<std::string, std::string>> PipelineReader::TextMap(const yaml::Node& node,
                                                                           const std::string& path,
                                                                           std::string_view example) const {
  if (!node.IsMap()) return Key(node, absl::StrCat(Quoted(path), " must be a mapping"), example);
  std::map<std::string, std::string> out;
  for (const yaml::Node& child : node.children) {
    ASSIGN_OR_RETURN(out[child.key], Text(child, Join(path, child.key), "write \"\" for an empty text"));
  }
  return out;
}

absl::StatusOr<std::chrono::milliseconds> PipelineReader::Limit(const yaml::Node& node,
                                                                const std::string& path) const {
  ASSIGN_OR_RETURN(std::string text, Text(node, path, "write 10m, 600s or 1h30m"));
  const ParsedDuration parsed = ParseDuration(text);
  const std::string shown = Quoted(absl::StrCat(node.key, ": ", text));
  switch (parsed.fault) {
    case DurationFault::kNoUnit:
      return source_.Plain(node.at, absl::StrCat(shown, " has no unit"), {"write 10m, 600s or 1h30m"},
                           source_.dialect().no_unit);
    case DurationFault::kMalformed:
      return Value(node, absl::StrCat(shown, " is no duration"), "write 10m, 600s or 1h30m");
    case DurationFault::kNone:
      break;
  }
  if (parsed.value.count() == 0)
    return Value(node, absl::StrCat(shown, " leaves no time"), "write at least 1s");
  if (parsed.value > limits::kOperatorCeiling) {
    return Value(node, absl::StrCat(shown, " is too long"), "at most 24h");
  }
  return parsed.value;
}

absl::StatusOr<JobType> PipelineReader::Kind(const yaml::Node& node) const {
  constexpr std::string_view kHint = "write TEST, DEPLOY or TEST_AND_DEPLOY";
  ASSIGN_OR_RETURN(std::string text, Text(node, "kind", kHint));
  if (auto type = ParseJobType(text)) return *type;
  return Value(node, absl::StrCat(Quoted(text), " is no kind of job"), kHint);
}

absl::StatusOr<std::int32_t> PipelineReader::Priority(const yaml::Node& node) const {
  constexpr std::string_view kHint = "write a whole number, such as 5 or -1";
  ASSIGN_OR_RETURN(std::string text, Text(node, "priority", kHint));
  std::int32_t value = 0;
  // Only the usual spelling: 010, +1 and 0x10 mean different things to different people.
  if (!absl::SimpleAtoi(text, &value) || absl::StrCat(value) != text) {
    return Value(node, absl::StrCat(Quoted(absl::StrCat("priority: ", text)), " is no priority"), kHint);
  }
  return value;
}

absl::StatusOr<bool> PipelineReader::Flag(const yaml::Node& node) const {
  ASSIGN_OR_RETURN(std::string text, Text(node, node.key, "write true or false"));
  constexpr std::string_view kTrue = "true", kFalse = "false";
  if (text == kTrue) return true;
  if (text == kFalse) return false;
  return Value(node, absl::StrCat(Quoted(absl::StrCat(node.key, ": ", text)), " is neither true nor false"),
               "write true or false");
}

absl::Status PipelineReader::Version(const yaml::Node& node) const {
  ASSIGN_OR_RETURN(std::string text, Text(node, "version", "write 1"));
  if (text == "1") return absl::OkStatus();
  return Value(node, absl::StrCat(Quoted(absl::StrCat("version: ", text)), " is not known"),
               "this Waggle reads version 1");
}

absl::StatusOr<Command> PipelineReader::Step(const yaml::Node& node, const std::string& path) const {
  Command command;
  if (node.IsMap()) {
    RETURN_IF_ERROR(CheckKeys(node, path, kStep));
    for (const yaml::Node& child : node.children) {
      const std::string at = Join(path, child.key);
      if (child.key == "name") {
        ASSIGN_OR_RETURN(command.name, Text(child, at, "write a name"));
      } else if (child.key == "run") {
        ASSIGN_OR_RETURN(command.command, Text(child, at, "write a command"));
      } else if (child.key == "screen") {
        ASSIGN_OR_RETURN(command.screen, Text(child, at, "write what to show instead of the command"));
      } else if (child.key == "cwd") {
        ASSIGN_OR_RETURN(command.cwd, Text(child, at, "write a path below the checkout"));
      } else if (child.key == "env") {
        ASSIGN_OR_RETURN(command.env, TextMap(child, at, "write NAME: value below it"));
      } else {
        ASSIGN_OR_RETURN(command.silent, Flag(child));
      }
    }
    if (node.Find("run") == nullptr)
      return Value(node, absl::StrCat(Quoted(path), " has no `run`"), "write `run: COMMAND`");
  } else {
    ASSIGN_OR_RETURN(command.command, Text(node, path, "write a command, or `run:` and a command"));
  }
  if (command.command.find_first_not_of(" \t\n") == std::string::npos) {
    return Value(node, absl::StrCat(Quoted(path), " is empty"), "write a command");
  }
  return command;
}

absl::StatusOr<std::vector<Command>> PipelineReader::Steps(const yaml::Node& node,
                                                           const std::string& path) const {
  constexpr std::string_view kHint = "write a command or a list of steps, or remove the key";
  std::vector<Command> commands;
  if (node.IsMap()) {
    RETURN_IF_ERROR(CheckKeys(node, path, kPhase));
    return Value(node, absl::StrCat(Quoted(path), " is empty"), kHint);
  }
  if (node.IsAbsent() || (node.IsList() && node.children.empty())) {
    return Key(node, absl::StrCat(Quoted(path), " is empty"), kHint);
  }
  if (node.IsScalar()) {
    ASSIGN_OR_RETURN(Command command, Step(node, path));
    commands.push_back(std::move(command));
  }
  for (const yaml::Node& child : node.children) {
    ASSIGN_OR_RETURN(Command command, Step(child, absl::StrCat(path, "[", commands.size(), "]")));
    commands.push_back(std::move(command));
  }
  return commands;
}

// The kind and the phases of a mapping: the parts a job has in both forms of the file.
absl::Status PipelineReader::Phases(const yaml::Node& map, const std::string& path, JobSpec& spec) const {
  if (const yaml::Node* kind = map.Find("kind")) {
    ASSIGN_OR_RETURN(spec.type, Kind(*kind));
  }
  for (const yaml::Node& child : map.children) {
    const auto phase = ParsePhase(child.key);
    if (!phase) continue;
    if (*phase == Phase::kDeploy && spec.type == JobType::kTest) {
      return Key(child, "a job of kind TEST has no `deploy` phase",
                 "set `kind: TEST_AND_DEPLOY` or `kind: DEPLOY`");
    }
    if (*phase == Phase::kTest && spec.type == JobType::kDeploy) {
      return Key(child, "a job of kind DEPLOY has no `test` phase",
                 "set `kind: TEST_AND_DEPLOY`, or use `prepare`");
    }
    ASSIGN_OR_RETURN(spec.phases[Index(*phase)], Steps(child, Join(path, child.key)));
  }
  return absl::OkStatus();
}

// What the reader does not see but the house requires: the same check every document gets, told at the job.
absl::Status PipelineReader::Complete(const PipelineJob& job, yaml::Position at,
                                      std::string_view word) const {
  JobSpec checked = job.spec;
  checked.trigger.timestamp = 1;  // the run's
  absl::Status status = Check(checked);
  if (status.ok()) return status;
  return source_.Excerpt(at, word, absl::StrCat("job ", Quoted(job.name), ": ", status.message()), "");
}

absl::StatusOr<PipelineJob> PipelineReader::Job(const yaml::Node& node, const std::string& path) const {
  constexpr std::string_view kHint = "write at least `test: COMMAND` below it";
  if (!IsJobName(node.key)) {
    return Key(node, absl::StrCat(Quoted(node.key), " is no name for a job"),
               absl::StrCat("letters, digits, `-`, `_` and `.`, at most ", limits::kNameBytes));
  }
  if (!node.IsMap()) return Key(node, absl::StrCat("job ", Quoted(node.key), " must be a mapping"), kHint);
  RETURN_IF_ERROR(CheckKeys(node, path, kJob));
  PipelineJob job;
  job.name = job.spec.name = node.key;
  RETURN_IF_ERROR(Phases(node, path, job.spec));
  for (const yaml::Node& child : node.children) {
    const std::string at = Join(path, child.key);
    if (child.key == "env") {
      ASSIGN_OR_RETURN(job.spec.env, TextMap(child, at, "write NAME: value below it"));
    } else if (child.key == "needs") {
      ASSIGN_OR_RETURN(job.spec.needs,
                       TextMap(child, at, "write LABEL: value below it, such as `os: linux`"));
    } else if (child.key == "timeout") {
      ASSIGN_OR_RETURN(job.spec.limits.wall, Limit(child, at));
    } else if (child.key == "silence") {
      ASSIGN_OR_RETURN(job.spec.limits.silence, Limit(child, at));
    } else if (child.key == "priority") {
      ASSIGN_OR_RETURN(job.spec.priority, Priority(child));
    }
  }
  const auto& phases = job.spec.phases;
  if (std::all_of(phases.begin(), phases.end(), [](const auto& commands) { return commands.empty(); })) {
    return Key(node, absl::StrCat("job ", Quoted(node.key), " has no step"), kHint);
  }
  RETURN_IF_ERROR(Complete(job, node.key_at, node.key));
  return job;
}

absl::StatusOr<std::vector<PipelineJob>> PipelineReader::Jobs(const yaml::Node& root) const {
  const yaml::Node& jobs = *root.Find("jobs");
  for (const yaml::Node& child : root.children) {
    if (!ParsePhase(child.key) && child.key != "kind") continue;
    return Key(child, absl::StrCat(Quoted(child.key), " cannot stand beside `jobs`"), "move it into a job");
  }
  if (!jobs.IsMap() || jobs.children.empty()) {
    return Key(jobs, "`jobs` must be a mapping of names to jobs",
               "write a name and `test: COMMAND` below it");
  }
  if (jobs.children.size() > limits::kPipelineJobs) {
    return Key(jobs, absl::StrCat(jobs.children.size(), " jobs"),
               absl::StrCat("at most ", limits::kPipelineJobs));
  }
  std::vector<PipelineJob> out;
  for (const yaml::Node& child : jobs.children) {
    ASSIGN_OR_RETURN(PipelineJob job, Job(child, Join("jobs", child.key)));
    out.push_back(std::move(job));
  }
  return out;
}

absl::StatusOr<std::vector<PipelineJob>> PipelineReader::SingleJob(const yaml::Node& root,
                                                                   std::string name) const {
  PipelineJob job;
  job.name = job.spec.name = std::move(name);
  RETURN_IF_ERROR(Phases(root, "", job.spec));
  auto phase = std::find_if(root.children.begin(), root.children.end(),
                            [](const yaml::Node& child) { return ParsePhase(child.key).has_value(); });
  if (phase == root.children.end()) {
    return Value(root, "no job in this file", "write `test: COMMAND`, or `jobs:`");
  }
  RETURN_IF_ERROR(Complete(job, phase->key_at, phase->key));
  std::vector<PipelineJob> out;
  out.push_back(std::move(job));
  return out;
}

absl::StatusOr<std::vector<PipelineJob>> PipelineReader::Read(const yaml::Node& root) const {
  if (root.IsAbsent()) return Value(root, "the file is empty", "write `test: COMMAND`");
  if (!root.IsMap()) return Value(root, "the file must be a mapping", "write `test: COMMAND`");
  RETURN_IF_ERROR(CheckKeys(root, "", kTop));
  if (const yaml::Node* version = root.Find("version")) RETURN_IF_ERROR(Version(*version));
  std::string name = "test";
  if (const yaml::Node* node = root.Find("name")) {
    ASSIGN_OR_RETURN(name, Text(*node, "name", "write a name"));
    if (!IsJobName(name)) {
      return Value(*node, absl::StrCat(Quoted(name), " is no name"),
                   absl::StrCat("letters, digits, `-`, `_` and `.`, at most ", limits::kNameBytes));
    }
  }
  return root.Find("jobs") ? Jobs(root) : SingleJob(root, std::move(name));
}

}  // namespace

absl::StatusOr<std::vector<PipelineJob>> ParsePipeline(std::string_view text, std::string_view file) {
  if (text.size() > limits::kPipelineBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        absl::string_view(file.data(), file.size()), ": ", text.size(),
        " bytes; a pipeline file has at most ", limits::kPipelineBytes,
        "\n  next: move scripts into files of their own [", std::string(yaml::kPipelineFile.general), "]"));
  }
  ASSIGN_OR_RETURN(const std::string prepared, yaml::Prepare(text, file, yaml::kPipelineFile));
  const yaml::Source source(prepared, file, yaml::kPipelineFile);
  ASSIGN_OR_RETURN(const yaml::Node root, yaml::Parse(source));
  return PipelineReader(source).Read(root);
}

}  // namespace waggle::pipeline
