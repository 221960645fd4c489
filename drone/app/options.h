#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/config/settings.h"
#include "drone/attempt/isolation.h"
#include "drone/core/messages.h"
#include "drone/plugins/catalog.h"

namespace waggle::drone {

// The settings of `drone serve`, completed with what the host says.
struct Options {
  std::string target;  // for gRPC: "unix:/path/queen.sock"; "" = the queen it is enrolled with
  std::string data;    // absolute
  std::string name;    // "" = the one it is enrolled with, or the host's
  std::string host, version;
  Info info;
  std::map<std::string, std::string> env;
  std::string start_hook, exit_hook;            // commands of sh; "" = none
  std::string health;                           // URL or path of the health document; "" = none
  std::uint64_t spool_budget = 0;               // bytes; 0 = by the disk
  std::vector<std::string> plugin_directories;  // in the order in which they are searched
  std::chrono::nanoseconds plugin_limit{};      // of one run of a plugin
  attempt::IsolationRules isolation;
};

// REQUIRES: all settings that must be given are. InvalidArgument: the host's name is no name for a drone.
absl::StatusOr<Options> Resolve(const config::Settings& settings, std::string_view version);

// Where plugins are looked for: the drone's own, what its owner named, those that came with the program.
std::vector<std::string> PluginDirectories(const config::Settings& settings, const std::string& data);
// What is installed there, as jobs of this host would find it.
plugins::Catalog FindPlugins(const std::vector<std::string>& directories,
                             const std::map<std::string, std::string>& env);

// Slots of a host: one per two cores, each with 4 GiB of memory; at least one.
std::uint32_t AutoSlots(long cores, std::uint64_t memory_bytes);

}  // namespace waggle::drone
