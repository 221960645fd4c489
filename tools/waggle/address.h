#pragma once

#include <string>

namespace waggle::cli {

// Where the queen listens, and who said so (shown when she cannot be reached).
struct Address {
  std::string socket;  // absolute path of her Unix socket
  std::string origin;  // "--queen", "WAGGLE_QUEEN", FILE:LINE, or "the built-in default"
};

}  // namespace waggle::cli
