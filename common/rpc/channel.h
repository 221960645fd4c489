#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace grpc {
class Channel;
}

namespace waggle::rpc {

struct ChannelOptions {
  // Messages above this are refused on receipt.
  std::size_t max_receive = 0;  // 0: kLogBatch and some room
};

// A channel of its own to `target` ("unix:/path"), never sharing a connection with another channel, with the
// keepalive of limits.h, so that a frozen peer is noticed on an idle stream as well. No back-off of its own
// to wait for: whoever opens streams makes a new channel for each try. Unix sockets only: without a
// certificate nothing else is trusted.
std::shared_ptr<grpc::Channel> OpenChannel(const std::string& target, const ChannelOptions& options = {});

}  // namespace waggle::rpc
