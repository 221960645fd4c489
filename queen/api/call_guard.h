#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/base/limits.h"

namespace grpc::experimental {
class ServerInterceptorFactoryInterface;
}

namespace waggle::queen {

class PeerCheck;

// What peers on other hosts may ask of the gRPC port.
inline constexpr std::size_t kMetadataOfACall = 8 * limits::kKiB;     // we send none of our own
inline constexpr std::size_t kCallsAtOnce = 1000;                     // with one certificate, then
inline constexpr Duration kCallEvery = std::chrono::milliseconds(5);  // 200 a second; a drone that lost its
                                                                      // queen makes some 20
// Ends the connection of a peer: "127.0.0.1:50123", "[::1]:50123".
using CutPeer = std::function<void(const std::string& address)>;

// Looks at every call from other hosts before its service does, and cuts the connection
//   of who calls more often than kCallsAtOnce and kCallEvery allow: this gRPC (1.51) makes a call of
//   each request however soon it is reset (CVE-2023-44487), and a hundred thousand of them take a GiB; of who
//   sends more than kMetadataOfACall with a call: this gRPC asks that only of peers which acknowledge it.
// Outlived by `check`; `cut` may be called on any thread of gRPC, and not after its server is gone.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeCallGuard(const PeerCheck& check,
                                                                                     CutPeer cut);

// "127.0.0.1:50123" of gRPC's "ipv4:127.0.0.1:50123", "[::1]:50123" of its "ipv6:%5B::1%5D:50123"; without
// the scope of a link-local address. "" of what is neither.
std::string PeerAddress(const std::string& uri);

}  // namespace waggle::queen
