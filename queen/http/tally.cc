#include "queen/http/tally.h"

#include <spdlog/spdlog.h>

#include <string>
#include <utility>

namespace waggle::queen::http {
namespace {

constexpr std::array<std::string_view, kRefusedKinds> kWords = {
    "a connection was closed: its address has too many",
    "a connection was closed: the server has too many",
    "connections cannot be accepted",
    "a TLS handshake failed",
    "a slow client was given up",
    "a request was too large",
    "a request was malformed",
    "a request for what is not served here",
    "a request was left without an answer",
};

}  // namespace

void Tally::Count(Refused kind, std::string_view peer, std::string_view detail) {
  const auto index = static_cast<std::size_t>(kind);
  ++counts_[index];
  std::uint64_t untold = 0;
  {
    absl::MutexLock lock(&mutex_);
    Line& line = lines_[index];
    const Time now = BootClock::now();
    if (now < line.next) {
      ++line.untold;
      return;
    }
    line.next = now + kQuiet;
    untold = std::exchange(line.untold, 0);
  }
  const std::string more =
      untold > 0 ? " (" + std::to_string(untold) + " more since the last such line)" : "";
  spdlog::warn("{}: {}, from {}: {}{}", port_, kWords[index], peer, detail, more);
}

std::uint64_t Tally::count(Refused kind) const {
  return counts_[static_cast<std::size_t>(kind)];
}

}  // namespace waggle::queen::http
