#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/config/key.h"

namespace waggle::config {

// The path of the queen's socket, from what people write: unix:/path, the path of the socket, or the
// directory that holds queen.sock. Absolute. REQUIRES: CheckQueen(text) found no fault.
std::string QueenSocket(std::string_view text);

// The fault of an address: empty, or that of a queen on another host.
std::optional<Fault> CheckQueen(std::string_view text);

}  // namespace waggle::config
