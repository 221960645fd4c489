#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace waggle::cli {

// Where the queen listens, and who said so (shown when she cannot be reached).
struct Address {
  std::string socket;  // absolute path of her Unix socket
  std::string origin;  // "--queen", "WAGGLE_QUEEN", a file, or "the built-in default"
};

// The places an address may come from, highest first. Empty = not given there.
struct AddressSources {
  std::string flag;
  std::string environment;
  std::string config_file;  // may name a file that does not exist
};

// Fills in WAGGLE_QUEEN and $XDG_CONFIG_HOME/waggle/config.yaml (else ~/.config/waggle/config.yaml).
AddressSources SourcesFromEnvironment(std::string flag);

// InvalidArgument: an address of a kind this version does not speak, or a config file that is wrong.
absl::StatusOr<Address> ResolveAddress(const AddressSources& sources);

// One address as people write it: unix:/path, or a path to a socket or to a data directory with queen.sock in
// it.
absl::StatusOr<std::string> SocketPath(std::string_view text);

// The value of `queen:` in a client configuration file; "" when the file or the key is absent.
absl::StatusOr<std::string> QueenFromConfig(const std::string& path);

}  // namespace waggle::cli
