// The proxy over real sockets: it changes nothing unless told to, and does exactly the harm it is told to do.
// Long because every fault is tried over Unix sockets and TCP with one fixture.
#include "tests/support/chaos_proxy.h"

#include <errno.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "tests/support/child.h"
#include "tests/support/noisy_stream.h"
#include "tests/support/stream_socket.h"
#include "tests/support/temp_dir.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t kMiB = 1024 * 1024;
constexpr Millis kQuiet = 150ms;  // so long nothing may be heard
// What the kernel may hold for the four sockets of a connection, besides the proxy.
constexpr std::size_t kKernelBytes = 16 * kMiB;

// One end of a connection, blocking with a deadline.
class End {
 public:
  explicit End(UniqueFd fd) : fd_(std::move(fd)) {}

  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  // Sends until there was no room for a while; how much that was.
  std::size_t Fill() {
    const std::string block(64 * 1024, 'x');
    std::size_t total = 0;
    for (pollfd room{fd_.get(), POLLOUT, 0}; ::poll(&room, 1, static_cast<int>(kQuiet.count())) == 1;) {
      const ssize_t sent = ::send(fd_.get(), block.data(), block.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0) break;
      total += static_cast<std::size_t>(sent);
    }
    return total;
  }
  // Up to `most` bytes; fewer at the end of the stream, a reset or the deadline.
  std::string Receive(std::size_t most) {
    std::string bytes, buffer(256 * 1024, '\0');
    while (bytes.size() < most && Readable(30s)) {
      const ssize_t got = ::recv(fd_.get(), buffer.data(), std::min(buffer.size(), most - bytes.size()), 0);
      if (got <= 0) {
        over_ = true;
        reset_ = got < 0 && errno == ECONNRESET;
        break;
      }
      bytes.append(buffer, 0, static_cast<std::size_t>(got));
    }
    return bytes;
  }
  std::string ReceiveSome() {
    std::string buffer(4096, '\0');
    const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    over_ = got <= 0;
    buffer.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    return buffer;
  }
  std::string ReceiveAll() { return Receive(std::string::npos); }  // over() afterwards, or the deadline was
  bool Quiet() { return !Readable(kQuiet); }                       // no byte, no end
  bool over() const { return over_; }
  bool reset() const { return reset_; }
  void Shut() { ::shutdown(fd_.get(), SHUT_WR); }
  void Close() { fd_.Reset(); }

 private:
  bool Readable(Millis patience) {
    pollfd ready{fd_.get(), POLLIN, 0};
    return ::poll(&ready, 1, static_cast<int>(patience.count())) == 1;
  }

  UniqueFd fd_;
  bool over_ = false, reset_ = false;
};

struct Ends {
  End client, target;

  End& sender(Way way) { return way == Way::kUp ? client : target; }
  End& receiver(Way way) { return way == Way::kUp ? target : client; }
};

