#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/config/key.h"

namespace waggle::config {

// Where settings come from, lowest layer last: flags, variables, `file` or else `user_file`,
// DIRECTORY/NAME.d/*.yaml (the last in lexical order first), DIRECTORY/NAME.yaml, what the program found, the
// built-in values.
struct Sources {
  std::vector<std::pair<const Key*, std::string>> flags;         // as given, in order
  std::vector<std::pair<std::string, std::string>> environment;  // NAME, value; one with "" is not set
  std::string file;                                              // --config: must be there; "" = not given
  std::string user_file, directory;                              // may be missing; "" = none
  // What the program found out by itself; between the built-in values and everything that was said.
  struct Found {
    const Key* key;
    std::string value, origin;
  };
  std::vector<Found> found;
  std::string closing;  // last line of errors about files and variables
};

// The variables of this process, and DIRECTORY: $CONFIGURATION_DIRECTORY of systemd, else /etc/NAME.
Sources SystemSources(const Program& program);

// One setting as it holds.
struct Shown {
  std::string key;    // "labels.site" for an entry
  std::string value;  // what holds without a value when `set` is false
  std::string origin;
  bool set = true;
};

// The settings of one program, checked by its table. Immutable. Getters REQUIRE a key of the table, of that
// kind; the program's keys must outlive this.
class Settings {
 public:
  // FailedPrecondition: a file or a variable is wrong; the message is that of a pipeline file, or begins with
  // the variable. InvalidArgument: a flag is.
  static absl::StatusOr<Settings> Load(const Program& program, const Sources& sources);

  // InvalidArgument names the first key that has no value and must have one, and how to give it.
  absl::Status RequireAll() const;
  absl::Status Require(const std::vector<std::string_view>& keys) const;  // the same of these alone

  bool Has(std::string_view key) const;
  const std::string& Get(std::string_view key) const;  // "" without a value
  std::int64_t GetWhole(std::string_view key) const;
  double GetReal(std::string_view key) const;
  std::chrono::milliseconds GetDuration(std::string_view key) const;  // 0 for its word
  std::map<std::string, std::string> GetEntries(std::string_view key) const;
  // "built-in", "FILE:LINE", "WAGGLE_QUEEN_LEASE" or "--lease".
  const std::string& Origin(std::string_view key) const;

  const Program& program() const { return *program_; }
  std::vector<Shown> All() const;  // in the order of the table

 private:
  friend class Loader;
  struct Value {
    std::string text, origin;
  };
  struct Slot {
    std::optional<Value> value;
    std::map<std::string, Value> entries;
  };

  explicit Settings(const Program& program) : program_(&program), slots_(program.keys.size()) {}
  const Slot& SlotOf(std::string_view key) const;

  const Program* program_;
  std::vector<Slot> slots_;  // beside program_->keys
};

// All settings as a file that has the same effect; with `origin` each line says where its value is from.
std::string ShowSettings(const Settings& settings, bool origin);
// The table for people.
std::string ShowKeys(const Program& program);

}  // namespace waggle::config
