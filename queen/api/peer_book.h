#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "queen/core/rows.h"

namespace waggle::queen {

// Who may call from other hosts, as the store has it; for the threads that take calls. The core decides,
// this repeats. Thread-safe.
class PeerBook : public std::enable_shared_from_this<PeerBook> {
 public:
  void Take(const std::vector<PeerRow>& rows);                // as they were stored
  std::optional<PeerRow> Find(const std::string& key) const;  // nothing: unknown or revoked

  // Calls `cut` when the peer is revoked while the guard is held; at once, if it is already. `cut` must not
  // block, and may run on another thread, once also just after the guard is gone.
  std::shared_ptr<void> OnRevoked(const std::string& key, std::function<void()> cut);

 private:
  void Forget(const std::string& key, std::uint64_t number);

  mutable absl::Mutex mutex_;
  std::unordered_map<std::string, PeerRow> peers_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<std::string, std::map<std::uint64_t, std::function<void()>>> watches_
      ABSL_GUARDED_BY(mutex_);
  std::uint64_t last_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace waggle::queen
