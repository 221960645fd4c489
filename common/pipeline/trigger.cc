#include "common/pipeline/trigger.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "common/pipeline/codes.h"
#include "common/pipeline/pattern.h"

namespace waggle::pipeline {
namespace {

constexpr std::size_t kMostPatterns = 256;  // in one list
constexpr std::string_view kPatterns = "write patterns, such as [main, \"feat/*\"]";

// Each of them is held against every path that changed, hence the bounds.
absl::StatusOr<std::vector<std::string>> ReadPatterns(const Reader& reader, const yaml::Node& node,
                                                      const std::string& path) {
  ASSIGN_OR_RETURN(std::vector<std::string> patterns, reader.Texts(node, path, kPatterns));
  if (patterns.size() > kMostPatterns) {
    return reader.BadKey(node, absl::StrCat(Quoted(path), " has ", patterns.size(), " patterns"),
                         absl::StrCat("at most ", kMostPatterns), code::kEvent);
  }
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    if (patterns[i].size() <= limits::kLabelBytes) continue;
    return reader.Bad(node.IsList() ? node.children[i] : node,
                      absl::StrCat("a pattern of ", patterns[i].size(), " bytes"),
                      absl::StrCat("at most ", limits::kLabelBytes), code::kEvent);
  }
  return patterns;
}

// The value of `trigger.push` and its like.
struct Filter {
  bool on = false;
  std::vector<std::string> wanted;  // none: all
  std::vector<std::string> ignored;
};

absl::StatusOr<Filter> ReadFilter(const Reader& reader, const yaml::Node* node, const std::string& path,
                                  const Mapping* mapping) {
  Filter filter;
  if (node == nullptr) return filter;
  filter.on = true;
  if (node->IsScalar() && (node->text == "true" || node->text == "false")) {
    filter.on = node->text == "true";
    return filter;
  }
  if (!node->IsMap() || mapping == nullptr) {
    ASSIGN_OR_RETURN(filter.wanted, ReadPatterns(reader, *node, path));
    return filter;
  }
  RETURN_IF_ERROR(reader.CheckKeys(*node, path, *mapping));
  for (const yaml::Node& child : node->children) {
    ASSIGN_OR_RETURN((child.key == "ignore" ? filter.ignored : filter.wanted),
                     ReadPatterns(reader, child, Join(path, child.key)));
  }
  return filter;
}

// Why the filter does not want the name; "" = it does.
std::string Judge(const Filter& filter, Event event, std::string_view what, const std::string& name) {
  const std::string key = event == Event::kPush ? "push" : event == Event::kTag ? "tag" : "pull_request";
  if (!filter.on) return absl::StrCat("`trigger` does not name ", key);
  const std::string shown = absl::StrCat(std::string(what), " ", Quoted(name));
  if (MatchesAny(filter.ignored, name)) return absl::StrCat("`trigger.", key, "` ignores ", shown);
  if (filter.wanted.empty() || MatchesAny(filter.wanted, name)) return "";
  return absl::StrCat("`trigger.", key, "` does not name ", shown);
}

absl::Status ReadSchedules(const Reader& reader, const yaml::Node& node, const std::string& path,
                           std::map<std::string, std::string>& schedules) {
  constexpr std::string_view kHint = "write NAME: \"17 3 * * *\" below it";
  if (!node.IsMap() || node.children.empty()) {
    return reader.BadKey(node, absl::StrCat(Quoted(path), " must be a mapping of names to times"), kHint,
                         code::kEvent);
  }
  for (const yaml::Node& child : node.children) {
    if (!IsName(child.key)) {
      return reader.BadKey(child, absl::StrCat(Quoted(child.key), " is no name for a schedule"), NameRule(),
                           code::kEvent);
    }
    ASSIGN_OR_RETURN(std::string text, reader.Text(child, Join(path, child.key), kHint));
    if (const std::string fault = CronFault(text); !fault.empty()) {
      return reader.Bad(child, absl::StrCat(Quoted(text), " is no schedule: ", fault),
                        "minute hour day month weekday, such as 17 3 * * *", code::kEvent);
    }
    schedules[child.key] = std::move(text);
  }
  return absl::OkStatus();
}

// Why none of the changed paths wants a run; "" = one does, or nobody knows what changed.
std::string JudgePaths(const std::vector<std::string>& ignored, const RunFacts& facts) {
  if (ignored.empty() || !facts.changed || facts.changed->empty()) return "";
  for (const std::string& path : *facts.changed) {
    if (!MatchesAny(ignored, path)) return "";
  }
  return "`trigger.paths_ignore` ignores every path that changed";
}

std::string JudgeEvent(const Filter& push, const Filter& pull_request, const Filter& tag,
                       const Pipeline& pipeline, const RunFacts& facts) {
  switch (facts.event) {
    case Event::kPush:
      return Judge(push, facts.event, "branch", facts.branch);
    case Event::kPullRequest:
      return Judge(pull_request, facts.event, "branch", facts.branch);
    case Event::kTag:
      return Judge(tag, facts.event, "tag", facts.tag);
    case Event::kCron:
      if (pipeline.schedules.count(facts.schedule) > 0) return "";
      return absl::StrCat("`trigger.schedule` has no ", Quoted(facts.schedule));
    case Event::kManual:
    case Event::kDeploy:
      return "";
  }
  return "";
}

absl::Status ReadEvents(const Reader& reader, const yaml::Node& node, const std::string& path,
                        const RunFacts& facts, std::string& skipped) {
  ASSIGN_OR_RETURN(const std::vector<std::string> events,
                   reader.Texts(node, path, "write push, tag, …, or a list of them"));
  bool found = false;
  std::string wanted;
  for (std::size_t i = 0; i < events.size(); ++i) {
    const auto event = ParseEvent(events[i]);
    if (!event) {
      const yaml::Node& at = node.IsList() ? node.children[i] : node;
      return reader.Unknown(at, "event", events[i], kEventNames, code::kEvent);
    }
    found = found || *event == facts.event;
    absl::StrAppend(&wanted, i == 0 ? "" : ", ", events[i]);
  }
  if (!found) {
    skipped = absl::StrCat("`when.event` is ", wanted, ", this is ", std::string(Name(facts.event)));
  }
  return absl::OkStatus();
}

// `when.branch`, `when.tag`.
absl::Status ReadName(const Reader& reader, const yaml::Node& node, const std::string& path,
                      const std::string& name, std::string& skipped) {
  ASSIGN_OR_RETURN(const std::vector<std::string> patterns, ReadPatterns(reader, node, path));
  if (!name.empty() && MatchesAny(patterns, name)) return absl::OkStatus();
  skipped = name.empty() ? absl::StrCat("`when.", node.key, "` is given, this run has no ", node.key)
                         : absl::StrCat("`when.", node.key, "` does not name ", Quoted(name));
  return absl::OkStatus();
}

absl::Status ReadCells(const Reader& reader, const yaml::Node& node, const std::string& path,
                       const Cell& cell, std::string& skipped) {
  if (!node.IsMap() || node.children.empty()) {
    return reader.BadKey(node, absl::StrCat(Quoted(path), " must be a mapping"), "write AXIS: value below it",
                         code::kMatrix);
  }
  std::vector<std::string_view> names;
  for (const auto& [name, value] : cell) names.push_back(name);
  for (const yaml::Node& child : node.children) {
    const auto found =
        std::find_if(cell.begin(), cell.end(), [&](const auto& pair) { return pair.first == child.key; });
    if (found == cell.end()) {
      const std::string_view meant = DidYouMean(child.key, names);
      return reader.BadKey(child, absl::StrCat("the matrix has no axis ", Quoted(child.key)),
                           meant.empty() ? "" : absl::StrCat("did you mean ", Quoted(meant), "?"),
                           code::kMatrix);
    }
    ASSIGN_OR_RETURN(const std::vector<std::string> values,
                     reader.Texts(child, Join(path, child.key), "write a value or a list of values"));
    if (std::find(values.begin(), values.end(), found->second) != values.end()) continue;
    skipped = absl::StrCat("`when.matrix.", child.key, "` does not name ", Quoted(found->second));
  }
  return absl::OkStatus();
}

absl::StatusOr<RunsAfter> ReadStatus(const Reader& reader, const yaml::Node& node, const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, reader.Text(node, path, "write passed, failed or always"));
  const auto* found = std::find(std::begin(kStatuses), std::end(kStatuses), text);
  if (found == std::end(kStatuses)) return reader.Unknown(node, "status", text, kStatuses, code::kEvent);
  return *ParseRunsAfter(*found);
}

}  // namespace

