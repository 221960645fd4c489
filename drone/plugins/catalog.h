#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "drone/plugins/manifest.h"

namespace waggle::plugins {

// The plugins of a host, looked for once. Immutable.
class Catalog {
 public:
  struct Entry {
    std::string name;       // of its folder
    std::string directory;  // absolute
    Manifest manifest;
    std::string trouble;  // why no job gets it; "" = it is offered

    std::string program() const { return directory + "/plugin"; }
  };

  // Every folder of `directories` with a plugin.yaml; of two with one name that of the earlier directory.
  // What a plugin needs is looked for in `path`, the PATH of jobs. A directory that is missing is none.
  static Catalog Scan(const std::vector<std::string>& directories, std::string_view path);

  // NotFound: "this drone has no plugin x"; FailedPrecondition: another version, or why it cannot be used.
  // REQUIRES: the catalog outlives the entry.
  absl::StatusOr<const Entry*> Find(std::string_view wanted) const;  // "ccache", "ccache@2"

  std::map<std::string, std::string> Offered() const;             // name → version, at most limits::kLabels
  const std::vector<Entry>& entries() const { return entries_; }  // by name

 private:
  std::vector<Entry> entries_;
};

}  // namespace waggle::plugins
