#include "common/base/crc32c.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <string>

namespace waggle {
namespace {

std::uint32_t Crc(const std::string& bytes) {
  return Crc32c(bytes.data(), bytes.size());
}

// One bit at a time, straight from the definition: shares nothing with either implementation.
std::uint32_t Reference(const std::string& bytes) {
  std::uint32_t crc = ~0u;
  for (unsigned char byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0x82F63B78u : 0u);
  }
  return ~crc;
}

std::string Ascending() {
  std::string bytes(32, '\0');
  std::iota(bytes.begin(), bytes.end(), '\0');
  return bytes;
}

TEST(Crc32c, Rfc3720Vectors) {
  EXPECT_EQ(Crc(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(Crc(std::string(32, '\xFF')), 0x62A8AB43u);
  std::string bytes = Ascending();
  EXPECT_EQ(Crc(bytes), 0x46DD794Eu);
  std::reverse(bytes.begin(), bytes.end());
  EXPECT_EQ(Crc(bytes), 0x113FDB5Cu);
  EXPECT_EQ(Crc("123456789"), 0xE3069283u);
  EXPECT_EQ(Crc(""), 0u);
}

// Every length and alignment, so that the eight-byte steps and the odd ends are both met.
TEST(Crc32c, AgreesWithTheDefinitionAtEveryLengthAndAlignment) {
  std::mt19937 random(1);
  std::string bytes(300, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  for (std::size_t start = 0; start < 9; ++start) {
    for (std::size_t size = 0; size + start <= 80; ++size) {
      ASSERT_EQ(Crc32c(bytes.data() + start, size), Reference(bytes.substr(start, size)))
          << start << "+" << size;
    }
  }
  EXPECT_EQ(Crc(bytes), Reference(bytes));
}

TEST(Crc32c, ExtendContinuesAnywhere) {
  std::string bytes = Ascending();
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    std::uint32_t head = Crc32c(bytes.data(), cut);
    EXPECT_EQ(ExtendCrc32c(head, bytes.data() + cut, bytes.size() - cut), 0x46DD794Eu) << cut;
  }
}

}  // namespace
}  // namespace waggle
