#include "tools/waggle/keys.h"

#include <cstdlib>

#include "common/config/address.h"

namespace waggle::cli {
namespace {

constexpr std::string_view kForms[] = {"text", "json"};
constexpr std::string_view kWhen[] = {"auto", "always", "never"};

const config::Key kKeys[] = {
    {.name = "queen",
     .rule = config::Text{config::CheckQueen},
     .fallback = "/run/queen/queen.sock",
     .placeholder = "ADDRESS",
     .help = "Where the queen listens: her socket, or her data directory"},
    {.name = "format",
     .rule = config::Choice{kForms},
     .fallback = "text",
     .placeholder = "FORM",
     .help = "Form of the output; with json a watch prints one object per line",
     .flags = "-o,--format,--output"},
    {.name = "color",
     .rule = config::Choice{kWhen},
     .fallback = "auto",
     .placeholder = "WHEN",
     .help = "Colours; auto: on a terminal without NO_COLOR"},
};

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

const config::Program kProgram{"waggle", "WAGGLE_", /*daemon=*/false, "read by each command", kKeys};

std::string UserFile() {
  std::string base = Environment("XDG_CONFIG_HOME");
  if (!base.starts_with('/')) {  // a relative one is to be ignored
    const std::string home = Environment("HOME");
    base = home.empty() ? "" : home + "/.config";
  }
  return base.empty() ? "" : base + "/waggle/config.yaml";
}

}  // namespace waggle::cli
