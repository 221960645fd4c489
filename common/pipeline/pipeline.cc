#include "common/pipeline/pipeline.h"

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "common/pipeline/codes.h"
#include "common/pipeline/jobs.h"
#include "common/pipeline/reader.h"
#include "common/pipeline/trigger.h"
#include "common/yaml/source.h"
#include "common/yaml/tree.h"

namespace waggle::pipeline {
namespace {

absl::Status ReadVersion(const Reader& reader, const yaml::Node& node) {
  ASSIGN_OR_RETURN(const std::string text, reader.Text(node, "version", "write 1"));
  if (text == "1") return absl::OkStatus();
  return reader.Bad(node, absl::StrCat(Quoted(absl::StrCat("version: ", text)), " is not known"),
                    "this Waggle reads version 1");
}

absl::StatusOr<Concurrency> ReadConcurrency(const Reader& reader, const yaml::Node& node) {
  constexpr std::string_view kHint = "write a name, or {group: NAME, limit: 1}";
  Concurrency concurrency;
  const yaml::Node* group = &node;
  std::string path = "concurrency";
  if (node.IsMap()) {
    RETURN_IF_ERROR(reader.CheckKeys(node, path, kConcurrencyMap));
    group = node.Find("group");
    if (group == nullptr) return reader.BadKey(node, "`concurrency` has no `group`", kHint);
    path = "concurrency.group";
    if (const yaml::Node* limit = node.Find("limit")) {
      ASSIGN_OR_RETURN(concurrency.limit, reader.Number(*limit, "concurrency.limit", 1, kMostAtATime));
    }
  }
  ASSIGN_OR_RETURN(concurrency.group, reader.FilledText(*group, path, kHint));
  const std::string& text = concurrency.group;
  if (text.empty() || text.size() > limits::kLabelBytes || FindBadByte(text, true) ||
      text.find_first_of("\t\n\r") != std::string::npos) {
    return reader.Bad(*group, absl::StrCat(Quoted(text), " is no name of a group"),
                      absl::StrCat("write one line of 1 to ", limits::kLabelBytes, " bytes"));
  }
  return concurrency;
}

absl::StatusOr<Pipeline> ReadFile(const yaml::Source& source, const yaml::Node& root, const RunFacts& facts) {
  Scope scope{{{"branch", facts.branch},
               {"tag", facts.tag},
               {"commit", facts.commit},
               {"event", std::string(Name(facts.event))}}};
  const Reader plain(source, scope);
  if (root.IsAbsent()) return plain.Bad(root, "the file is empty", "write `test: COMMAND`");
  if (!root.IsMap()) return plain.Bad(root, "the file must be a mapping", "write `test: COMMAND`");
  RETURN_IF_ERROR(plain.CheckKeys(root, "", kFile));
  if (const yaml::Node* version = root.Find("version")) RETURN_IF_ERROR(ReadVersion(plain, *version));
  Pipeline pipeline;
  pipeline.name = facts.name;
  if (const yaml::Node* name = root.Find("name")) {
    ASSIGN_OR_RETURN(pipeline.name, plain.Text(*name, "name", "write a name"));
    if (!IsName(pipeline.name)) {
      return plain.Bad(*name, absl::StrCat(Quoted(pipeline.name), " is no name"), NameRule());
    }
  }
  scope.names.emplace_back("name", pipeline.name);
  const Reader reader(source, scope);
  RETURN_IF_ERROR(ReadTrigger(reader, root.Find("trigger"), facts, pipeline));
  if (const yaml::Node* cancel = root.Find("cancel_previous")) {
    ASSIGN_OR_RETURN(pipeline.cancel_previous, reader.Flag(*cancel));
  }
  if (const yaml::Node* concurrency = root.Find("concurrency")) {
    ASSIGN_OR_RETURN(pipeline.concurrency, ReadConcurrency(reader, *concurrency));
  }
  RETURN_IF_ERROR(ReadJobs(reader, root, facts, pipeline));
  return pipeline;
}

}  // namespace

absl::StatusOr<Pipeline> ParsePipeline(std::string_view text, std::string_view file, const RunFacts& facts) {
  if (text.size() > limits::kPipelineBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        absl::string_view(file.data(), file.size()), ": ", text.size(),
        " bytes; a pipeline file has at most ", limits::kPipelineBytes,
        "\n  next: move scripts into files of their own [", std::string(yaml::kPipelineFile.general), "]"));
  }
  ASSIGN_OR_RETURN(const std::string prepared, yaml::Prepare(text, file, yaml::kPipelineFile));
  const yaml::Source source(prepared, file, yaml::kPipelineFile);
  ASSIGN_OR_RETURN(const yaml::Node root, yaml::Parse(source));
  return ReadFile(source, root, facts);
}

}  // namespace waggle::pipeline
