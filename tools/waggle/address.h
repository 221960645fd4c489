#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/config/key.h"

namespace waggle::cli {

// Where the queen listens, and who said so (shown when she cannot be reached). One of the first two is empty.
struct Address {
  std::string socket;  // absolute path of her Unix socket
  std::string remote;  // "HOST:PORT" or "https://HOST:PORT" of one on another host, as HostPort writes it
  std::string origin;  // "--queen", "WAGGLE_QUEEN", FILE:LINE, or "the built-in default"

  const std::string& shown() const { return remote.empty() ? socket : remote; }
};

// The fault of what was written for a queen: a path, or a place on the network.
std::optional<config::Fault> CheckAddress(std::string_view text);

// REQUIRES: CheckAddress(text) found no fault.
Address ReadAddress(std::string_view text, std::string origin);

}  // namespace waggle::cli
