#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace waggle::journal {

using Sha256 = std::array<std::uint8_t, 32>;

struct StreamTotal {
  std::uint64_t bytes = 0;
  Sha256 digest{};
  bool operator==(const StreamTotal&) const = default;
};

// SHA-256 over the SHA-256 of each MiB of one stream (the last may be shorter; an empty stream has no leaf).
// The state is small and can be saved and restored, so no restart hashes a log again.
class StreamDigest {
 public:
  StreamDigest();
  void Update(std::string_view bytes);
  std::uint64_t bytes() const { return bytes_; }
  StreamTotal Total() const;  // of what was seen so far; Update may go on after it

  // Fixed-size state, host byte order: for index files, never for the wire.
  static constexpr std::size_t kStateBytes = 8 + 2 * 112;
  void Save(std::string* out) const;
  bool Restore(std::string_view state);  // false: wrong size

 private:
  struct State {
    alignas(8) unsigned char bytes[112];  // SHA256_CTX, kept opaque so that headers stay free of OpenSSL
  };
  std::uint64_t bytes_ = 0;
  State leaf_, root_;
};

}  // namespace waggle::journal
