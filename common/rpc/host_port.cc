#include "common/rpc/host_port.h"

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/tls/host_name.h"

namespace waggle::rpc {
namespace {

constexpr std::string_view kScheme = "https://";
constexpr std::size_t kPortDigits = 5;

absl::Status Fault(const char* what) {
  return absl::InvalidArgumentError(what);
}

}  // namespace

std::string HostPort::Text() const {
  const bool brackets = host.find(':') != std::string::npos;
  return absl::StrCat(brackets ? "[" : "", host, brackets ? "]:" : ":", port);
}

absl::StatusOr<HostPort> ParseHostPort(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.ends_with(']')) return Fault("has no port");
  const std::string digits(text.substr(colon + 1));
  std::uint32_t port = 0;
  const bool plain = digits.find_first_not_of("0123456789") == std::string::npos;
  if (!plain || digits.size() > kPortDigits || !absl::SimpleAtoi(digits, &port) || port == 0 || port > 65535)
    return Fault("has no port between 1 and 65535");
  HostPort place{absl::AsciiStrToLower(absl::string_view(text.data(), colon)),
                 static_cast<std::uint16_t>(port)};
  std::string& host = place.host;
  const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  if (auto bytes = tls::AddressBytes(host)) {
    if ((bytes->size() == 16) != brackets)
      return Fault(brackets ? "has brackets around an IPv4 address"
                            : "has no brackets around its IPv6 address");
    host = *tls::AddressText(*bytes);
    return place;
  }
  if (brackets || !tls::CheckHostName("host", host).ok()) return Fault("has no host name or address");
  return place;
}

absl::StatusOr<HostPort> ParseUrl(std::string_view text) {
  if (!text.starts_with(kScheme)) return Fault("is no https URL");
  text.remove_prefix(kScheme.size());
  if (text.ends_with('/')) text.remove_suffix(1);
  if (text.find_first_of("/?#@") != std::string_view::npos) return Fault("has more than a host and a port");
  return ParseHostPort(text);
}

std::string UrlOf(const HostPort& place) {
  return absl::StrCat(absl::string_view(kScheme.data(), kScheme.size()), place.Text());
}

}  // namespace waggle::rpc
