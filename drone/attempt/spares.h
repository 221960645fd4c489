#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "drone/attempt/layout.h"
#include "drone/attempt/shim_socket.h"

namespace waggle::attempt {

// An attempt directory that is ready but for what names the attempt: home/, tmp/ and work/src/, all empty,
// the reserve of the spool and perhaps its first file, empty too, and the socket of the shim.
struct Spare {
  std::string path;  // below DATA/spare, to be renamed
  Listener listener;
};

// Making and removing these for each attempt costs more than all else the daemon does for a short job, so the
// next attempt gets those of one that is over. Thread-safe.
class Spares {
 public:
  static constexpr std::size_t kKept = 8;

  // What an earlier process kept goes to DATA/used, to be looked at anew.
  explicit Spares(const Layout& layout);

  // Made if none is kept. ResourceExhausted: no space.
  absl::StatusOr<Spare> Take();
  // Empties what an attempt left (its base directory as work/) and keeps it, if there are not yet enough.
  // False: it is to be removed; it is not as Take() made it, or `go_on` (asked after each file) said so.
  bool Keep(Spare used, const std::function<bool()>& go_on);

 private:
  std::string NewPath();

  const Layout layout_;
  std::mutex mutex_;
  std::vector<Spare> kept_;
  std::uint64_t count_ = 0;
};

}  // namespace waggle::attempt
