#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace waggle::tls {

// The bytes of an IPv4 (4) or IPv6 (16) address from its text; nullopt: it is none.
std::optional<std::string> AddressBytes(const std::string& text);
// The text of such an address; nullopt for any other number of bytes.
std::optional<std::string> AddressText(std::string_view bytes);

// A host name as certificates hold it: labels of letters, digits, `-` and `_`, at most 253 bytes, no
// wildcard, no dot at the end, the last label not a number. Errors: InvalidArgument that starts with `field`.
absl::Status CheckHostName(const std::string& field, std::string_view name);

}  // namespace waggle::tls
