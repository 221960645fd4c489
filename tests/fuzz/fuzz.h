#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"

// What the fuzzers share. Each one defines Run and Seeds; fuzz.cc hands them to libFuzzer.
namespace waggle::fuzz {

// Runs one input. What must hold is said by Require: a crash, a sanitizer's report and a broken promise all
// end the process and leave the input behind.
void Run(std::string_view input);

// Inputs to start from that are better made by code than kept as binary files: `NAME --seeds DIR` writes
// them. Text is kept in tests/fuzz/corpus/NAME instead. May be empty.
std::vector<std::string> Seeds();

// Ends the process with `what` if the promise does not hold.
void Require(bool holds, std::string_view what);

// Takes decisions from the front of the input; zeros once it is used up. Seeds are written with ByteWriter
// in the same order.
class Input {
 public:
  explicit Input(std::string_view bytes) : bytes_(bytes) {}
  bool done() const { return bytes_.empty(); }
  std::uint8_t U8() { return static_cast<std::uint8_t>(Fixed(1)); }
  std::uint16_t U16() { return static_cast<std::uint16_t>(Fixed(2)); }
  std::uint32_t U32() { return static_cast<std::uint32_t>(Fixed(4)); }
  std::uint64_t U64() { return Fixed(8); }
  bool Flag() { return (U8() & 1) != 0; }
  // One of `count` choices, by one byte. REQUIRES: 0 < count ≤ 256.
  std::size_t Pick(std::size_t count) { return U8() % count; }
  // U16 length and as many bytes, or what is left of them.
  std::string_view Text() { return Take(U16()); }
  std::string_view Rest() { return Take(bytes_.size()); }

 private:
  std::string_view Take(std::size_t size) {
    std::string_view out = bytes_.substr(0, size);
    bytes_.remove_prefix(out.size());
    return out;
  }
  std::uint64_t Fixed(std::size_t size) {
    std::uint64_t value = 0;
    int shift = 0;
    for (char c : Take(size)) {
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(c)) << shift;
      shift += 8;
    }
    return value;
  }

  std::string_view bytes_;
};

// The other side of Input::Text, for seeds.
inline void PutText(ByteWriter& w, std::string_view text) {
  w.U16(static_cast<std::uint16_t>(text.size()));
  w.Raw(text.data(), text.size());
}

// Numbers at the borders where arithmetic goes wrong; `near` is what the code expects now.
inline std::uint64_t Number(Input& in, std::uint64_t near) {
  switch (in.Pick(10)) {
    case 0:
      return 0;
    case 1:
      return near - 1;
    case 2:
      return near + 1;
    case 3:
      return UINT64_MAX;
    case 4:
      return std::uint64_t{1} << in.Pick(64);
    case 5:
      return (std::uint64_t{1} << in.Pick(64)) - 1;
    case 6:
      return in.U64();
    case 7:
      return in.U8();
    default:
      return near;
  }
}

}  // namespace waggle::fuzz
