#include "tools/waggle/address.h"

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/config/address.h"
#include "common/rpc/host_port.h"

namespace waggle::cli {
namespace {

// The canonical text of a place on the network.
absl::StatusOr<std::string> ReadRemote(std::string_view text) {
  const bool url = text.find("://") != std::string_view::npos;
  absl::StatusOr<rpc::HostPort> place = url ? rpc::ParseUrl(text) : rpc::ParseHostPort(text);
  if (!place.ok()) return place.status();
  return url ? rpc::UrlOf(*place) : place->Text();
}

}  // namespace

std::optional<config::Fault> CheckAddress(std::string_view text) {
  std::optional<config::Fault> no_path = config::CheckQueen(text);
  if (!no_path || text.empty() || text.starts_with("unix:")) return no_path;
  const absl::StatusOr<std::string> remote = ReadRemote(text);
  if (remote.ok()) return std::nullopt;
  const absl::string_view why = remote.status().message();
  return config::Fault{std::string(why.data(), why.size()),
                       "write HOST:PORT of a queen you are logged in to, or the path of her socket, such as "
                       "/run/queen/queen.sock"};
}

Address ReadAddress(std::string_view text, std::string origin) {
  Address address;
  address.origin = std::move(origin);
  if (config::CheckQueen(text)) {
    address.remote = ReadRemote(text).value_or("");
  } else {
    address.socket = config::QueenSocket(text);
  }
  return address;
}

}  // namespace waggle::cli
