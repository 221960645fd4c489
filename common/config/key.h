#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

// The table of a program's settings. From one row come the key in files, the flag, the environment variable,
// the help and what `config keys` says; rows are constants, so everything here is a view of one.
namespace waggle::config {

// What is wrong with a value: "is not a whole number", "write 1 to 1024".
struct Fault {
  std::string what;
  std::string hint;
  bool no_unit = false;  // a bare number where a unit is needed: has a code of its own
};

// Kinds of values, with their bounds.
struct Text {
  std::optional<Fault> (*check)(std::string_view) = nullptr;
};
struct Path {            // absolute in a file, where nobody knows the working directory
  bool several = false;  // with colons between them; in a file a list as well
};
struct Choice {
  std::span<const std::string_view> words;
};
struct Whole {
  std::int64_t least, most;
  std::string_view word = {};  // may stand in place of the number
};
struct Real {
  std::int64_t least, most;
};
struct Duration {
  std::chrono::seconds least, most;
  std::string_view word = {};  // may stand in place of the duration
};
// NAME: value, several. Layers add up: a higher one replaces only the names it gives. The flag and the
// variable write NAME=VALUE, the flag once for each, the variable with commas between them.
struct Entries {
  std::optional<Fault> (*check)(std::string_view name, std::string_view value);
  std::size_t most;
};
using Rule = std::variant<Text, Path, Choice, Whole, Real, Duration, Entries>;

struct Key {
  std::string_view name;  // "log.level"; in files `level` below `log`
  Rule rule;
  std::string_view fallback;     // the built-in value, as in a file; "" = none
  std::string_view placeholder;  // of the value in help: DIR
  std::string_view help;
  std::string_view unset = {};  // what holds without a value; "" = it must be given to serve
  std::string_view flags = {};  // when they are not "--log-level": "--label", "-o,--format"
  bool live = false;            // a change is taken over without a restart
};

struct Program {
  std::string_view name;    // "queen"; her files are /etc/queen/queen.yaml and /etc/queen/queen.d/*.yaml
  std::string_view prefix;  // of her variables: "WAGGLE_QUEEN_"
  bool daemon;  // systemd may name its directory, and a variable that begins so and is no key is an error
  std::string_view changes;  // when a key that is not live takes effect: "needs a restart"
  std::span<const Key> keys;
};

std::string FlagsOf(const Key& key);  // "--log-level", "-o,--format"
std::string FlagOf(const Key& key);   // the long one
std::string VariableOf(const Program& program, const Key& key);
std::string KindOf(const Key& key);  // "duration, 1s to 1h"

// Whether `text` is a value of this key; not for Entries, whose names come apart first.
std::optional<Fault> Check(const Key& key, std::string_view text);
// NAME=VALUE in its parts; nothing: it is not so written.
std::optional<std::pair<std::string, std::string>> SplitEntry(std::string_view text);

}  // namespace waggle::config
