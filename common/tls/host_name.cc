#include "common/tls/host_name.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/text.h"

namespace waggle::tls {
namespace {

constexpr std::size_t kNameBytes = 253, kLabelBytes = 63;  // RFC 1035

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

bool IsLabel(std::string_view label) {
  return !label.empty() && label.size() <= kLabelBytes && label.front() != '-' && label.back() != '-' &&
         std::all_of(label.begin(), label.end(),
                     [](unsigned char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_'; });
}

bool IsHostName(std::string_view name) {
  if (name.size() > kNameBytes) return false;
  while (true) {
    const std::size_t dot = name.find('.');
    const std::string_view label = name.substr(0, dot);
    if (!IsLabel(label)) return false;
    // An address with a typing error is no name.
    if (dot == std::string_view::npos) return !std::all_of(label.begin(), label.end(), IsDigit);
    name.remove_prefix(dot + 1);
  }
}

}  // namespace

std::optional<std::string> AddressBytes(const std::string& text) {
  if (text.find('\0') != std::string::npos) return std::nullopt;
  std::array<char, 16> bytes;
  if (::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) return std::string(bytes.data(), 4);
  if (::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return std::string(bytes.data(), 16);
  return std::nullopt;
}

std::optional<std::string> AddressText(std::string_view bytes) {
  if (bytes.size() != 4 && bytes.size() != 16) return std::nullopt;
  std::array<char, INET6_ADDRSTRLEN> text;
  const int family = bytes.size() == 4 ? AF_INET : AF_INET6;
  if (::inet_ntop(family, bytes.data(), text.data(), text.size()) == nullptr) return std::nullopt;
  return std::string(text.data());
}

absl::Status CheckHostName(const std::string& field, std::string_view name) {
  if (IsHostName(name)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": ", Quoted(name),
                   " is neither a host name nor an IP address; write it without port or wildcard"));
}

}  // namespace waggle::tls
