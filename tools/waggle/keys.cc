#include "tools/waggle/keys.h"

#include <cstdlib>

#include "tools/waggle/address.h"

namespace waggle::cli {
namespace {

constexpr std::string_view kForms[] = {"text", "json"};
constexpr std::string_view kWhen[] = {"auto", "always", "never"};

const config::Key kKeys[] = {
    {.name = "queen",
     .rule = config::Text{CheckAddress},
     .fallback = "/run/queen/queen.sock",
     .placeholder = "ADDRESS",
     .help = "Where the queen listens: her socket, her data directory, or HOST:PORT after waggle login"},
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

// $XDG_CONFIG_HOME/waggle, else ~/.config/waggle; "" without a home.
std::string UserDirectory() {
  std::string base = Environment("XDG_CONFIG_HOME");
  if (!base.starts_with('/')) {  // a relative one is to be ignored
    const std::string home = Environment("HOME");
    base = home.empty() ? "" : home + "/.config";
  }
  return base.empty() ? "" : base + "/waggle";
}

std::string Below(const std::string& directory, const char* name) {
  return directory.empty() ? "" : directory + name;
}

}  // namespace

const config::Program kProgram{"waggle", "WAGGLE_", /*daemon=*/false, "read by each command", kKeys};

std::string UserFile() {
  return Below(UserDirectory(), "/config.yaml");
}

std::string LoginDirectory() {
  return Below(UserDirectory(), "/queens");
}

}  // namespace waggle::cli
