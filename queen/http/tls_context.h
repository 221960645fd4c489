#pragma once

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"

namespace boost::asio::ssl {
class context;
}

namespace waggle::queen::http {

// The server side of TLS 1.3 with this certificate: ALPN http/1.1 or none, no client certificates, no
// sessions, tickets or early data, no compression. `chain` is the server's certificate and those above it as
// they are sent, `key` its private key without a passphrase, both PEM. InvalidArgument: one of them cannot be
// read, or they do not belong together.
absl::StatusOr<std::shared_ptr<boost::asio::ssl::context>> MakeServerContext(std::string_view chain,
                                                                             std::string_view key);

}  // namespace waggle::queen::http
