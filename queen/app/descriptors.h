#pragma once

#include <cstddef>

namespace waggle::queen {

// How the queen's descriptors are shared out, so that no crowd at one of her ports takes what the others, or
// the store and the logs, need: without descriptors those stop the queen.
struct DescriptorShares {
  std::size_t remote = 0, local = 0, http = 0;  // connections
};
DescriptorShares SharesOf(std::size_t limit);

// Raises the limit of open files as far as this process may: the shares of what it is then.
DescriptorShares ShareDescriptors();

}  // namespace waggle::queen
