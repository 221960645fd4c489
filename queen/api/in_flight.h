#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

namespace waggle::queen {

// Let go of by whoever is done with a message.
using Hold = std::shared_ptr<const void>;

// Bytes of one stream that somebody else still holds, at most `most`. Thread-safe; the holds may outlive it.
class InFlight {
 public:
  explicit InFlight(std::size_t most) : most_(most) {}
  // Nothing: it would be too much.
  Hold Take(std::size_t size) {
    constexpr std::size_t kOverhead = 256;  // so that empty messages are not free
    size += kOverhead;
    if (used_->fetch_add(size) + size > most_) {
      used_->fetch_sub(size);
      return nullptr;
    }
    return Hold(used_.get(), [used = used_, size](const void*) { used->fetch_sub(size); });
  }

 private:
  const std::size_t most_;
  const std::shared_ptr<std::atomic<std::size_t>> used_ = std::make_shared<std::atomic<std::size_t>>(0);
};

}  // namespace waggle::queen
