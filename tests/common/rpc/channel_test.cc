#include "common/rpc/channel.h"

#include <grpc/grpc.h>
#include <gtest/gtest.h>

namespace waggle::rpc {
namespace {

// Whoever deletes the last channel of a process must not wait for gRPC to end its threads: a drone without a
// queen did, for up to 10 s, and nothing of its jobs went on meanwhile.
TEST(Channel, TheLibraryOutlivesTheLastChannel) {
  OpenChannel("unix:/nowhere/queen.sock").reset();
  EXPECT_EQ(::grpc_is_initialized(), 1);
}

}  // namespace
}  // namespace waggle::rpc
