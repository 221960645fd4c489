// The proxy over real sockets changes nothing unless it is told to.
#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "tests/support/child.h"
#include "tests/support/noisy_stream.h"
#include "tests/support/proxy_fixture.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;

INSTANTIATE_TEST_SUITE_P(Chaos, Proxy, ::testing::Values("unix", "tcp"));

TEST_P(Proxy, NoiseOfBothWaysPassesUnchanged) {
  Ends ends = Open();
  auto plan = [](Way way) {
    return NoisyPlan{way == Way::kUp ? 1u : 2u, NoisyStream::kStdout, NoisyContent::kMixed, 64 * kMiB};
  };
  auto send = [&](Way way) {
    NoisySource source(plan(way));
    NoisySizes sizes(3, 200'000);
    for (std::uint64_t at = 0; at < plan(way).bytes;) {
      const std::string bytes = source.Copy(at, sizes.Next());
      if (!ends.sender(way).Send(bytes)) break;
      at += bytes.size();
    }
    ends.sender(way).Shut();
  };
  auto check = [&](Way way, std::string* fault) {
    NoisyChecker checker(plan(way));
    while (!ends.receiver(way).over()) {
      const std::string bytes = ends.receiver(way).Receive(100'000);
      if (bytes.empty() && !ends.receiver(way).over()) break;  // the deadline
      checker.Feed(bytes);
    }
    if (const auto found = checker.Finish()) *fault = Text(*found);
  };
  std::string up, down;
  std::thread threads[] = {std::thread(send, Way::kUp), std::thread(send, Way::kDown),
                           std::thread(check, Way::kUp, &up), std::thread(check, Way::kDown, &down)};
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(up, "");
  EXPECT_EQ(down, "");
  EXPECT_FALSE(ends.client.reset() || ends.target.reset());
  EXPECT_TRUE(Eventually([&] { return proxy_->counts().open == 0; }));
  const ChaosCounts counts = proxy_->counts();
  EXPECT_EQ(counts.up, 64 * kMiB);
  EXPECT_EQ(counts.down, 64 * kMiB);
  EXPECT_EQ(counts.accepted, 1u);
  EXPECT_EQ(counts.cut + counts.lost + counts.held, 0u);
}

TEST_P(Proxy, EndOfOneDirectionLeavesTheOther) {
  Ends ends = Open();
  ends.client.Send("request");
  ends.client.Shut();
  EXPECT_EQ(ends.target.ReceiveAll(), "request");
  EXPECT_TRUE(ends.target.over() && !ends.target.reset());
  EXPECT_TRUE(ends.target.Send("answer"));
  ends.target.Close();
  EXPECT_EQ(ends.client.ReceiveAll(), "answer");
  EXPECT_TRUE(ends.client.over());
  EXPECT_TRUE(Eventually([&] { return proxy_->counts().open == 0; }));
}

TEST_P(Proxy, HundredConnectionsAtOnce) {
  constexpr int kMany = 100;
  std::vector<End> clients;
  for (int i = 0; i < kMany; ++i) clients.push_back(Connect());
  std::atomic<int> right = 0;
  std::vector<std::thread> servers;
  for (int i = 0; i < kMany; ++i) {
    servers.emplace_back([end = Accept()]() mutable {  // echoes
      while (!end.over()) end.Send(end.ReceiveSome());
    });
  }
  std::vector<std::thread> users;
  for (int i = 0; i < kMany; ++i) {
    users.emplace_back([&, i] {
      const std::string bytes = NoiseBytes(20'000, static_cast<std::uint32_t>(i));
      End& end = clients[static_cast<std::size_t>(i)];
      end.Send(bytes);
      end.Shut();
      right += end.ReceiveAll() == bytes ? 1 : 0;
    });
  }
  for (std::thread& thread : users) thread.join();
  for (std::thread& thread : servers) thread.join();
  EXPECT_EQ(right, kMany);
  EXPECT_TRUE(Eventually([&] { return proxy_->counts().open == 0; }));
  EXPECT_EQ(proxy_->counts().accepted, static_cast<std::uint64_t>(kMany));
}

TEST_P(Proxy, TargetThatIsAwayCutsTheClient) {
  target_.Reset();
  End client = Connect();
  EXPECT_EQ(client.ReceiveAll(), "");
  EXPECT_TRUE(client.over());
  EXPECT_TRUE(Eventually([&] { return proxy_->counts().unreachable == 1; }));
  EXPECT_TRUE(Eventually([&] { return proxy_->counts().open == 0; }));
}

TEST_P(Proxy, EndsWithItsConnections) {
  Ends ends = Open();
  ExpectAlive(ends);
  proxy_.reset();
  EXPECT_EQ(ends.client.ReceiveAll() + ends.target.ReceiveAll(), "");
  EXPECT_TRUE(ends.client.over() && ends.target.over());
  EXPECT_FALSE(ConnectTo(*address_).ok());
  EXPECT_FALSE(Exists(temp_ / "proxy"));
}

TEST(ProxyMixed, UnixToTcpAndSeveralDoors) {
  TempDir temp;
  const SocketAddress any = *SocketAddress::Parse("tcp:127.0.0.1:0");
  UniqueFd listener = *ListenAt(any);
  const std::string target = any.WithPort(PortOf(listener)).text();
  const auto proxy =
      *ChaosProxy::Create({"unix:" + temp / "a", "tcp:127.0.0.1:0", "unix:" + temp / "b"}, target);
  for (const SocketAddress& at : {*SocketAddress::Parse("unix:" + temp / "a"), any.WithPort(proxy->port()),
                                  *SocketAddress::Parse("unix:" + temp / "b")}) {
    End client(*ConnectTo(at));
    ASSERT_TRUE(client.Send("hello"));
    pollfd ready{listener.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&ready, 1, 30'000), 1);
    End server(UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)));
    EXPECT_EQ(server.Receive(5), "hello");
  }
}

TEST(ProxyMisuse, AddressesAreRefusedWithTheReason) {
  auto said = [](const std::string& listen, const std::string& target) {
    return std::string(ChaosProxy::Create({listen}, target).status().message());
  };
  TempDir temp;
  const std::string good = "unix:" + temp / "proxy";
  EXPECT_THAT(said(good, "/tmp/socket"), HasSubstr("neither unix nor tcp"));
  EXPECT_THAT(said(good, ""), HasSubstr("neither unix nor tcp"));
  EXPECT_THAT(said(good, "unix:"), HasSubstr("the path is empty"));
  EXPECT_THAT(said("unix:/" + std::string(107, 'x'), good), HasSubstr("more than 107 bytes"));
  EXPECT_THAT(said("tcp:localhost:1", good), HasSubstr("no IPv4 address"));
  EXPECT_THAT(said("tcp:127.0.0.1:65536", good), HasSubstr("no port"));
  EXPECT_THAT(said("tcp:127.0.0.1:", good), HasSubstr("no port"));
  EXPECT_THAT(said("tcp:127.0.0.1", good), HasSubstr("neither unix nor tcp with a port"));
  EXPECT_THAT(said("tcp:203.0.113.7:0", good), HasSubstr("bind to tcp:203.0.113.7:0"));
  EXPECT_THAT(said("unix:/nowhere/at/all", good), HasSubstr("No such file"));
}

}  // namespace
}  // namespace waggle::test