absl::Status ReadTrigger(const Reader& reader, const yaml::Node* node, const RunFacts& facts,
                         Pipeline& pipeline) {
  Filter push{true, {}, {}}, pull_request = push, tag = push;
  std::vector<std::string> ignored;
  if (node != nullptr) {
    constexpr std::string_view kHint = "write `push: [main]` and the like below it";
    RETURN_IF_ERROR(reader.Map(*node, "trigger", kTriggerMap, kHint));
    if (node->children.empty()) return reader.BadKey(*node, "`trigger` is empty", kHint);
    ASSIGN_OR_RETURN(push, ReadFilter(reader, node->Find("push"), "trigger.push", &kFilterMap));
    ASSIGN_OR_RETURN(pull_request,
                     ReadFilter(reader, node->Find("pull_request"), "trigger.pull_request", &kFilterMap));
    ASSIGN_OR_RETURN(tag, ReadFilter(reader, node->Find("tag"), "trigger.tag", nullptr));
    if (const yaml::Node* schedule = node->Find("schedule")) {
      RETURN_IF_ERROR(ReadSchedules(reader, *schedule, "trigger.schedule", pipeline.schedules));
    }
    if (const yaml::Node* paths = node->Find("paths_ignore")) {
      ASSIGN_OR_RETURN(ignored, ReadPatterns(reader, *paths, "trigger.paths_ignore"));
    }
    // Only what is said of all events, such as `paths_ignore`, leaves them as they are.
    const auto names_event = [](const yaml::Node& child) { return child.key != "paths_ignore"; };
    if (std::none_of(node->children.begin(), node->children.end(), names_event)) {
      push.on = pull_request.on = tag.on = true;
    }
  }
  pipeline.unwanted = JudgeEvent(push, pull_request, tag, pipeline, facts);
  if (pipeline.unwanted.empty() && (facts.event == Event::kPush || facts.event == Event::kPullRequest)) {
    pipeline.unwanted = JudgePaths(ignored, facts);
  }
  return absl::OkStatus();
}

