#include "common/pipeline/facts.h"

#include <algorithm>
#include <iterator>

namespace waggle::pipeline {

const std::string_view kEventNames[6] = {"manual", "push", "pull_request", "tag", "cron", "deploy"};

std::string_view Name(Event event) {
  return kEventNames[static_cast<std::size_t>(event)];
}

std::optional<Event> ParseEvent(std::string_view text) {
  const auto* found = std::find(std::begin(kEventNames), std::end(kEventNames), text);
  if (found == std::end(kEventNames)) return std::nullopt;
  return static_cast<Event>(found - std::begin(kEventNames));
}

}  // namespace waggle::pipeline
