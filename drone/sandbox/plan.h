#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/vocabulary.h"

namespace waggle::sandbox {

// What one attempt is kept in: decided by the daemon, carried out by the shim. Part of the Start frame.
struct Plan {
  Isolation mode = Isolation::kNone;             // never kAuto
  bool network = true;                           // false: only a loopback of its own (kBubblewrap)
  std::uint32_t first_user = 0, last_user = 0;   // one of these runs the job; 0 = whoever runs the shim
  std::string program;                           // bwrap (kBubblewrap)
  std::vector<std::string> read_only, writable;  // paths of the host that the job sees besides the system
  std::vector<std::string> hidden;               // directories that it does not see, wherever they are
  std::string warning;                           // why it is no stronger; "" = it is as strong as it can be

  bool isolated() const { return mode != Isolation::kNone; }
};

}  // namespace waggle::sandbox
