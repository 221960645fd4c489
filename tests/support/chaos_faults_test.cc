// The proxy over real sockets does exactly the harm it is told to do.
#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "tests/support/child.h"
#include "tests/support/noisy_stream.h"
#include "tests/support/proxy_fixture.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;

// What the kernel may hold for the four sockets of a connection, besides the proxy.
constexpr std::size_t kKernelBytes = 16 * kMiB;

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

}  // namespace
}  // namespace waggle::test
