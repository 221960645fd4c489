#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/config/settings.h"
#include "tests/support/temp_dir.h"

// A program with one key of each kind, and its sources below a temporary directory.
namespace waggle::config {

inline std::optional<Fault> NoSpaces(std::string_view text) {
  if (text.find(' ') == std::string_view::npos) return std::nullopt;
  return Fault{"has a space in it", "use one word"};
}
inline std::optional<Fault> ShortName(std::string_view name, std::string_view) {
  if (!name.empty() && name.size() < 9) return std::nullopt;
  return Fault{"has a bad name", "use 1 to 8 bytes"};
}

inline constexpr std::string_view kTestLevels[] = {"error", "info", "debug"};
inline constexpr Key kTestKeys[] = {
    {.name = "data", .rule = Path{}, .placeholder = "DIR", .help = "Where things are"},
    {.name = "name",
     .rule = Text{NoSpaces},
     .placeholder = "NAME",
     .help = "Its name",
     .unset = "the host name"},
    {.name = "lease",
     .rule = Duration{std::chrono::seconds(1), std::chrono::hours(1)},
     .fallback = "30s",
     .placeholder = "TIME",
     .help = "Its lease"},
    {.name = "slots",
     .rule = Whole{1, 1024, "auto"},
     .fallback = "auto",
     .placeholder = "N",
     .help = "Jobs at a time"},
    {.name = "speed", .rule = Real{0, 1000}, .fallback = "1", .placeholder = "X", .help = "Its speed"},
    {.name = "labels",
     .rule = Entries{ShortName, 3},
     .placeholder = "NAME=VALUE",
     .help = "Its labels",
     .unset = "none",
     .flags = "--label"},
    {.name = "log.level",
     .rule = Choice{kTestLevels},
     .fallback = "info",
     .placeholder = "LEVEL",
     .help = "What it logs"},
    {.name = "log.max_size", .rule = Whole{1, 9}, .fallback = "5", .placeholder = "N", .help = "How much"},
};
inline constexpr Program kTestProgram{"bee", "BEE_", /*daemon=*/true, "needs a restart", kTestKeys};

inline const Key& KeyNamed(std::string_view name) {
  for (const Key& key : kTestKeys) {
    if (key.name == name) return key;
  }
  abort();
}

struct TestSources {
  test::TempDir dir;
  Sources sources;

  TestSources() { sources.directory = dir / "etc"; }
  void Etc(std::string_view text) { test::WriteText(dir / "etc/bee.yaml", text); }
  void DropIn(const std::string& name, std::string_view text) {
    test::WriteText(dir / ("etc/bee.d/" + name), text);
  }
  void User(std::string_view text) {
    sources.user_file = dir / "user.yaml";
    test::WriteText(sources.user_file, text);
  }
  void File(std::string_view text) {
    sources.file = dir / "given.yaml";
    test::WriteText(sources.file, text);
  }
  void Variable(const std::string& name, const std::string& value) {
    sources.environment.emplace_back(name, value);
  }
  void Flag(std::string_view key, const std::string& value) {
    sources.flags.emplace_back(&KeyNamed(key), value);
  }
  absl::StatusOr<Settings> Load() const { return Settings::Load(kTestProgram, sources); }
  // The error, with the temporary directory as "DIR".
  std::string Error() const {
    const absl::StatusOr<Settings> settings = Load();
    if (settings.ok()) return "";
    std::string text(settings.status().message());
    for (std::size_t at; (at = text.find(dir.path())) != std::string::npos;)
      text.replace(at, dir.path().size(), "DIR");
    return text;
  }
};

}  // namespace waggle::config
