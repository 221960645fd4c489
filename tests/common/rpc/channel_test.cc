#include "common/rpc/channel.h"

#include <arpa/inet.h>
#include <grpc/grpc.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "common/base/fd.h"
#include "common/base/limits.h"

namespace waggle::rpc {
namespace {

// Whoever deletes the last channel of a process must not wait for gRPC to end its threads: a drone without a
// queen did, for up to 10 s, and nothing of its jobs went on meanwhile.
TEST(Channel, TheLibraryOutlivesTheLastChannel) {
  OpenChannel("unix:/nowhere/queen.sock").reset();
  EXPECT_EQ(::grpc_is_initialized(), 1);
}

// A peer far away, or on a loaded host, takes longer than the shortest pause between two attempts.
TEST(Channel, AnAttemptMayTakeItsTime) {
  UniqueFd slow(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in place{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof place;
  ASSERT_EQ(::bind(slow.get(), reinterpret_cast<const sockaddr*>(&place), size), 0);
  ASSERT_EQ(::listen(slow.get(), 8), 0);
  ASSERT_EQ(::getsockname(slow.get(), reinterpret_cast<sockaddr*>(&place), &size), 0);
  std::shared_ptr<grpc::Channel> channel =
      OpenChannel("dns:///127.0.0.1:" + std::to_string(ntohs(place.sin_port)));
  ASSERT_EQ(channel->GetState(/*try_to_connect=*/true), GRPC_CHANNEL_IDLE);
  const auto soon = [] { return std::chrono::system_clock::now() + std::chrono::seconds(10); };
  ASSERT_TRUE(channel->WaitForStateChange(GRPC_CHANNEL_IDLE, soon()));
  UniqueFd peer(::accept(slow.get(), nullptr, nullptr));  // and says nothing
  ASSERT_TRUE(peer.valid());
  const auto a_while = std::chrono::system_clock::now() + 10 * limits::kBackoffMin;
  EXPECT_FALSE(channel->WaitForStateChange(GRPC_CHANNEL_CONNECTING, a_while)) << channel->GetState(false);
}

}  // namespace
}  // namespace waggle::rpc
