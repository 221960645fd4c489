#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

namespace grpc {
class Channel;
}

namespace waggle::rpc {

// What a peer on another host has from the queen; PEM.
struct PeerTls {
  std::string key, certificate, authority;
};

struct ChannelOptions {
  // Messages above this are refused on receipt.
  std::size_t max_receive = 0;  // 0: kLogBatch and some room
  std::optional<PeerTls> tls;   // for anything but a Unix socket
};

// The name that every queen's certificate holds: who knows her authority needs no other, for it signs no one
// else as a queen.
inline constexpr const char* kQueenName = "queen.waggle";

// From here on this process speaks TLS 1.3 and nothing older through gRPC. Before the first channel or
// server.
void OnlyTls13();

// A channel of its own to `target` ("unix:/path"), never sharing a connection with another channel, with the
// keepalive of limits.h, so that a frozen peer is noticed on an idle stream as well. No back-off of its own
// to wait for: whoever opens streams makes a new channel for each try. Without a certificate nothing but a
// Unix socket is trusted.
std::shared_ptr<grpc::Channel> OpenChannel(const std::string& target, const ChannelOptions& options = {});

}  // namespace waggle::rpc
