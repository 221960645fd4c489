#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "common/redact/forms.h"

namespace waggle::redact {

// Passes over output in which no pattern can begin, several bytes at a time (Wu and Manber): three bytes say
// how far the nearest end of a pattern's front may be. Immutable; any thread may read.
class Skip {
 public:
  // REQUIRES: each pattern has at least limits::kSecretMin bytes.
  explicit Skip(std::span<const Pattern> patterns);
  ~Skip();
  Skip(const Skip&) = delete;
  Skip& operator=(const Skip&) = delete;

  // The first place in [from, end] where a pattern may begin as far as these bytes tell. Places behind
  // end - front() are never excluded.
  std::size_t Find(const char* data, std::size_t from, std::size_t end) const {
    while (from + front_ <= end) {
      const std::uint8_t shift = shifts_[Slot(data + from + front_ - kBlock)];
      if (shift == 0) return from;
      from += shift;
    }
    return from < end ? from : end;
  }
  std::size_t front() const { return front_; }
  std::size_t memory() const { return shifts_.capacity(); }  // bytes

 private:
  static constexpr std::size_t kBlock = 3;

  std::size_t Slot(const char* block) const {
    std::uint32_t bytes = 0;
    std::memcpy(&bytes, block, kBlock);
    return bytes * 0x9E37'79B1u >> hash_shift_;
  }

  std::size_t front_;  // bytes of each pattern that are looked at
  int hash_shift_;     // 32 - log2 of the slots
  std::vector<std::uint8_t> shifts_;
};

// The first CR or ESC in data[from, end), or end.
std::size_t FindNoise(const char* data, std::size_t from, std::size_t end);

}  // namespace waggle::redact
