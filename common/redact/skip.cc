#include "common/redact/skip.h"

#include <algorithm>

#include "common/redact/wipe.h"

namespace waggle::redact {
namespace {

constexpr std::size_t kMaxFront = 16;  // longer ones fill the table with more than they skip
// Slots are bytes. The small table stays in the first-level cache, the large one in the second.
constexpr int kMinBits = 15, kMaxBits = 18;
constexpr std::size_t kSlotsPerBlock = 8;  // so few of the others are hit by chance

}  // namespace

Skip::Skip(std::span<const Pattern> patterns) : front_(kMaxFront) {
  for (const Pattern& pattern : patterns) front_ = std::min(front_, pattern.bytes.size());
  const std::size_t blocks = patterns.size() * (front_ - kBlock + 1);
  int bits = kMinBits;
  while (bits < kMaxBits && (std::size_t{1} << bits) < blocks * kSlotsPerBlock) ++bits;
  hash_shift_ = 32 - bits;
  shifts_.assign(std::size_t{1} << bits, static_cast<std::uint8_t>(front_ - kBlock + 1));
  for (const Pattern& pattern : patterns) {
    for (std::size_t end = kBlock; end <= front_; ++end) {
      std::uint8_t& shift = shifts_[Slot(pattern.bytes.data() + end - kBlock)];
      shift = std::min(shift, static_cast<std::uint8_t>(front_ - end));
    }
  }
}

Skip::~Skip() {
  Wipe(&shifts_);
}

std::size_t FindNoise(const char* data, std::size_t from, std::size_t end) {
  constexpr std::size_t kLane = 64;
  const auto noise = [](char c) { return c == '\r' || c == '\x1b'; };
  for (; from + kLane <= end; from += kLane) {
    char any = 0;
    for (std::size_t i = 0; i < kLane; ++i) any |= static_cast<char>(noise(data[from + i]));
    if (any != 0) break;
  }
  while (from < end && !noise(data[from])) ++from;
  return from;
}

}  // namespace waggle::redact
