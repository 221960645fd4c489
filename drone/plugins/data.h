#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/base/limits.h"
#include "drone/plugins/channel.h"

namespace waggle::plugins {

// What the plugins of one attempt have said about it: one JSON object with a field for each plugin. One
// thread.
class DataStore {
 public:
  static constexpr std::size_t kBytes = 1 * limits::kMiB;  // of all together, as JSON

  DataStore();
  ~DataStore();

  // replace: the value takes the place of what is at the dotted path ("" = all of this plugin's); push: it is
  // appended to the list there, which is made if nothing is; extend: its fields are set in the object there,
  // likewise. InvalidArgument: another method, or the path leads through what is no object, or what is there
  // is no list or object. ResourceExhausted: more than kBytes. Then nothing has changed.
  absl::Status Apply(std::string_view plugin, const Data& data);
  std::string AsJson() const;

  // The record of one call, as JSON: {"plugin":…,"method":…,"path":…,"value":…}.
  static std::string Event(std::string_view plugin, const Data& data);

 private:
  struct Tree;
  std::unique_ptr<Tree> tree_;
};

}  // namespace waggle::plugins
