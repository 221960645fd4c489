#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

// The one binary encoding of our own files and shim frames: little-endian fixed integers, strings as u32
// length and bytes. Little-endian hosts only (static_assert below).
namespace waggle {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "journal and shim frames assume a little-endian host");

class ByteWriter {
 public:
  explicit ByteWriter(std::string* out) : out_(*out) {}
  void U8(std::uint8_t v) { Raw(&v, sizeof v); }
  void U16(std::uint16_t v) { Raw(&v, sizeof v); }
  void U32(std::uint32_t v) { Raw(&v, sizeof v); }
  void U64(std::uint64_t v) { Raw(&v, sizeof v); }
  void I64(std::int64_t v) { Raw(&v, sizeof v); }
  void String(std::string_view s) {
    U32(static_cast<std::uint32_t>(s.size()));
    Raw(s.data(), s.size());
  }
  void Raw(const void* data, std::size_t size) { out_.append(static_cast<const char*>(data), size); }

 private:
  std::string& out_;
};

// Reads what ByteWriter wrote. After the first overrun every read gives zero or empty and ok() is false, so a
// decoder checks once at its end. Strings are views into the input.
class ByteReader {
 public:
  explicit ByteReader(std::string_view in) : in_(in) {}
  bool ok() const { return ok_; }
  bool done() const { return ok_ && in_.empty(); }
  std::size_t left() const { return in_.size(); }

  std::uint8_t U8() { return Fixed<std::uint8_t>(); }
  std::uint16_t U16() { return Fixed<std::uint16_t>(); }
  std::uint32_t U32() { return Fixed<std::uint32_t>(); }
  std::uint64_t U64() { return Fixed<std::uint64_t>(); }
  std::int64_t I64() { return Fixed<std::int64_t>(); }
  std::string_view String() { return Raw(U32()); }
  std::string_view Raw(std::size_t size) {
    if (!ok_ || size > in_.size()) {
      ok_ = false;
      return {};
    }
    std::string_view out = in_.substr(0, size);
    in_.remove_prefix(size);
    return out;
  }

 private:
  template <typename T>
  T Fixed() {
    std::string_view raw = Raw(sizeof(T));
    T value = 0;
    if (raw.size() == sizeof(T)) std::memcpy(&value, raw.data(), sizeof(T));
    return value;
  }

  std::string_view in_;
  bool ok_ = true;
};

}  // namespace waggle
