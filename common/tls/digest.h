#pragma once

#include <string>
#include <string_view>

namespace waggle::tls {

// SHA-256 of `bytes` as 64 lower hex digits.
std::string Sha256Hex(std::string_view bytes);

// Whether `text` is written like one: 64 digits of 0-9 a-f.
bool IsSha256Hex(std::string_view text);

}  // namespace waggle::tls
