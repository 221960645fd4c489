#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace waggle::pipeline {

// What started a run; the values of CI_PIPELINE_EVENT.
enum class Event : std::uint8_t { kManual, kPush, kPullRequest, kTag, kCron, kDeploy };

std::string_view Name(Event event);  // "manual", "push", "pull_request", "tag", "cron", "deploy"
std::optional<Event> ParseEvent(std::string_view text);
extern const std::string_view kEventNames[6];

// What `trigger`, `when` and ${…} look at. The defaults are a run that a person asked for.
struct RunFacts {
  Event event = Event::kManual;
  std::string branch;                               // of a pull request: the branch it is to be merged into
  std::string tag;                                  // kTag
  std::string commit;                               // 40 hex digits
  std::string schedule;                             // kCron: the name of the entry of `trigger.schedule`
  std::string name;                                 // the pipeline's, where the file gives it none
  std::optional<std::vector<std::string>> changed;  // paths; nullopt = not known
};

}  // namespace waggle::pipeline