absl::Status ReadWhen(const Reader& reader, const yaml::Node& node, const std::string& path,
                      const RunFacts& facts, const Cell& cell, PipelineJob& job) {
  RETURN_IF_ERROR(reader.Map(node, path, kWhenMap, "write `event: tag` or the like below it"));
  if (node.children.empty()) return reader.BadKey(node, absl::StrCat(Quoted(path), " is empty"), "remove it");
  for (const yaml::Node& child : node.children) {
    const std::string at = Join(path, child.key);
    std::string skipped;
    if (child.key == "event") {
      RETURN_IF_ERROR(ReadEvents(reader, child, at, facts, skipped));
    } else if (child.key == "branch") {
      RETURN_IF_ERROR(ReadName(reader, child, at, facts.branch, skipped));
    } else if (child.key == "tag") {
      RETURN_IF_ERROR(ReadName(reader, child, at, facts.tag, skipped));
    } else if (child.key == "matrix") {
      RETURN_IF_ERROR(ReadCells(reader, child, at, cell, skipped));
    } else {
      ASSIGN_OR_RETURN(job.runs_after, ReadStatus(reader, child, at));
    }
    if (job.skipped.empty()) job.skipped = std::move(skipped);  // the first reason is told
  }
  return absl::OkStatus();
}

}  // namespace waggle::pipeline
