#pragma once

#include <cstdint>
#include <string_view>

namespace waggle::sim {

using Nanos = std::int64_t;  // of the simulated world

inline constexpr Nanos kMicro = 1'000, kMilli = 1'000'000, kSecond = 1'000'000'000, kMinute = 60 * kSecond;

constexpr std::uint64_t MixBits(std::uint64_t x) {
  x += 0x9E37'79B9'7F4A'7C15;
  x = (x ^ (x >> 30)) * 0xBF58'476D'1CE4'E5B9;
  x = (x ^ (x >> 27)) * 0x94D0'49BB'1331'11EB;
  return x ^ (x >> 31);
}

// A source of chance that gives the same numbers with every compiler and library. Each thing of the world has
// its own, made from the seed and what it is, so that leaving a fault out changes little else.
class Random {
 public:
  Random(std::uint64_t seed, std::string_view purpose, std::uint64_t number = 0) : state_(MixBits(seed)) {
    for (char c : purpose) state_ = MixBits(state_ ^ static_cast<unsigned char>(c));
    state_ = MixBits(state_ ^ number);
  }
  std::uint64_t Next() { return MixBits(state_++); }
  std::uint64_t Below(std::uint64_t bound) { return Next() % bound; }
  Nanos Between(Nanos low, Nanos high) {
    return low + static_cast<Nanos>(Below(static_cast<std::uint64_t>(high - low + 1)));
  }
  bool OneIn(std::uint64_t n) { return Below(n) == 0; }
  bool Percent(std::uint64_t percent) { return Below(100) < percent; }
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1p-53; }  // [0, 1)
  // Mostly short, sometimes long: each order of magnitude between the two is equally likely.
  Nanos Skewed(Nanos low, Nanos high) {
    Nanos top = low;
    while (top < high && !OneIn(4)) top = top * 8 < high ? top * 8 : high;
    return Between(low, top);
  }

 private:
  std::uint64_t state_;
};

}  // namespace waggle::sim
