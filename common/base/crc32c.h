#pragma once

#include <cstddef>
#include <cstdint>

namespace waggle {

// CRC-32C (Castagnoli, RFC 3720), SSE4.2 where the processor has it. Extend(Crc32c(a), b) == Crc32c(a + b).
std::uint32_t ExtendCrc32c(std::uint32_t crc, const void* data, std::size_t size);
inline std::uint32_t Crc32c(const void* data, std::size_t size) {
  return ExtendCrc32c(0, data, size);
}

}  // namespace waggle
