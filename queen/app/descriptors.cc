#include "queen/app/descriptors.h"

#include <sys/resource.h>

#include <algorithm>

#include "common/base/limits.h"
#include "queen/http/limits.h"

namespace waggle::queen {
namespace {

// With each drone's two streams and each watcher on a connection of its own.
constexpr std::size_t kConnections = 2 * limits::kDrones + limits::kWatchers;

}  // namespace

DescriptorShares SharesOf(std::size_t limit) {
  // For files; what the ports do not use of theirs as well. An idle queen has 25 open.
  limit -= std::max(limit / 8, std::min<std::size_t>(limit / 2, 64));
  return {.remote = std::min(limit / 2, kConnections),
          .local = std::min(limit / 4, kConnections),
          .http = std::min(limit / 8, http::kConnections)};
}

DescriptorShares ShareDescriptors() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return SharesOf(1024);
  if (files.rlim_cur < files.rlim_max) {
    const rlimit raised{files.rlim_max, files.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) files = raised;
  }
  return SharesOf(static_cast<std::size_t>(files.rlim_cur));
}

}  // namespace waggle::queen
