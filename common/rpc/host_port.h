#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace waggle::rpc {

// A place on the network as people write it.
struct HostPort {
  std::string host;  // a name in lower case, an IPv4 address, or an IPv6 address without brackets
  std::uint16_t port = 0;

  std::string Text() const;  // "ci.example.com:7874", "[::1]:7874"; the same place is the same text
};

// HOST:PORT; an IPv6 address has brackets. InvalidArgument says what is wrong: "has no port".
absl::StatusOr<HostPort> ParseHostPort(std::string_view text);

// https://HOST:PORT, with or without a slash at its end. InvalidArgument as above.
absl::StatusOr<HostPort> ParseUrl(std::string_view text);

// "https://HOST:PORT" of that place.
std::string UrlOf(const HostPort& place);

}  // namespace waggle::rpc
