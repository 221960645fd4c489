#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "drone/core/messages.h"

namespace waggle::drone {

// `drone serve` as it was typed.
struct ServeFlags {
  std::string queen, data, name;
  std::optional<int> slots;
  double speed = 1.0;
  std::vector<std::string> labels, env;  // K=V
  std::string log_level = "info", log_format = "auto";
};

// The same, checked and completed with what the host says.
struct Options {
  std::string target;  // for gRPC: "unix:/path/queen.sock"
  std::string data;    // absolute
  std::string name, host, version;
  Info info;
  std::map<std::string, std::string> env;
};

// InvalidArgument names the flag, its value and what is accepted.
absl::StatusOr<Options> Resolve(const ServeFlags& flags, std::string_view version);

// "unix:/path/queen.sock", from that, a path to the socket, or the directory that holds queen.sock.
// InvalidArgument for a network address: this version has no certificates to meet a remote queen with.
absl::StatusOr<std::string> ResolveQueen(std::string_view address);

// Slots of a host: one per two cores, each with 4 GiB of memory; at least one.
std::uint32_t AutoSlots(long cores, std::uint64_t memory_bytes);

}  // namespace waggle::drone