// With a proxy between two Unix sockets, or two of TCP.
class Proxy : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const bool tcp = std::string(GetParam()) == "tcp";
    const SocketAddress at = *SocketAddress::Parse(tcp ? "tcp:127.0.0.1:0" : "unix:" + temp_ / "target");
    target_ = *ListenAt(at);
    proxy_ = *ChaosProxy::Create({tcp ? "tcp:127.0.0.1:0" : "unix:" + temp_ / "proxy"},
                                 at.WithPort(PortOf(target_)).text());
    address_ =
        SocketAddress::Parse(tcp ? "tcp:127.0.0.1:1" : "unix:" + temp_ / "proxy")->WithPort(proxy_->port());
  }

  bool tcp() const { return address_->is_tcp(); }
  End Connect() { return End(*ConnectTo(*address_)); }
  bool SomebodyConnects(Millis patience = 30s) {
    pollfd ready{target_.get(), POLLIN, 0};
    return ::poll(&ready, 1, static_cast<int>(patience.count())) == 1;
  }
  End Accept() {
    EXPECT_TRUE(SomebodyConnects());
    return End(UniqueFd(::accept4(target_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
  }
  Ends Open() {
    End client = Connect();
    return {std::move(client), Accept()};
  }
  // Both directions carry bytes.
  static void ExpectAlive(Ends& ends) {
    EXPECT_TRUE(ends.client.Send("ping"));
    EXPECT_EQ(ends.target.Receive(4), "ping");
    EXPECT_TRUE(ends.target.Send("pong"));
    EXPECT_EQ(ends.client.Receive(4), "pong");
  }
  static Faults Only(Way way, const WayFaults& faults) {
    return way == Way::kUp ? Faults{.up = faults} : Faults{.down = faults};
  }

  TempDir temp_;
  UniqueFd target_;
  std::unique_ptr<ChaosProxy> proxy_;
  std::optional<SocketAddress> address_;
};

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

TEST_P(Proxy, CutsBehindAnExactByte) {
  const std::string all = NoiseBytes(3 * kMiB, 4);
  for (Way way : {Way::kUp, Way::kDown}) {
    for (std::size_t bytes :
         {std::size_t{1}, std::size_t{2}, std::size_t{4095}, 256 * 1024 + std::size_t{1}, 2 * kMiB + 77}) {
      Ends ends = Open();
      ExpectAlive(ends);
      Ends bystander = Open();
      const std::uint64_t cut = proxy_->counts().cut;
      proxy_->CutAfter(way, bytes);
      std::thread sender([&] { ends.sender(way).Send(all); });
      const std::string seen = ends.receiver(way).ReceiveAll();
      sender.join();
      EXPECT_TRUE(ends.receiver(way).over());
      EXPECT_EQ(seen.size(), bytes);
      EXPECT_TRUE(all.starts_with(seen));
      EXPECT_EQ(ends.sender(way).ReceiveAll(), "");
      EXPECT_TRUE(ends.sender(way).over());
      EXPECT_EQ(proxy_->counts().cut, cut + 1);
      ExpectAlive(bystander);
    }
  }
}

TEST_P(Proxy, ReceiverThatReadsLateStillGetsAllInFrontOfTheCut) {
  Ends ends = Open();
  proxy_->CutAfter(Way::kUp, 100'000);
  std::thread sender([&] { ends.client.Send(std::string(400'000, 'x')); });
  sender.join();  // fails, or has handed it to the kernel
  ASSERT_TRUE(Eventually([&] { return proxy_->counts().cut == 1; }));
  EXPECT_EQ(ends.target.ReceiveAll().size(), 100'000u);
}

TEST_P(Proxy, CutWithUnreadBytesTheOtherWayKeepsThePrefix) {
  Ends ends = Open();
  proxy_->Set(Only(Way::kDown, {.stalled = true}));
  ends.target.Send("never read by anybody");
  proxy_->CutAfter(Way::kUp, 3);
  ends.client.Send("abcdef");
  EXPECT_EQ(ends.target.ReceiveAll(), "abc");
  EXPECT_TRUE(ends.target.over());
  EXPECT_EQ(ends.client.ReceiveAll(), "");
}

TEST_P(Proxy, CutAllEndsEveryConnectionAtOnce) {
  std::vector<Ends> all;
  for (int i = 0; i < 10; ++i) {
    all.push_back(Open());
    ExpectAlive(all.back());
  }
  proxy_->CutAll();
  EXPECT_EQ(proxy_->counts().open, 0u);
  for (Ends& ends : all) {
    EXPECT_EQ(ends.client.ReceiveAll() + ends.target.ReceiveAll(), "");
    EXPECT_TRUE(ends.client.over() && ends.target.over());
    EXPECT_EQ(ends.client.reset(), tcp());
    EXPECT_EQ(ends.target.reset(), tcp());
  }
  EXPECT_EQ(proxy_->counts().cut, 10u);
  Ends next = Open();
  ExpectAlive(next);
}

TEST_P(Proxy, HalfOpenStaysOpen) {
  for (Way way : {Way::kUp, Way::kDown}) {
    Ends ends = Open();
    ExpectAlive(ends);
    proxy_->Set(Only(way, {.black_hole = true}));
    EXPECT_TRUE(ends.sender(way).Send("into the hole"));
    EXPECT_TRUE(ends.receiver(way).Quiet());
    EXPECT_TRUE(ends.receiver(way).Send("still heard"));
    EXPECT_EQ(ends.sender(way).Receive(11), "still heard");
    ends.sender(way).Close();  // its end is lost as well
    EXPECT_TRUE(ends.receiver(way).Quiet());
    EXPECT_TRUE(ends.receiver(way).Send("to nobody"));
    EXPECT_TRUE(ends.receiver(way).Quiet());
    EXPECT_EQ(proxy_->counts().open, 1u);
    proxy_->Heal();  // a stream with a hole is not continued
    EXPECT_EQ(ends.receiver(way).ReceiveAll(), "");
    EXPECT_TRUE(ends.receiver(way).over());
    EXPECT_TRUE(Eventually([&] { return proxy_->counts().open == 0; }));
  }
  EXPECT_GE(proxy_->counts().lost, 2 * std::string("into the hole").size());
}

TEST_P(Proxy, BothDirectionsMayBeGone) {
  Ends ends = Open();
  proxy_->Set({.up = {.black_hole = true}, .down = {.black_hole = true}});
  const std::string much(8 * kMiB, 'x');
  EXPECT_TRUE(ends.client.Send(much));  // no back-pressure: it is taken
  EXPECT_TRUE(ends.target.Send(much));
  EXPECT_TRUE(ends.client.Quiet() && ends.target.Quiet());
  EXPECT_TRUE(Eventually([&] { return proxy_->counts().lost == 16 * kMiB; }));
  proxy_->Heal();
  EXPECT_EQ(ends.client.ReceiveAll() + ends.target.ReceiveAll(), "");
  EXPECT_EQ(proxy_->counts().cut, 1u);
}

TEST_P(Proxy, HoleThatNothingFellIntoIsForgotten) {
  Ends ends = Open();
  ExpectAlive(ends);
  proxy_->Set({.up = {.black_hole = true}, .down = {.black_hole = true}});
  proxy_->Heal();
  ExpectAlive(ends);
}

TEST_P(Proxy, StalledSenderFeelsBackPressureAndLosesNothing) {
  constexpr std::size_t kLinks = 6;
  std::vector<Ends> all;
  for (std::size_t i = 0; i < kLinks; ++i) all.push_back(Open());
  proxy_->Set(Only(Way::kUp, {.stalled = true}));
  EXPECT_LT(all[0].client.Fill(), kKernelBytes);
  EXPECT_EQ(proxy_->counts().held, 0u);
  EXPECT_TRUE(all[0].target.Quiet());
  EXPECT_TRUE(all[0].target.Send("pong"));
  EXPECT_EQ(all[0].client.Receive(4), "pong");
  proxy_->Heal();
  std::vector<std::size_t> sent;
  for (Ends& ends : all) sent.push_back(ends.client.Fill());  // nobody reads
  const ChaosCounts counts = proxy_->counts();
  EXPECT_GT(counts.held, 0u);
  EXPECT_LE(counts.held, kLinks * ChaosPipe::kCapacity);
  for (std::size_t i = 1; i < kLinks; ++i) {
    EXPECT_LT(sent[i], kKernelBytes);
    all[i].client.Shut();
    EXPECT_EQ(all[i].target.ReceiveAll().size(), sent[i]);
    EXPECT_FALSE(all[i].target.reset());
  }
}

TEST_P(Proxy, RefusingDoorKeepsWhoIsInside) {
  Ends inside = Open();
  const std::uint16_t port = proxy_->port();
  for (int again = 0; again < 3; ++again) {
    proxy_->Set({.door = Door::kRefusing});
    const absl::Status refused = ConnectTo(*address_).status();
    EXPECT_THAT(std::string(refused.message()), HasSubstr("Connection refused"));
    ExpectAlive(inside);
    proxy_->Heal();
    Ends next = Open();
    ExpectAlive(next);
  }
  EXPECT_EQ(proxy_->port(), port);
}

TEST_P(Proxy, SilentDoorHoldsUntilItIsOpen) {
  proxy_->Set({.door = Door::kSilent});
  End client = Connect();
  EXPECT_TRUE(client.Send("hello"));
  EXPECT_TRUE(client.Quiet());
  EXPECT_FALSE(SomebodyConnects(0ms));
  EXPECT_EQ(proxy_->counts().open, 1u);
  proxy_->Heal();
  End target = Accept();
  EXPECT_EQ(target.Receive(5), "hello");
  Ends ends{std::move(client), std::move(target)};
  ExpectAlive(ends);
}

TEST_P(Proxy, OutageRefusesAndHeals) {
  Ends ends = Open();
  proxy_->Perform({.act = ChaosStep::Act::kCutAll, .faults = {.door = Door::kRefusing}});
  EXPECT_EQ(ends.client.ReceiveAll(), "");
  EXPECT_FALSE(ConnectTo(*address_).ok());
  proxy_->Heal();
  Ends next = Open();
  ExpectAlive(next);
  EXPECT_EQ(proxy_->counts().steps, 2u);
}

TEST_P(Proxy, DelayIsKept) {
  Ends ends = Open();
  ExpectAlive(ends);
  proxy_->Set({.up = {.delay = 40ms}, .down = {.delay = 30ms, .jitter = 5ms}});
  const Time start = BootClock::now();
  ExpectAlive(ends);
  EXPECT_GE(BootClock::now() - start, 70ms);
  const std::string bytes = NoiseBytes(500'000, 9);
  std::thread sender([&] {
    for (std::size_t at = 0; at < bytes.size(); at += 5'000) ends.target.Send(bytes.substr(at, 5'000));
  });
  EXPECT_TRUE(ends.client.Receive(bytes.size()) == bytes);
  sender.join();
}

TEST_P(Proxy, RateIsKept) {
  Ends ends = Open();
  proxy_->Set(Only(Way::kUp, {.rate = 400'000}));
  const std::string bytes = NoiseBytes(60'000, 9);
  const Time start = BootClock::now();
  ends.client.Send(bytes);
  EXPECT_TRUE(ends.target.Receive(bytes.size()) == bytes);
  EXPECT_GE(BootClock::now() - start, 135ms);  // 150 without the burst
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

// Whatever a script does, who receives has a prefix of what was sent: networks cut, they do not edit.
TEST_P(Proxy, UnderAnyScriptReceiversHavePrefixes) {
  const NoisyPlan plan{1, NoisyStream::kStdout, NoisyContent::kNul, 4 * kMiB};
  std::atomic<std::uint64_t> received = 0;
  std::atomic<int> whole = 0, connections = 0;
  std::atomic<bool> stop = false;
  std::thread client([&] {
    while (!stop) {
      absl::StatusOr<UniqueFd> fd = ConnectTo(*address_);
      if (!fd.ok()) {
        std::this_thread::yield();
        continue;
      }
      End end(*std::move(fd));
      NoisySource source(plan);
      std::uint64_t at = 0;
      while (at < plan.bytes && !stop) {
        const std::string bytes = source.Copy(at, 50'000);
        if (!end.Send(bytes)) break;
        at += bytes.size();
      }
      end.Shut();
      end.ReceiveAll();
    }
  });
  std::string fault;
  std::thread target([&] {
    while (!stop || SomebodyConnects(0ms)) {
      if (!SomebodyConnects(10ms)) continue;
      End end = Accept();
      ++connections;
      NoisySource source(plan);
      std::uint64_t at = 0;
      while (!end.over() && fault.empty()) {
        const std::string bytes = end.Receive(30'000);
        if (bytes != source.Copy(at, bytes.size())) fault = "at byte " + std::to_string(at);
        at += bytes.size();
        received += bytes.size();
      }
      whole += at == plan.bytes ? 1 : 0;
    }
  });
  ChaosScript script(11, 40ms);
  for (int i = 0; i < 120; ++i) {
    const ChaosStep step = script.Next();
    const std::uint64_t enough = received + 2 * kMiB;
    proxy_->Perform(step);
    Eventually([&] { return received > enough; }, std::chrono::duration_cast<Millis>(step.lasts));
  }
  proxy_->Heal();
  const int before = whole;
  EXPECT_TRUE(Eventually([&] { return whole > before; }));
  stop = true;
  client.join();
  target.join();
  EXPECT_EQ(fault, "");
  EXPECT_GT(connections, 10);
  EXPECT_GT(proxy_->counts().cut, 5u);
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
